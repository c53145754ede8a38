#pragma once
// SPDX-License-Identifier: Apache-2.0
// One experiment at this site: does whatever is open for it and can be done now. Level-triggered and re-entrant: every
// step first looks at what is stored, so the same call after kill -9 goes on where it was. Long work runs on the lanes;
// Step only starts it and asks for it again. Used by one thread at a time.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "protocols/plan/sums.h"
#include "protocols/update/model_state.h"
#include "site_agent/agent/accepted_experiment.h"
#include "site_agent/agent/offer_desk.h"
#include "site_agent/agent/site_update.h"
#include "site_agent/agent/sum_session.h"

namespace cloister::site {

class ExperimentRunner {
 public:
  ExperimentRunner(const SiteContext* site, JobId job)
      : site_(site), job_(std::move(job)), offers_(site, job_), privacy_(site, job_) {}

  // `items`: everything the coordinator lists as open for this job now.
  void Step(const std::vector<wire::WorkItem>& items, const transport::StopSource& stop);

 private:
  // What one sum needs beside the protocol.
  struct OpenSum {
    std::unique_ptr<SumSession> session;
    std::vector<plan::SumModel> models;
    std::filesystem::path global_model;  // TRAIN
  };

  void Handle(const wire::ExperimentOffer& offer, const transport::StopSource& stop);
  void Handle(const wire::GraphSeedTask& task, const transport::StopSource& stop);
  void Handle(const wire::BaselineTask& task, const transport::StopSource& stop);
  void Handle(const wire::SumStep& step, const transport::StopSource& stop);
  void Handle(const wire::ReleaseOffer&, const transport::StopSource&) {}  // the release desk's
  void Handle(const wire::ExperimentClosed& closed, const transport::StopSource& stop);

  absl::StatusOr<const AcceptedExperiment*> Accepted();

  // OK: done, or not ready yet.
  absl::Status RunBaseline(const AcceptedExperiment& experiment, const wire::BaselineTask& task,
                           const transport::StopSource& stop);
  absl::StatusOr<wire::BaselineReady> SealBaseline(const AcceptedExperiment& experiment, const wire::BaselineTask& task,
                                                   const TrainingResult& baseline, const transport::StopSource& stop);
  absl::StatusOr<wire::BaselineReady> SealForAll(const AcceptedExperiment& experiment, const wire::BaselineTask& task,
                                                 const TrainingResult& baseline,
                                                 const std::filesystem::path& sealed_file);

  absl::Status RunSum(const AcceptedExperiment& experiment, const wire::SumStep& step, const SumKey& key,
                      const transport::StopSource& stop);
  absl::StatusOr<OpenSum*> Open(const AcceptedExperiment& experiment, const wire::SumStep& step, const SumKey& key,
                                const transport::StopSource& stop);
  absl::Status Blame(const absl::Status& status);
  absl::Status RunMask(const AcceptedExperiment& experiment, const wire::SumStep& step, const SumKey& key, OpenSum& sum,
                       const transport::StopSource& stop);
  absl::Status NoteVouchedFor(const wire::SumStep& step);
  absl::Status Reply(const wire::SumStep& step, const Bytes& reply, const std::vector<Digest>& vectors,
                     const transport::StopSource& stop);
  void FailSum(const wire::SumStep& step, const SumKey& key, wire::FailureReason reason, const std::string& why,
               const transport::StopSource& stop);

  // The local result of a training round or the baseline, or nothing while it runs. The status of a failed worker job
  // carries its reason through `failure_`.
  absl::StatusOr<std::optional<TrainingResult>> Train(const AcceptedExperiment& experiment, int round,
                                                      const std::filesystem::path& initial,
                                                      const Digest& initial_digest);
  absl::StatusOr<std::vector<VectorContent>> TrainingContents(const AcceptedExperiment& experiment,
                                                              const wire::SumStep& step, const OpenSum& sum,
                                                              const TrainingResult& local);
  // The counters of a validation or calibration, or nothing while it runs; also sends the site's summary.
  absl::StatusOr<std::optional<std::vector<uint64_t>>> ValidationCounters(const AcceptedExperiment& experiment,
                                                                          const wire::SumStep& step, const OpenSum& sum,
                                                                          const transport::StopSource& stop);
  absl::Status SendSummary(const AcceptedExperiment& experiment, const wire::SumStep& step,
                           const ValidationResult& result, const std::string& own_baseline,
                           const transport::StopSource& stop);
  // Nothing: a baseline that cannot be opened.
  absl::StatusOr<std::optional<std::filesystem::path>> PathOf(const AcceptedExperiment& experiment,
                                                              const wire::ModelRef& model,
                                                              const transport::StopSource& stop);

  absl::Status Send(const wire::SiteMessage& message, const transport::StopSource& stop);
  // False while something that was delivered a moment ago need not be said again.
  bool Due(const std::string& what) const;
  void Delivered(const std::string& what);
  // Removes the job folders of rounds before `keep_from`.
  void SweepRounds(int keep_from);
  void CleanUp();

  const SiteContext* site_;
  JobId job_;
  OfferDesk offers_;
  PrivacyDesk privacy_;
  std::unique_ptr<AcceptedExperiment> accepted_;
  std::map<SumKey, OpenSum> sums_;
  std::set<std::string> failed_;  // steps this site has left
  std::map<std::string, absl::Time> delivered_;
  std::optional<wire::FailureReason> failure_;  // of the worker, behind the last failed status
  std::optional<SiteId> culprit_;               // behind kBadShare
  bool closed_ = false;

  // Kept alive while an update reads them.
  std::optional<update::MappedModel> global_;
  std::optional<update::MappedModel> local_;
  std::optional<SiteUpdate> update_;
};

}  // namespace cloister::site
