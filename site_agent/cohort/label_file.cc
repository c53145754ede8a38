// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/label_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "protocols/base/file.h"

namespace cloister::site {
namespace {

constexpr int kMaxRows = 1000000;

std::string Trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) {
    return "";
  }
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Walks a CSV text record by record (RFC 4180).
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") {
      text_.remove_prefix(3);
    }
    const std::string_view header = text_.substr(0, text_.find('\n'));
    separator_ = header.find(',') == std::string_view::npos && header.find(';') != std::string_view::npos ? ';' : ',';
  }

  // Nothing at the end of the text; sets `unterminated` when a quote never ends.
  std::optional<std::vector<std::string>> Next(bool& unterminated) {
    if (at_ >= text_.size()) {
      return std::nullopt;
    }
    record_line_ = line_;
    std::vector<std::string> fields(1);
    bool quoted = false;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '\n') {
        ++line_;
      }
      if (quoted) {
        if (c != '"') {
          fields.back() += c;
        } else if (at_ < text_.size() && text_[at_] == '"') {
          fields.back() += '"';
          ++at_;
        } else {
          quoted = false;
        }
      } else if (c == '"' && Trim(fields.back()).empty()) {
        fields.back().clear();
        quoted = true;
      } else if (c == separator_) {
        fields.emplace_back();
      } else if (c == '\n') {
        break;
      } else {
        fields.back() += c;
      }
    }
    unterminated = quoted;
    for (std::string& field : fields) {
      field = Trim(field);
    }
    return fields;
  }

  int record_line() const { return record_line_; }

 private:
  std::string_view text_;
  char separator_ = ',';
  size_t at_ = 0;
  int line_ = 1;
  int record_line_ = 1;
};

absl::StatusOr<size_t> ColumnOf(const std::vector<std::string>& header, const std::string& name,
                                const std::string& file) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) {
    return absl::InvalidArgumentError(
        fmt::format("{}:1: no column \"{}\"; the columns are: {}", file, name, fmt::join(header, ", ")));
  }
  return static_cast<size_t>(found - header.begin());
}

LabelValue ValueOf(const std::string& text, const plan::Label& label) {
  if (text == label.positive) {
    return LabelValue::kPositive;
  }
  return text == label.negative ? LabelValue::kNegative : LabelValue::kNoReference;
}

}  // namespace

std::string_view LabelProblemName(LabelProblem problem) {
  switch (problem) {
    case LabelProblem::kNoAccession:
      return "NO_ACCESSION";
    case LabelProblem::kShortRow:
      return "SHORT_ROW";
    case LabelProblem::kDuplicateRow:
      return "DUPLICATE_ROW";
    case LabelProblem::kConflictingRow:
      return "CONFLICTING_ROW";
    case LabelProblem::kUnknownAccession:
      return "UNKNOWN_ACCESSION";
    case LabelProblem::kNoReference:
      return "NO_REFERENCE";
    case LabelProblem::kConflictingPatient:
      return "CONFLICTING_PATIENT";
  }
  return "SHORT_ROW";
}

absl::StatusOr<LabelFile> ParseLabelFile(const std::string& text, const std::string& file,
                                         const std::string& accession_column, const plan::Label& label) {
  CsvReader reader(text);
  bool unterminated = false;
  const std::optional<std::vector<std::string>> header = reader.Next(unterminated);
  if (!header.has_value() || unterminated) {
    return absl::InvalidArgumentError(
        fmt::format("{}:1: no header row; wanted columns \"{}\" and \"{}\"", file, accession_column, label.column));
  }
  CLOISTER_ASSIGN_OR_RETURN(const size_t accession_at, ColumnOf(*header, accession_column, file));
  CLOISTER_ASSIGN_OR_RETURN(const size_t label_at, ColumnOf(*header, label.column, file));

  LabelFile result;
  while (std::optional<std::vector<std::string>> fields = reader.Next(unterminated)) {
    const int line = reader.record_line();
    if (unterminated) {
      return absl::InvalidArgumentError(fmt::format("{}:{}: a quote that begins here never ends", file, line));
    }
    if (fields->size() == 1 && fields->front().empty()) {
      continue;
    }
    if (++result.rows > kMaxRows) {
      return absl::InvalidArgumentError(fmt::format("{}:{}: more than {} rows", file, line, kMaxRows));
    }
    if (fields->size() <= std::max(accession_at, label_at)) {
      result.findings.push_back({LabelProblem::kShortRow, line});
      continue;
    }
    const std::string& accession = (*fields)[accession_at];
    if (accession.empty()) {
      result.findings.push_back({LabelProblem::kNoAccession, line});
      continue;
    }
    const LabelValue value = ValueOf((*fields)[label_at], label);
    const auto [found, added] = result.by_accession.try_emplace(accession, LabelRow{line, value, false});
    if (!added) {
      const bool same = found->second.value == value;
      found->second.conflicting |= !same;
      result.findings.push_back({same ? LabelProblem::kDuplicateRow : LabelProblem::kConflictingRow, line});
    } else if (value == LabelValue::kNoReference) {
      result.findings.push_back({LabelProblem::kNoReference, line});
    }
  }
  return result;
}

absl::StatusOr<LabelFile> ReadLabelFile(const std::filesystem::path& path, const std::string& accession_column,
                                        const plan::Label& label) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(path, uint64_t{256} << 20));
  return ParseLabelFile(text, path.string(), accession_column, label);
}

}  // namespace cloister::site
