// SPDX-License-Identifier: Apache-2.0
// The published totals of a sum, as a site downloads them: all values that the header promises can be read, and what is
// written of them is the file, but for the padding.
#include "protocols/plan/sum_result.h"

#include "protocols/base/file.h"
#include "tests/fuzz/memory_file.h"

namespace cloister::fuzz {
namespace {

std::vector<ByteView> ValuesOf(const plan::SumResult& result) {
  std::vector<ByteView> values;
  for (size_t i = 0; i < result.header().vectors.size(); ++i) {
    values.push_back(result.Values(i).packed);
  }
  return values;
}

void Write(const std::filesystem::path& path, const plan::SumResultHeader& header,
           const std::vector<ByteView>& values) {
  const absl::StatusOr<plan::SumResultWriter> writer = plan::SumResultWriter::Create(path, header);
  Require(writer.ok(), "a result can be made");
  for (size_t i = 0; i < values.size(); ++i) Require(writer->Write(i, 0, values[i]).ok(), "and written");
}

}  // namespace

void FuzzOne(ByteView input) {
  const MemoryFile file(input);
  const absl::StatusOr<plan::SumResult> result = plan::SumResult::Open(file.path());
  if (!result.ok()) return;
  const MemoryFile copy("");
  Write(copy.path(), result->header(), ValuesOf(*result));
  const absl::StatusOr<plan::SumResult> again = plan::SumResult::Open(copy.path());
  Require(again.ok(), "and read again");
  Require(again->header().vectors == result->header().vectors && ValuesOf(*again) == ValuesOf(*result),
          "with the same vectors");
  secagg::SumCheck check;
  check.ctx2 = result->header().ctx2;
  check.survivors = result->header().survivors;
  check.seed = crypto::SecretBytes(32);
  static_cast<void>(plan::CheckSumResult(*result, check, result->header().vectors));
}

std::vector<Bytes> Seeds() {
  plan::SumResultHeader header;
  header.tag = 5;
  header.vectors = {{"update", 3, 32}, {"counters", 2, 64}};
  const MemoryFile file("");
  Write(file.path(), header, {"uuuuuuuuuuuu", "0123456789abcdef"});
  Bytes seed = *ReadFile(file.path());
  header.vectors[0].ring_bits = 24;
  Write(file.path(), header, {"uuuuuuuuu", "0123456789abcdef"});
  return {std::move(seed), *ReadFile(file.path())};
}

}  // namespace cloister::fuzz
