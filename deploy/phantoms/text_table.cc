// SPDX-License-Identifier: Apache-2.0
// CSV.

#include "deploy/phantoms/text_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/base/file.h"

namespace cloister::phantoms {

absl::StatusOr<size_t> TextTable::Column(const std::string& name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    return absl::InvalidArgumentError(
        fmt::format("there is no column '{}'; there are: {}", name, fmt::join(names, ", ")));
  }
  return static_cast<size_t>(found - names.begin());
}

absl::StatusOr<TextTable> ReadTextTable(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  if (text.rfind("\xef\xbb\xbf", 0) == 0) {
    text.erase(0, 3);  // byte order mark
  }
  const auto error = [&](int line, const std::string& what) {
    return absl::InvalidArgumentError(fmt::format("{}:{}: {}", path.string(), line, what));
  };
  TextTable table;
  TextRow row{1, {""}};
  int line = 1;
  bool quoted = false;
  const auto end_row = [&]() -> absl::Status {
    const bool blank = row.cells.size() == 1 && row.cells[0].empty();
    if (!blank && table.names.empty()) {
      table.names = row.cells;
      std::vector<std::string> sorted = table.names;
      std::sort(sorted.begin(), sorted.end());
      const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
      if (twice != sorted.end()) {
        return error(row.line, fmt::format("column '{}' is there twice", *twice));
      }
    } else if (!blank) {
      if (row.cells.size() != table.names.size()) {
        return error(row.line, fmt::format("{} cells, but the header has {}", row.cells.size(), table.names.size()));
      }
      table.rows.push_back(row);
    }
    row = {line + 1, {""}};
    return absl::OkStatus();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      const bool escaped = c == '"' && i + 1 < text.size() && text[i + 1] == '"';
      if (c == '"' && !escaped) {
        quoted = false;
      } else {
        row.cells.back() += c;
        i += escaped ? 1 : 0;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      row.cells.emplace_back();
    } else if (c == '\n') {
      CLOISTER_RETURN_IF_ERROR(end_row());
    } else if (c != '\r') {
      row.cells.back() += c;
    }
    line += c == '\n' ? 1 : 0;
    if (c == '\n' && !quoted) {
      row.line = line;
    }
  }
  if (quoted) {
    return error(row.line, "a quote that begins here never ends");
  }
  CLOISTER_RETURN_IF_ERROR(end_row());
  if (table.names.empty()) {
    return error(1, "the file is empty; its first line must name the columns");
  }
  return table;
}

std::string TextLine(const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) {
    line += line.empty() && &cell == &cells.front() ? "" : ",";
    if (cell.find_first_of(",\"\n\r") == std::string::npos) {
      line += cell;
      continue;
    }
    line += '"';
    for (const char c : cell) {
      line += c == '"' ? "\"\"" : std::string(1, c);
    }
    line += '"';
  }
  return line + "\n";
}

}  // namespace cloister::phantoms
