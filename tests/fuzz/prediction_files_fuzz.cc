// SPDX-License-Identifier: Apache-2.0
// Files of anyone's predictions: a table, a mask. What is accepted has as many fields and voxels as it says.
#include "eval/cli/csv.h"
#include "eval/cli/nifti.h"
#include "eval/cli/predictions.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const absl::StatusOr<eval::CsvTable> table = eval::CsvTable::Parse(std::string(input), "table");
  if (table.ok()) {
    size_t bytes = 0;
    for (size_t row = 0; row < table->rows(); ++row) {
      for (size_t column = 0; column < table->columns().size(); ++column) bytes += table->At(row, column).size();
    }
    Require(bytes <= 2 * input.size() + 16, "the fields are no longer than the file");
    const absl::StatusOr<eval::BinaryPredictions> read = eval::ReadBinary(*table, {});
    if (read.ok())
      Require(eval::CheckCases(read->cases).ok() && read->cases.size() == table->rows(), "cases are valid");
  }
  const absl::StatusOr<eval::Mask> mask = eval::ParseNifti(input, "mask");
  if (mask.ok()) {
    Require(mask->voxels.size() == uint64_t{mask->size[0]} * mask->size[1] * mask->size[2], "a mask has its voxels");
    Require(mask->voxels.size() > (1u << 16) || eval::CompareMasks(*mask, *mask, 1)->dice == 1, "a mask is itself");
  }
}

std::vector<Bytes> Seeds() {
  Bytes nifti(356, '\0');
  nifti.replace(0, 2, "\x5c\x01");
  nifti[40] = 2;
  nifti[42] = nifti[44] = 2;
  nifti[70] = 2;
  nifti.replace(82, 2, "\x80\x3f");
  nifti.replace(86, 2, "\x80\x3f");
  nifti.replace(110, 2, "\xb0\x43");
  nifti.replace(344, 3, "n+1");
  nifti[352] = 1;
  return {"case,patient,label,score,sex\na,p,1,0.5,F\nb,p,0,\"0.25\",\"x\"\"y\"\r\n", "case;label;score\na;1;1\n",
          "\xb2\xa1,case\n\xbc\xd7,1\n", nifti};
}

}  // namespace cloister::fuzz
