#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where the public image sets lie that tests read when they are there: $CLOISTER_DATA, else ../shared/data beside the
// source tree. Tests skip, saying so, where a set is absent.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace cloister::testing {

inline std::filesystem::path SharedData() {
  if (const char* folder = std::getenv("CLOISTER_DATA")) {
    return folder;
  }
  const std::filesystem::path here(__FILE__);  // <source>/tests/support/shared_data.h
  return here.parent_path().parent_path().parent_path().parent_path() / "shared" / "data";
}

// Rows of a CSV file by column name; quoted fields may hold commas. For files of ours only.
inline std::vector<std::map<std::string, std::string>> ReadTable(const std::filesystem::path& path) {
  std::vector<std::map<std::string, std::string>> rows;
  std::vector<std::string> names;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        cells.emplace_back();
      } else if (c != '\r') {
        cells.back() += c;
      }
    }
    if (names.empty()) {
      names = cells;
      continue;
    }
    auto& row = rows.emplace_back();
    for (size_t i = 0; i < names.size() && i < cells.size(); ++i) {
      row[names[i]] = cells[i];
    }
  }
  return rows;
}

}  // namespace cloister::testing
