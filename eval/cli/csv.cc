// SPDX-License-Identifier: Apache-2.0
#include "eval/cli/csv.h"

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "protocols/base/file.h"
#include "protocols/base/utf8.h"

namespace cloister::eval {
namespace {

absl::Status ErrorAt(const std::string& name, uint64_t line, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}:{}: {}", name, line, what));
}

uint64_t FirstBadLine(std::string_view text) {
  uint64_t line = 1;
  for (size_t begin = 0; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (!IsUtf8(text.substr(begin, end - begin))) {
      return line;
    }
    begin = end + 1;
  }
  return line;
}

// nullopt: not GB18030.
std::optional<std::string> FromGb18030(std::string text) {
  const iconv_t converter = iconv_open("UTF-8", "GB18030");
  if (converter == reinterpret_cast<iconv_t>(-1)) {
    return std::nullopt;
  }
  std::string utf8(2 * text.size() + 16, '\0');
  char* in = text.data();
  char* out = utf8.data();
  size_t in_left = text.size();
  size_t out_left = utf8.size();
  const size_t result = iconv(converter, &in, &in_left, &out, &out_left);
  iconv_close(converter);
  if (result == static_cast<size_t>(-1) || in_left != 0) {
    return std::nullopt;
  }
  utf8.resize(utf8.size() - out_left);
  return utf8;
}

// Splits the text where it lies: a quoted field is closed up over its doubled quotes.
class Splitter {
 public:
  Splitter(std::string& text, char separator) : text_(text), separator_(separator) {}

  bool AtEnd() const { return at_ >= text_.size(); }
  uint64_t line() const { return line_; }
  bool open_quote() const { return open_quote_; }

  // The fields of the next record; nothing for a blank line.
  void Record(std::vector<std::string_view>& fields) {
    fields.clear();
    if (SkipLineEnd()) {
      return;
    }
    while (true) {
      fields.push_back(Field());
      if (at_ < text_.size() && text_[at_] == separator_) {
        ++at_;
        continue;
      }
      SkipLineEnd();
      return;
    }
  }

 private:
  bool SkipLineEnd() {
    const size_t before = at_;
    at_ += at_ < text_.size() && text_[at_] == '\r' ? 1 : 0;
    at_ += at_ < text_.size() && text_[at_] == '\n' ? 1 : 0;
    line_ += at_ > before ? 1 : 0;
    return at_ > before;
  }

  std::string_view Field() {
    if (at_ < text_.size() && text_[at_] == '"') {
      return Quoted();
    }
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') {
      ++at_;
    }
    std::string_view field(text_.data() + begin, at_ - begin);
    while (!field.empty() && field.front() == ' ') {
      field.remove_prefix(1);
    }
    while (!field.empty() && field.back() == ' ') {
      field.remove_suffix(1);
    }
    return field;
  }

  std::string_view Quoted() {
    const size_t begin = ++at_;
    size_t end = begin;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') {
          ++at_;
          return std::string_view(text_.data() + begin, end - begin);
        }
        ++at_;
      }
      line_ += text_[at_] == '\n' ? 1 : 0;
      text_[end++] = text_[at_];
    }
    open_quote_ = true;
    return {};
  }

  std::string& text_;
  char separator_;
  size_t at_ = 0;
  uint64_t line_ = 1;
  bool open_quote_ = false;
};

char SeparatorOf(std::string_view text) {
  const std::string_view header = text.substr(0, text.find_first_of("\r\n"));
  for (char separator : {',', ';', '\t'}) {
    if (header.find(separator) != std::string_view::npos) {
      return separator;
    }
  }
  return ',';
}

