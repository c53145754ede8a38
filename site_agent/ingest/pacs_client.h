#pragma once
// SPDX-License-Identifier: Apache-2.0
// The agent as a client (SCU) of a PACS: C-ECHO, C-FIND, C-GET, C-MOVE, C-STORE. Each call is one association with a
// deadline. Every error says what a person has to do, e.g. which AE title the PACS has to list.

#include <absl/time/time.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::site {

class StorageScp;

struct PacsConfig {
  std::string host;
  int port = 104;
  std::string called_ae_title;
  std::string calling_ae_title;
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration response_timeout = absl::Seconds(60);  // silence on an open association
  absl::Duration call_deadline = absl::Minutes(30);     // one call, all in all
};

// Empty members match everything. Text may hold * and ? where DICOM allows them.
struct StudyQuery {
  std::string study_instance_uid;
  std::string accession_number;
  std::string patient_id;
  std::string study_date_from;  // YYYYMMDD, inclusive
  std::string study_date_to;
  std::vector<std::string> modalities;  // ModalitiesInStudy holds at least one of them
};

struct StudyRow {
  std::string study_instance_uid;
  std::string accession_number;
  std::string patient_id;
  std::string patient_name;  // UTF-8
  std::string patient_birth_date;
  std::string patient_sex;
  std::string study_date;
  std::string study_time;
  std::string study_description;  // UTF-8
  std::vector<std::string> modalities_in_study;
  int number_of_instances = -1;  // -1: the PACS does not say
};

struct SeriesRow {
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string modality;
  std::string series_description;  // UTF-8
  std::string body_part_examined;
  int number_of_instances = -1;
};

enum class RetrieveCode {
  kComplete,  // everything announced has arrived
  kPartial,   // some instances failed; the files that came are listed
  kEmpty,     // the PACS reports success and sent nothing
  kFailed,    // the PACS reports failure and nothing came
};
// "COMPLETE", "PARTIAL", "EMPTY", "FAILED".
std::string_view RetrieveCodeName(RetrieveCode code);

struct RetrieveOutcome {
  RetrieveCode code = RetrieveCode::kFailed;
  std::vector<std::filesystem::path> files;  // sorted by name, <SOPInstanceUID>.dcm
  int completed = 0;                         // sub-operations, as counted by the PACS (-1 where it does not say)
  int failed = 0;
  int warning = 0;
  uint16_t dimse_status = 0;
  std::string message;  // for people: what went wrong and what to do; "" when complete
};

struct StoreFailure {
  std::filesystem::path file;
  std::string message;
};

struct StoreOutcome {
  int stored = 0;
  std::vector<StoreFailure> failures;
};

// Thread-safe: calls share nothing. Common errors: UNAVAILABLE (nobody listens, time-out, connection lost),
// PERMISSION_DENIED (association refused: the message names the AE title and where to list it), DEADLINE_EXCEEDED
// (call_deadline), FAILED_PRECONDITION (the PACS does not offer the service).
class PacsClient {
 public:
  // INVALID_ARGUMENT: empty or too long host or AE title (1 to 16 characters), port outside 1 to 65535.
  static absl::StatusOr<PacsClient> Create(PacsConfig config);

  absl::Status Echo() const;
  absl::StatusOr<std::vector<StudyRow>> FindStudies(const StudyQuery& query) const;
  absl::StatusOr<std::vector<SeriesRow>> FindSeries(const std::string& study_instance_uid) const;

  // C-GET into `folder` (made when missing); transfer syntaxes are kept. An empty series UID means the whole study.
  // ABORTED, also of RetrieveByMove: the PACS hung up before any answer, over this study or over us.
  absl::StatusOr<RetrieveOutcome> RetrieveStudy(const std::string& study_instance_uid,
                                                const std::filesystem::path& folder) const;
  absl::StatusOr<RetrieveOutcome> RetrieveSeries(const std::string& study_instance_uid,
                                                 const std::string& series_instance_uid,
                                                 const std::filesystem::path& folder) const;

  // C-MOVE to `scp`, which runs in this process under an AE title the PACS knows. The files lie in scp's inbox folder
  // of the study. An empty series UID means the whole study.
  absl::StatusOr<RetrieveOutcome> RetrieveByMove(const std::string& study_instance_uid,
                                                 const std::string& series_instance_uid, const StorageScp& scp) const;

  // C-STORE, each file in its own transfer syntax. A file the PACS refuses is in `failures`; the others go on.
  absl::StatusOr<StoreOutcome> StoreFiles(const std::vector<std::filesystem::path>& files) const;

  const PacsConfig& config() const { return config_; }

 private:
  explicit PacsClient(PacsConfig config) : config_(std::move(config)) {}
  PacsConfig config_;
};

}  // namespace cloister::site
