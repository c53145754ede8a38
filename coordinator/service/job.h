#pragma once
// SPDX-License-Identifier: Apache-2.0
// One experiment at the coordinator: its machine, its secure sum, and their life on disk. Every change goes persist ->
// audit -> act: facts and what belongs to them are stored in one transaction before anything follows from them. Belongs
// to the owner thread.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/registry/registry.h"
#include "coordinator/rounds/machine.h"
#include "coordinator/service/blob_access.h"
#include "coordinator/service/work_board.h"
#include "coordinator/storage/answer_store.h"
#include "coordinator/storage/experiment_store.h"
#include "protocols/base/clock.h"
#include "protocols/crypto/signer.h"
#include "protocols/plan/experiment.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/graph_seed.h"
#include "protocols/secagg/server_session.h"
#include "protocols/storage/blob_store.h"
#include "protocols/storage/database.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::coordinator {

// What all jobs share. Everything pointed to outlives them.
struct JobContext {
  storage::Database* database = nullptr;
  storage::BlobStore* blobs = nullptr;
  const Clock* clock = nullptr;
  crypto::Certificate ca;
  crypto::CurrentSigner signer;  // of releases
  std::filesystem::path folder;  // for files in the making
  std::string code_version;
  // Runs `work` on another thread and has the job settle once it has returned. Null: `work` is run at once.
  std::function<void(std::function<void()> work)> in_background = nullptr;
};

class Job {
 public:
  // From its stored facts. DATA_LOSS: they do not fit the plan.
  static absl::StatusOr<std::unique_ptr<Job>> Load(const JobContext* context, const StoredExperiment& stored);
  ~Job();

  // ---- what happens; every status is the answer to who sent it ----
  absl::Status Answer(const SiteId& site, const wire::ExperimentAnswer& answer);
  absl::Status TakeReveal(const SiteId& site, const wire::GraphReveal& reveal);
  absl::Status TakeBaseline(const SiteId& site, const wire::BaselineReady& baseline);
  absl::Status TakeSumMessage(const SiteId& site, const wire::SumMessage& message);
  absl::Status TakeSummary(const SiteId& site, const wire::SiteSummary& summary);
  absl::Status TakeFailure(const SiteId& site, const wire::SiteFailure& failure);
  absl::Status TakeReleaseAnswer(const SiteId& site, wire::ReleaseState state);
  absl::Status Abort(const std::string& reason, const std::string& who);
  // An enrolled site is there.
  void Heard(const SiteId& site);
  // The coordinator was down: no deadline counts before the sites had a moment to come back.
  void Resume();

  // Does everything that can be done now: deadlines that have passed, phases to close, sums to finish, the release.
  // When it wants to be called again at the latest.
  absl::Time Settle();

  // ---- what can be seen ----
  const StoredExperiment& stored() const { return stored_; }
  const plan::Experiment& experiment() const { return experiment_; }
  const ExperimentMachine& machine() const { return machine_; }
  // One item and a text that changes with it; nothing when the site has no work here. The item is made when it is sent:
  // sites of one step share what they are told.
  struct OpenWork {
    std::string key;
    MakeItem make;
  };
  std::optional<OpenWork> WorkFor(const SiteId& site);
  // The key alone: cheap.
  std::string WorkKeyFor(const SiteId& site) const;
  wire::ExperimentStatus Status() const;
  JobBlobRights BlobRights() const;
  JobBlobRights BlobRights(const SiteSet& sites) const;  // of these alone
  // Blobs that must be kept.
  void AddReferences(DigestSet& digests) const;
  uint64_t last_note() const { return last_note_; }
  uint64_t revision() const { return facts_ + last_note_; }  // grows with every change
  const std::vector<ModelRecord>& models() const { return models_; }
  // Sites that a deadline has just declared away; cleared by reading.
  SiteSet TakeNewlyAway();
  // Whose work and rights may have changed; none: anybody's. Cleared by reading.
  std::optional<SiteSet> TakeTouched();
  void TouchAll() { touched_.reset(); }

 private:
  struct ActiveSum;
  struct Finishing;
  using Also = std::function<absl::Status(storage::Transaction&)>;