absl::Status CheckHeader(const std::string& name, const std::vector<std::string>& columns) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].empty()) {
      return ErrorAt(name, 1, fmt::format("column {} has no name", i + 1));
    }
    if (!seen.insert(columns[i]).second) {
      return ErrorAt(name, 1, fmt::format("column \"{}\" appears twice", columns[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CsvTable> CsvTable::Read(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(Bytes bytes, ReadFile(path, kMaxBytes));
  return Parse(std::string(bytes.begin(), bytes.end()), path.string());
}

absl::StatusOr<CsvTable> CsvTable::Parse(std::string text, std::string name) {
  CsvTable table;
  table.name_ = std::move(name);
  if (text.rfind("\xff\xfe", 0) == 0 || text.rfind("\xfe\xff", 0) == 0) {
    return ErrorAt(table.name_, 1, "this is UTF-16; save it as \"CSV UTF-8\"");
  }
  if (text.rfind("\xef\xbb\xbf", 0) == 0) {
    text.erase(0, 3);
  }
  if (!IsUtf8(text)) {
    std::optional<std::string> utf8 = FromGb18030(text);
    if (!utf8) {
      return ErrorAt(table.name_, FirstBadLine(text), "neither UTF-8 nor GB18030; save it as \"CSV UTF-8\"");
    }
    text = *std::move(utf8);
    table.was_gb18030_ = true;
  }
  if (text.find('\0') != std::string::npos) {
    return ErrorAt(table.name_, 1, "this is not a text file: it contains zero bytes");
  }
  auto owned = std::make_shared<std::string>(std::move(text));
  table.text_ = owned;
  Splitter splitter(*owned, SeparatorOf(*owned));
  std::vector<std::string_view> fields;
  if (!splitter.AtEnd()) {
    splitter.Record(fields);
  }
  if (fields.empty()) {
    return ErrorAt(table.name_, 1, "the file is empty; its first line must name the columns");
  }
  if (fields.size() > kMaxColumns) {
    return ErrorAt(table.name_, 1, fmt::format("{} columns; at most {} are read", fields.size(), kMaxColumns));
  }
  table.columns_.assign(fields.begin(), fields.end());
  CLOISTER_RETURN_IF_ERROR(CheckHeader(table.name_, table.columns_));
  while (!splitter.AtEnd() && !splitter.open_quote()) {
    const uint64_t line = splitter.line();
    splitter.Record(fields);
    if (splitter.open_quote()) {
      return ErrorAt(table.name_, line, "a quote opens here and is never closed");
    }
    if (fields.empty()) {
      continue;
    }
    if (fields.size() != table.columns_.size()) {
      return ErrorAt(table.name_, line,
                     fmt::format("{} fields, but the header names {} columns", fields.size(), table.columns_.size()));
    }
    if (table.lines_.size() == kMaxRows) {
      return absl::ResourceExhaustedError(fmt::format("{}: more than {} rows", table.name_, kMaxRows));
    }
    table.lines_.push_back(line);
    table.fields_.insert(table.fields_.end(), fields.begin(), fields.end());
  }
  if (table.lines_.empty()) {
    return ErrorAt(table.name_, 1, "there is no row below the header");
  }
  return table;
}

std::optional<size_t> CsvTable::Find(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  return found == columns_.end() ? std::nullopt : std::optional<size_t>(found - columns_.begin());
}

absl::Status CsvTable::FieldError(size_t row, size_t column, std::string_view what) const {
  return ErrorAt(name_, lines_[row], fmt::format("column \"{}\": {}", columns_[column], what));
}

absl::StatusOr<double> CsvTable::Number(size_t row, size_t column) const {
  const std::string_view field = At(row, column);
  if (field.empty()) {
    return FieldError(row, column, "is empty; leave out rows that have no value and say so in the report");
  }
  double value = 0;
  const char* begin = field.data() + (field.front() == '+' ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size()) {
    return FieldError(row, column, "is not a number (decimal point, no thousands separator)");
  }
  if (!std::isfinite(value)) {
    return FieldError(row, column, "is not a finite number");
  }
  return value;
}

}  // namespace cloister::eval
