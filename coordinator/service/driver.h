#pragma once
// SPDX-License-Identifier: Apache-2.0
// All experiments of a coordinator behind one owner thread. Everything here may be called from any thread: it posts,
// and answers through the callback, on the owner thread. What polls and blob streams need at once is kept beside it:
// the work board and the blob access.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/service/blob_access.h"
#include "coordinator/service/job.h"
#include "coordinator/service/owner_thread.h"
#include "coordinator/service/work_board.h"
#include "protocols/transport/task_queue.h"
#include "protocols/transport/tls.h"

namespace cloister::coordinator {

struct DriverOptions {
  JobContext context;
  uint64_t most_model_bytes = uint64_t{8} << 30;
};

class Driver {
 public:
  template <typename T>
  using Then = std::function<void(T)>;

  // Makes the tables, rebuilds every experiment from its facts, and removes blobs that nothing refers to.
  static absl::StatusOr<std::unique_ptr<Driver>> Create(DriverOptions options);
  ~Driver();  // Stop()

  void Start();
  void Stop();  // answers waiting polls and watchers, finishes what was posted

  // ---- sites ----
  void Heard(const transport::Peer& peer, const std::string& agent_version);
  void Submit(const transport::Peer& peer, wire::SiteMessage message, Then<absl::Status> then);

  // ---- operators ----
  void SubmitExperiment(const transport::Peer& peer, wire::SignedDocument plan, Then<absl::StatusOr<JobId>> then);
  void AbortExperiment(const transport::Peer& peer, const JobId& job, const std::string& reason,
                       Then<absl::StatusOr<wire::ExperimentStatus>> then);
  void GetExperiment(const JobId& job, Then<absl::StatusOr<wire::ExperimentStatus>> then);
  void ListExperiments(Then<absl::StatusOr<std::vector<wire::ExperimentStatus>>> then);  // oldest first
  void ListSites(Then<absl::StatusOr<std::vector<wire::SiteStatus>>> then);
  void ListReleases(Then<absl::StatusOr<std::vector<wire::ReleaseStatus>>> then);
  void GetRelease(const ReleaseId& release, Then<absl::StatusOr<wire::ReleaseStatus>> then);
  // Events after `after_sequence`, at least one, as soon as there is one; none: it has ended and all were told, or
  // WakeWatchers().
  struct Events {
    std::vector<wire::ExperimentEvent> events;
    bool ended = false;
  };
  // False: stopping, and `then` is not called.
  bool NextEvents(const JobId& job, uint64_t after_sequence, Then<absl::StatusOr<Events>> then);
  void WakeWatchers(const JobId& job);
  // The last events, in order.
  void LastEvents(const JobId& job, Then<absl::StatusOr<std::vector<wire::ExperimentEvent>>> then);
  // The global models of an experiment, by round.
  void ListModels(const JobId& job, Then<absl::StatusOr<std::vector<ModelRecord>>> then);

  WorkBoard& board() { return board_; }
  transport::BlobPolicy blob_policy();

 private:
  struct Watcher {
    uint64_t after = 0;
    Then<absl::StatusOr<Events>> then;
  };

  explicit Driver(DriverOptions options);

  // On the owner thread.
  absl::Status LoadJobs();
  absl::Status SweepBlobs();
  absl::Time Settle();
  // Of `only`, or of all. False: some of it cannot be told now.
  bool PublishWork(Job& job, const std::optional<SiteSet>& only);
  absl::Status Dispatch(const SiteId& site, const wire::SiteMessage& message);
  absl::StatusOr<Job*> Find(const JobId& job);
  absl::StatusOr<JobId> Admit(const std::string& submitter, const wire::SignedDocument& document);
  absl::Status CheckExperiment(const plan::Experiment& experiment) const;
  absl::StatusOr<std::string> CheckRoomFor(const plan::Experiment& experiment) const;
  absl::StatusOr<JobId> NewJobId(const plan::Experiment& experiment, const Digest& plan_digest) const;
  absl::StatusOr<Events> EventsOf(const Job& job, uint64_t after) const;
  void TellWatchers();
  absl::Status NoteHeard(const SiteId& site, const transport::Peer& peer, const std::string& agent_version);
  // Runs `work` on the owner thread and gives its result to `then`; UNAVAILABLE when stopping.
  template <typename T>
  void Ask(Then<T> then, std::function<T()> work);

  DriverOptions options_;
  BlobAccess access_;
  WorkBoard board_;

  // Owner thread only.
  std::map<JobId, std::unique_ptr<Job>> jobs_;
  std::vector<JobId> order_;             // of submission
  std::map<JobId, uint64_t> published_;  // revision of each job whose work is on the board
  std::map<SiteId, wire::SiteStatus> sites_;
  std::map<SiteId, absl::Time> stored_seen_;               // last_seen as the database has it
  std::map<SiteId, std::map<JobId, Job::OpenWork>> work_;  // as published
  std::multimap<JobId, Watcher> watchers_;

  OwnerThread thread_;                                // its tasks use everything above
  std::unique_ptr<transport::TaskQueue> background_;  // what takes long at the end of a sum; it posts to `thread_`
};

}  // namespace cloister::coordinator
