#pragma once
// SPDX-License-Identifier: Apache-2.0
// A table of text from somebody else's CSV file: UTF-8 (with or without a byte order mark) or GB18030, separated by
// commas, semicolons or tabs, fields quoted where they need to be.

#include <absl/types/span.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::eval {

class CsvTable {
 public:
  static constexpr uint64_t kMaxBytes = uint64_t{4} << 30;
  static constexpr size_t kMaxRows = 50'000'000;
  static constexpr size_t kMaxColumns = 4096;

  // NOT_FOUND, PERMISSION_DENIED; RESOURCE_EXHAUSTED: larger than the limits; INVALID_ARGUMENT with line and column:
  // neither UTF-8 nor GB18030, no header, an empty or repeated column name, a row of another length, an open quote.
  static absl::StatusOr<CsvTable> Read(const std::filesystem::path& path);
  static absl::StatusOr<CsvTable> Parse(std::string text, std::string name);

  const std::vector<std::string>& columns() const { return columns_; }
  size_t rows() const { return lines_.size(); }
  std::string_view At(size_t row, size_t column) const { return fields_[row * columns_.size() + column]; }
  uint64_t line(size_t row) const { return lines_[row]; }
  std::optional<size_t> Find(std::string_view column) const;

  // "FILE:12: column \"score\": what", for a field that is not what it should be.
  absl::Status FieldError(size_t row, size_t column, std::string_view what) const;
  // A finite number. INVALID_ARGUMENT: as FieldError.
  absl::StatusOr<double> Number(size_t row, size_t column) const;

  const std::string& name() const { return name_; }
  bool was_gb18030() const { return was_gb18030_; }

 private:
  std::string name_;
  std::shared_ptr<const std::string> text_;  // what the fields point into
  std::vector<std::string> columns_;
  std::vector<std::string_view> fields_;
  std::vector<uint64_t> lines_;
  bool was_gb18030_ = false;
};

}  // namespace cloister::eval