  Job(const JobContext* context, StoredExperiment stored, plan::Experiment experiment, absl::Time submitted);

  absl::Status LoadRows();
  // Handles the event, stores its facts and notes together with `also`, and only then lets the machine have it. Nothing
  // is stored when the event says nothing new.
  // UNAVAILABLE: it could not be stored, which is trouble of our own and no verdict; nothing has changed.
  absl::Status Commit(const Event& event, const Also& also = nullptr,
                      storage::Durable durable = storage::Durable::kNow);
  // The same for what every site says five times a round: without a copy of the machine, whose size grows with the
  // number of sites, and durable with the next commit. `answered` is one that the machine takes.
  absl::Status CommitAnswer(const SumAnswered& answered, const Also& also);
  void Touch(const Event& event, bool same_stage);
  // One transaction. UNAVAILABLE: as for Commit.
  absl::Status Store(const Also& write, storage::Durable durable = storage::Durable::kNow);
  absl::Status Audit(storage::Transaction& transaction, const std::string& actor, const std::string& action,
                     const std::string& type, uint64_t size_bytes, const Digest& digest) const;

  std::vector<uint64_t> VectorSizes(const SumKey& sum) const;

  // ---- job_sum.cc ----
  MakeItem MakeSumStep(const SiteId& site, const SumWork& sum, const std::string& key);
  std::vector<wire::ModelRef> SumModels(plan::SumKind kind) const;
  std::vector<plan::SumModel> PlanModels(plan::SumKind kind) const;  // the same, as the plan speaks of them
  // Of the sites' graph seed; empty on the full graph.
  secagg::GraphReveals Reveals() const;
  absl::Status PutOnGraph(secagg::SumParams& params) const;
  absl::Status OpenSum();  // makes `active_` be the machine's current sum, from stored messages if need be
  absl::Status CheckVectors(const SiteId& site, const wire::SumMessage& message) const;
  absl::Status DoClosePhase(const ClosePhase& action);
  absl::Status DoFinishSum(const FinishSum& action);
  absl::Status StartFinishing(const SumKey& sum);
  void InBackground(std::function<void()> work) const;
  bool IsFinishing() const;
  absl::Status TakeModel(const Finishing& finished);
  absl::Status TakeRefusal(const Finishing& finished);
  absl::Status TakeHistograms(const Finishing& finished);
  void DropSum();      // forgets the session and deletes the masked vectors
  void DropVectors();  // that are not needed any more
  // Sorts out the models of rounds that were taken back.
  void SetAsideTakenBack();

  // ---- job_release.cc ----
  absl::Status DoDecideGates();
  absl::StatusOr<std::vector<uint64_t>> EnsembleTuning() const;  // its histogram on the tuning split
  absl::Status DoPublish();

  const JobContext* const context_;
  const StoredExperiment stored_;
  const plan::Experiment experiment_;
  ExperimentMachine machine_;
  uint64_t facts_ = 0;      // how many are stored
  uint64_t last_note_ = 0;  // its sequence
  absl::Time ended_at_ = absl::InfiniteFuture();
  absl::Time retry_at_ = absl::InfinitePast();     // after a failure of our own: not before
  absl::Time grace_until_ = absl::InfinitePast();  // after Resume: no deadline before
  std::string trouble_;                            // that failure, for the status; empty: none
  SiteSet newly_away_;
  std::optional<SiteSet> touched_;  // none: all
  // What all sites of a step are told alike, and the key of that step.
  std::string shared_key_;
  std::shared_ptr<const wire::WorkItem> shared_item_;

  // Rows that are read often.
  std::map<SiteId, wire::SignedDocument> acceptances_;
  std::map<SiteId, StoredBaseline> baselines_;
  std::vector<ModelRecord> models_;     // by round, round-0 first
  std::vector<ModelRecord> set_aside_;  // of rounds that were taken back: evidence
  std::vector<plan::GateResult> gates_;
  std::optional<wire::SignedDocument> manifest_;

  std::shared_ptr<ActiveSum> active_;
  std::shared_ptr<Finishing> finishing_;  // the end of a sum, until its result is taken
};

}  // namespace cloister::coordinator
