#pragma once
// SPDX-License-Identifier: Apache-2.0
// A cohort after preprocessing, as two files in one folder: prepared.u8 (uint8 [N, C, H, W]) and prepared.json (its
// shape, the digest of the preprocessing, and which case is which row or why it was rejected). Stays inside the
// hospital.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/descriptor.h"
#include "protocols/base/status.h"

namespace cloister::models {

struct PreparedCase {
  std::string id;
  int64_t row = -1;      // into prepared.u8; -1 when rejected
  std::string rejected;  // reason code, empty when usable
  std::string message;   // for people, when rejected
};

// Read-only view of a prepared folder; the pixels are mapped, not read.
class PreparedSet {
 public:
  // NOT_FOUND: no such folder. DATA_LOSS: the two files disagree, or the JSON is malformed (the field is named).
  static absl::StatusOr<PreparedSet> Open(const std::filesystem::path& folder);

  PreparedSet(PreparedSet&& other) noexcept;
  PreparedSet& operator=(PreparedSet&& other) noexcept;
  PreparedSet(const PreparedSet&) = delete;
  PreparedSet& operator=(const PreparedSet&) = delete;
  ~PreparedSet();

  int64_t size() const { return size_; }  // usable cases, N
  int channels() const { return channels_; }
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  const Digest& preprocessing() const { return preprocessing_; }
  const std::vector<PreparedCase>& cases() const { return cases_; }

  // uint8 [C, H, W] of one row, valid while this lives. `row` in [0, size()).
  const uint8_t* image(int64_t row) const { return pixels_ + row * image_bytes(); }
  int64_t image_bytes() const { return int64_t{1} * channels_ * rows_ * columns_; }

  // The row of a case. NOT_FOUND: unknown. FAILED_PRECONDITION: it was rejected (says why).
  absl::StatusOr<int64_t> RowOf(const std::string& case_id) const;

 private:
  PreparedSet() = default;

  int64_t size_ = 0;
  int channels_ = 0;
  int rows_ = 0;
  int columns_ = 0;
  Digest preprocessing_;
  std::vector<PreparedCase> cases_;
  std::map<std::string, size_t> index_;
  const uint8_t* pixels_ = nullptr;
  size_t mapped_bytes_ = 0;
};

// Writes a prepared folder, one case after another, with one image in memory.
class PreparedSetWriter {
 public:
  // UNAVAILABLE, RESOURCE_EXHAUSTED, ...: as WriteFileAtomically.
  static absl::StatusOr<PreparedSetWriter> Create(const std::filesystem::path& folder, int channels, int rows,
                                                  int columns, const Digest& preprocessing);

  absl::Status Add(const std::string& case_id, const std::vector<uint8_t>& image);
  void Reject(const std::string& case_id, const std::string& reason, const std::string& message);
  // Nothing readable is left behind when this was not called, or failed.
  absl::Status Finish();

  int64_t size() const { return size_; }
  int64_t rejected() const { return static_cast<int64_t>(cases_.size()) - size_; }

 private:
  PreparedSetWriter() = default;

  std::filesystem::path folder_;
  Descriptor descriptor_;
  int channels_ = 0;
  int rows_ = 0;
  int columns_ = 0;
  Digest preprocessing_;
  int64_t size_ = 0;
  std::vector<PreparedCase> cases_;
};

}  // namespace cloister::models
