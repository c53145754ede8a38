#pragma once
// SPDX-License-Identifier: Apache-2.0
// Text for a terminal: columns, times, and texts of other parties made safe to print.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cloister::site {

// Without control characters, so that a text from elsewhere cannot drive the terminal.
std::string Printable(std::string_view text);

// Columns on a terminal: Chinese characters take two.
size_t DisplayWidth(std::string_view utf8);

// Columns as wide as their widest cell, two spaces between; the last one is not padded.
std::string Columns(const std::vector<std::vector<std::string>>& rows);

// "Task   chest_pneumonia" lines.
std::string FactsText(const std::vector<std::pair<std::string, std::string>>& facts);

// Local time to the second; "never" for 0.
std::string LocalTime(int64_t unix_ms);

// For --json: two spaces of indent, text that is not UTF-8 replaced, a newline at the end.
std::string JsonLines(const nlohmann::json& json);

}  // namespace cloister::site
