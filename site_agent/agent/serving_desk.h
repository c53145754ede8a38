#pragma once
// SPDX-License-Identifier: Apache-2.0
// Answers new studies in PACS. The PACS pushes a study to our Storage SCP; when it has been quiet for a moment, the
// active release of a fitting task scores it, and a Structured Report and a Secondary Capture go back into the same
// study. What cannot be analysed gets a report that says so. The queue is in the database, and results have derived
// UIDs: an answer that is given twice is the same object.

#include "protocols/plan/documents.h"
#include "site_agent/agent/result_sink.h"
#include "site_agent/agent/site_context.h"
#include "site_agent/cohort/study_source.h"
#include "site_agent/ingest/storage_scp.h"
#include "site_agent/serve/result_sr.h"

namespace cloister::site {

class ServingDesk {
 public:
  struct Options {
    absl::Duration settle = absl::Seconds(1);
    int attempts = 3;  // of the worker
    absl::Duration first_retry = absl::Seconds(5);
    int store_attempts = 200;  // of the PACS
  };
  // Both must outlive this.
  ServingDesk(const SiteContext* site, ResultSink* sink, Options options)
      : site_(site), sink_(sink), options_(options) {}

  // StorageScp's callback. Thread-safe. What is not an image for us (reports, our own results, our own C-MOVE) is
  // accepted and dropped.
  absl::Status OnReceived(const ReceivedInstance& instance);

  // Answers every study that is due. On one thread.
  void Step(const transport::StopSource& stop);

 private:
  struct Match {
    ReleaseRow row;
    plan::ReleaseManifest manifest;
    RetrievedFile image;
  };
  void Answer(const ServingStudyRow& study, const transport::StopSource& stop);
  // NOT_FOUND: no active release wants this study.
  absl::StatusOr<Match> FindRelease(const ServingStudyRow& study) const;
  absl::StatusOr<WorkerOutcome> Predict(const Match& match, const transport::StopSource& stop);
  absl::StatusOr<std::vector<std::filesystem::path>> WriteResults(const ServingStudyRow& study, const Match& match,
                                                                  const WorkerOutcome& outcome, std::string* reason);
  void Finish(const ServingStudyRow& study, ServingState state, const std::string& release, const std::string& reason,
              const std::string& message);
  void TryLater(const ServingStudyRow& study, const std::string& why);

  const SiteContext* site_;
  ResultSink* sink_;
  Options options_;
  std::string policy_problem_;  // why the policy file could not be read, once said
};

}  // namespace cloister::site
