#pragma once
// SPDX-License-Identifier: Apache-2.0
// The durable queue of studies the PACS pushed to us: received, settled, answered. Holds study UIDs and paths: stays
// here.

#include <optional>
#include <string>
#include <vector>

#include "protocols/storage/database.h"

namespace cloister::site {

enum class ServingState { kReceived, kAnswered, kNotAnalysed, kIgnored, kFailed };
// "received", "answered", "not_analysed", "ignored", "failed".
std::string_view ServingStateName(ServingState state);

struct ServingStudyRow {
  std::string study_instance_uid;
  ServingState state = ServingState::kReceived;
  std::string release;  // that answered, or ""
  std::string reason;   // code, or ""
  std::string message;
  int attempts = 0;
  int64_t first_received_unix_ms = 0;
  int64_t last_received_unix_ms = 0;
  int64_t not_before_unix_ms = 0;  // a failed one is tried again then
  int64_t finished_unix_ms = 0;
};

struct ServingInstanceRow {
  std::string sop_instance_uid;
  std::string study_instance_uid;
  std::string path;
  std::string modality;
  std::string view_position;
  int series_number = 0;
  int instance_number = 0;
};

class ServingTable {
 public:
  explicit ServingTable(storage::Database* database) : database_(database) {}

  // True: a new instance, which puts its study (back) into state received; one that is known changes nothing.
  absl::StatusOr<bool> AddInstance(const ServingInstanceRow& row, int64_t now_unix_ms);
  // Received studies whose last instance came at or before `settled_before` and that may be tried at `now`.
  absl::StatusOr<std::vector<ServingStudyRow>> Due(int64_t settled_before_unix_ms, int64_t now_unix_ms) const;
  absl::StatusOr<std::vector<ServingInstanceRow>> Instances(const std::string& study_instance_uid) const;
  absl::Status Finish(const std::string& study_instance_uid, ServingState state, const std::string& release,
                      const std::string& reason, const std::string& message, int64_t now_unix_ms);
  // Stays received; tried again at `not_before`.
  absl::Status Retry(const std::string& study_instance_uid, const std::string& message, int64_t not_before_unix_ms);
  // Newest first.
  absl::StatusOr<std::vector<ServingStudyRow>> List(size_t limit) const;

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
