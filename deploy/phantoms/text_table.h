#pragma once
// SPDX-License-Identifier: Apache-2.0
// CSV files (RFC 4180): read with line numbers for error messages, written with quotes where needed.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::phantoms {

struct TextRow {
  int line = 0;  // where it begins, from 1
  std::vector<std::string> cells;
};

struct TextTable {
  std::vector<std::string> names;
  std::vector<TextRow> rows;

  // The position of column `name`. INVALID_ARGUMENT: there is none; the message lists those there are.
  absl::StatusOr<size_t> Column(const std::string& name) const;
};

// INVALID_ARGUMENT with "file:line: ...": a quote that never ends, another number of cells than the header, no header,
// two columns of one name. Otherwise the statuses of reading a file.
absl::StatusOr<TextTable> ReadTextTable(const std::filesystem::path& path);

// One line, ended by "\n".
std::string TextLine(const std::vector<std::string>& cells);

}  // namespace cloister::phantoms
