// SPDX-License-Identifier: Apache-2.0
// The label CSV of a site: every row that counts is one of the file's.
#include "site_agent/cohort/label_file.h"

#include <algorithm>

#include "tests/fuzz/target.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const absl::StatusOr<site::LabelFile> file =
      site::ParseLabelFile(Bytes(input), "labels.csv", "accession_number", {"label", "pneumonia", "normal"});
  if (!file.ok()) return;
  const auto lines = 1 + std::count(input.begin(), input.end(), '\n');
  Require(file->by_accession.size() <= static_cast<size_t>(file->rows) && file->rows < lines, "no row without a line");
  for (const auto& [accession, row] : file->by_accession) {
    Require(!accession.empty() && row.line > 1 && row.line <= lines, "a row has a name and a line");
  }
  for (const site::LabelFinding& finding : file->findings) {
    Require(finding.line > 1 && finding.line <= lines, "a finding has a line");
    Require(!site::LabelProblemName(finding.problem).empty(), "and a name");
  }
}

std::vector<Bytes> Seeds() {
  return {"accession_number,label\nA1,pneumonia\nA2,normal\nA1,normal\nA3\n,normal\n",
          "\xEF\xBB\xBF\"label\";\"accession_number\"\r\n\"pneumonia\";\"A \"\"1\"\"\"\r\nunclear;A2\r\n\r\n"};
}

}  // namespace cloister::fuzz
