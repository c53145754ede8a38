// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/driver.h"

#include <fmt/format.h>

#include <algorithm>

#include "coordinator/registry/registry.h"
#include "coordinator/storage/schema.h"
#include "protocols/base/log.h"
#include "protocols/storage/audit_log.h"

namespace cloister::coordinator {
namespace {

constexpr absl::Duration kStoreSeenEvery = absl::Seconds(30);
constexpr absl::Duration kKeepUnusedUpload = absl::Hours(24 * 7);
constexpr absl::Duration kKeepPartialUpload = absl::Hours(24 * 3);
constexpr absl::Duration kTryWorkAgain = absl::Seconds(5);
constexpr size_t kEventsAtOnce = 200;

// Trouble of this machine is no verdict on what a site sent: the site is to try again, not to leave.
absl::Status VerdictFor(const absl::Status& status) {
  const bool ours = absl::IsResourceExhausted(status) || absl::IsInternal(status) || absl::IsUnknown(status);
  return ours ? absl::UnavailableError(status.message()) : status;
}

absl::Status Stopping() {
  return absl::UnavailableError("the coordinator is stopping; try again");
}

}  // namespace

Driver::Driver(DriverOptions options)
    : options_(std::move(options)),
      access_(options_.most_model_bytes),
      thread_(options_.context.clock, [this] { return Settle(); }),
      background_(std::make_unique<transport::TaskQueue>(1)) {
  options_.context.in_background = [this](std::function<void()> work) {
    background_->Post([this, work = std::move(work)] {
      work();
      thread_.Post([] {});  // settles
    });
  };
}

Driver::~Driver() {
  Stop();
}

absl::StatusOr<std::unique_ptr<Driver>> Driver::Create(DriverOptions options) {
  storage::Database& database = *options.context.database;
  CLOISTER_RETURN_IF_ERROR(MigrateExperimentTables(database));
  CLOISTER_RETURN_IF_ERROR(MigrateRegistryTables(database));
  CLOISTER_RETURN_IF_ERROR(storage::AuditLog::Create(&database).status());
  std::unique_ptr<Driver> driver(new Driver(std::move(options)));
  CLOISTER_RETURN_IF_ERROR(driver->LoadJobs());
  CLOISTER_RETURN_IF_ERROR(driver->SweepBlobs());
  return driver;
}

absl::Status Driver::LoadJobs() {
  storage::Database& database = *options_.context.database;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<StoredExperiment> stored, LoadExperiments(database));
  for (const StoredExperiment& experiment : stored) {
    CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<Job> job, Job::Load(&options_.context, experiment));
    job->Resume();
    order_.push_back(experiment.job);
    jobs_[experiment.job] = std::move(job);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<wire::SiteStatus> sites, LoadSites(database));
  for (const wire::SiteStatus& site : sites) {
    sites_[site.site] = site;
    stored_seen_[site.site] = absl::FromUnixMillis(site.last_seen_unix_ms);
  }
  return absl::OkStatus();
}

// What a crash between two steps left behind, and what was uploaded and never used.
absl::Status Driver::SweepBlobs() {
  const JobContext& context = options_.context;
  const absl::Time now = context.clock->Now();
  DigestSet needed;
  for (const auto& [id, job] : jobs_) {
    job->AddReferences(needed);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<StoredUpload> uploads, LoadUploads(*context.database));
  for (const StoredUpload& upload : uploads) {
    const bool young = now < absl::FromUnixMillis(upload.time_ms) + kKeepUnusedUpload;
    bool wanted = upload.purpose == wire::BlobPurpose::kInitialModel && young;
    if (absl::StatusOr<JobId> id = JobId::Parse(upload.job); id.ok() && jobs_.count(*id) > 0) {
      const ExperimentMachine& machine = jobs_[*id]->machine();
      wanted =
          upload.purpose == wire::BlobPurpose::kMaskedVector
              ? machine.sum() != nullptr
              : std::holds_alternative<Baselines>(machine.state()) || std::holds_alternative<Training>(machine.state());
    }
    if (wanted) {
      needed.insert(upload.digest);
    } else {
      CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, context.database->Begin());
      CLOISTER_RETURN_IF_ERROR(ForgetUpload(transaction, upload.digest));
      CLOISTER_RETURN_IF_ERROR(transaction.Commit());
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Digest> blobs, context.blobs->List());
  for (const Digest& digest : blobs) {
    if (needed.count(digest) == 0) {
      CLOISTER_RETURN_IF_ERROR(context.blobs->Remove(digest));
    }
  }
  return context.blobs->SweepPartials(now, kKeepPartialUpload).status();
}

void Driver::Start() {
  thread_.Start();
}

void Driver::Stop() {
  board_.Close();
  thread_.Stop();
  std::multimap<JobId, Watcher> watchers;
  watchers.swap(watchers_);
  for (auto& [job, watcher] : watchers) {
    watcher.then(Stopping());
  }
}

template <typename T>
void Driver::Ask(Then<T> then, std::function<T()> work) {
  auto shared = std::make_shared<Then<T>>(std::move(then));
  if (!thread_.Post([shared, work = std::move(work)] { (*shared)(work()); })) {
    (*shared)(Stopping());
  }
}

// ---- the owner thread ----

absl::Time Driver::Settle() {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, job] : jobs_) {
    if (!job->machine().ended()) {
      next = std::min(next, job->Settle());
      // A site whose poll is waiting is there, only slow: it is asked again in the next sum.
      bool back = false;
      for (const SiteId& site : job->TakeNewlyAway()) {
        if (board_.IsWaiting(site)) {
          job->Heard(site);
          back = true;
        }
      }
      if (back) {
        next = std::min(next, job->Settle());
      }
    }
    const auto published = published_.find(id);
    if (published == published_.end() || published->second != job->revision()) {
      if (PublishWork(*job, job->TakeTouched())) {
        published_[id] = job->revision();
      } else {
        job->TouchAll();
        next = std::min(next, options_.context.clock->Now() + kTryWorkAgain);
      }
    }
  }
  TellWatchers();
  return next;
}

bool Driver::PublishWork(Job& job, const std::optional<SiteSet>& only) {
  const JobId& id = job.stored().job;
  SiteSet sites;
  if (only) {
    sites = *only;
  } else {
    for (const auto& [site, participant] : job.machine().sites()) {
      sites.insert(sites.end(), site);
    }
  }
  bool all_told = true;
  SiteSet changed;
  for (const SiteId& site : sites) {
    const std::string key = job.WorkKeyFor(site);
    std::map<JobId, Job::OpenWork>& open = work_[site];
    const auto known = open.find(id);
    if (known == open.end() ? key.empty() : known->second.key == key) {
      continue;
    }
    changed.insert(site);
    std::optional<Job::OpenWork> work = job.WorkFor(site);
    all_told = all_told && (key.empty() || work.has_value());
    if (work) {
      open[id] = *std::move(work);
    } else {
      open.erase(id);
    }
  }
  // Before a site hears that it may.
  only ? access_.Update(id, sites, job.BlobRights(sites)) : access_.Set(id, job.BlobRights());
  for (const SiteId& site : changed) {
    auto work = std::make_shared<BoardWork>();
    std::vector<std::string> keys;
    for (const auto& [other, open] : work_[site]) {
      keys.push_back(open.key);
      work->items.push_back(open.make);
    }
    work->version = WorkVersion(keys);
    board_.Publish(site, std::move(work));
  }
  return all_told;
}

absl::StatusOr<Job*> Driver::Find(const JobId& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) {
    return absl::NotFoundError("no experiment " + id.value());
  }
  return found->second.get();
}

// ---- sites ----

void Driver::Heard(const transport::Peer& peer, const std::string& agent_version) {
  thread_.Post([this, peer, agent_version] {
    absl::StatusOr<SiteId> site = SiteId::Parse(peer.id);
    const absl::Status status = site.ok() ? NoteHeard(*site, peer, agent_version) : site.status();
    if (!status.ok()) {
      Log()->warn("{}: {}", peer.id, std::string(status.message()));
    }
    if (site.ok()) {
      for (const auto& [id, job] : jobs_) {
        if (!job->machine().ended()) {
          job->Heard(*site);
        }
      }
    }
  });
}

absl::Status Driver::NoteHeard(const SiteId& site, const transport::Peer& peer, const std::string& agent_version) {
  const absl::Time now = options_.context.clock->Now();
  const bool known = sites_.count(site) > 0;
  wire::SiteStatus& status = sites_[site];
  const int64_t expires = absl::ToUnixMillis(peer.certificate_expires);
  const bool news = !known || status.agent_version != agent_version || status.certificate_expires_unix_ms != expires;
  status.site = site;
  status.first_seen_unix_ms = known ? status.first_seen_unix_ms : absl::ToUnixMillis(now);
  status.last_seen_unix_ms = absl::ToUnixMillis(now);
  status.agent_version = agent_version;
  status.certificate_expires_unix_ms = expires;
  if (!news && now < stored_seen_[site] + kStoreSeenEvery) {
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(storage::Transaction transaction, options_.context.database->Begin());
  CLOISTER_RETURN_IF_ERROR(PutSite(transaction, status));
  CLOISTER_RETURN_IF_ERROR(transaction.Commit());
  stored_seen_[site] = now;
  return absl::OkStatus();
}

void Driver::Submit(const transport::Peer& peer, wire::SiteMessage message, Then<absl::Status> then) {
  Ask<absl::Status>(std::move(then), [this, id = peer.id, message = std::move(message)]() -> absl::Status {
    CLOISTER_ASSIGN_OR_RETURN(const SiteId site, SiteId::Parse(id));
    return VerdictFor(Dispatch(site, message));
  });
}

absl::Status Driver::Dispatch(const SiteId& site, const wire::SiteMessage& message) {
  if (const auto* release = std::get_if<wire::ReleaseAnswer>(&message)) {
    CLOISTER_ASSIGN_OR_RETURN(const wire::ReleaseStatus status,
                              LoadRelease(*options_.context.database, release->release));
    CLOISTER_ASSIGN_OR_RETURN(Job * job, Find(status.job));
    return job->TakeReleaseAnswer(site, release->state);
  }
  struct Visitor {
    Driver& driver;
    const SiteId& site;
    absl::Status operator()(const wire::ExperimentAnswer& m) {
      CLOISTER_ASSIGN_OR_RETURN(Job * job, driver.Find(m.job));
      return job->Answer(site, m);
    }
    absl::Status operator()(const wire::BaselineReady& m) {
      CLOISTER_ASSIGN_OR_RETURN(Job * job, driver.Find(m.job));
      return job->TakeBaseline(site, m);
    }
    absl::Status operator()(const wire::GraphReveal& m) {
      CLOISTER_ASSIGN_OR_RETURN(Job * job, driver.Find(m.job));
      return job->TakeReveal(site, m);
    }
    absl::Status operator()(const wire::SumMessage& m) {
      CLOISTER_ASSIGN_OR_RETURN(Job * job, driver.Find(m.job));
      return job->TakeSumMessage(site, m);
    }
    absl::Status operator()(const wire::SiteSummary& m) {
      CLOISTER_ASSIGN_OR_RETURN(Job * job, driver.Find(m.job));
      return job->TakeSummary(site, m);
    }
    absl::Status operator()(const wire::SiteFailure& m) {
      CLOISTER_ASSIGN_OR_RETURN(Job * job, driver.Find(m.job));
      return job->TakeFailure(site, m);
    }
    absl::Status operator()(const wire::ReleaseAnswer&) { return absl::InternalError("handled above"); }
  };
  return std::visit(Visitor{*this, site}, message);
}

transport::BlobPolicy Driver::blob_policy() {
  transport::BlobPolicy policy;
  policy.may_put = [this](const transport::Peer& peer, const wire::BlobHeader& header) {
    return access_.MayPut(peer, header);
  };
  policy.may_get = [this](const transport::Peer& peer, const Digest& digest) { return access_.MayGet(peer, digest); };
  policy.stored = [this](const transport::Peer& peer, const wire::BlobHeader& header) {
    const JobContext& context = options_.context;
    // On the disk with the message that names the blob; a blob without a note is swept away at the next start.
    absl::StatusOr<storage::Transaction> transaction = context.database->Begin(storage::Durable::kWithNext);
    absl::Status status = transaction.status();
    if (status.ok()) {
      status = NoteUpload(*transaction, {peer.id, header.digest, header.purpose, header.job.value(),
                                         absl::ToUnixMillis(context.clock->Now())});
    }
    if (status.ok()) {
      status = transaction->Commit();
    }
    if (!status.ok()) {
      Log()->warn("an upload of {} is not noted: {}", peer.id, std::string(status.message()));
    }
  };
  return policy;
}

// ---- operators ----

void Driver::SubmitExperiment(const transport::Peer& peer, wire::SignedDocument plan,
                              Then<absl::StatusOr<JobId>> then) {
  Ask<absl::StatusOr<JobId>>(std::move(then), [this, id = peer.id, plan = std::move(plan)] { return Admit(id, plan); });
}

void Driver::AbortExperiment(const transport::Peer& peer, const JobId& job, const std::string& reason,
                             Then<absl::StatusOr<wire::ExperimentStatus>> then) {
  Ask<absl::StatusOr<wire::ExperimentStatus>>(
      std::move(then), [this, who = peer.id, job, reason]() -> absl::StatusOr<wire::ExperimentStatus> {
        CLOISTER_ASSIGN_OR_RETURN(Job * found, Find(job));
        CLOISTER_RETURN_IF_ERROR(found->Abort(reason, who));
        return found->Status();
      });
}

void Driver::GetExperiment(const JobId& job, Then<absl::StatusOr<wire::ExperimentStatus>> then) {
  Ask<absl::StatusOr<wire::ExperimentStatus>>(std::move(then), [this, job]() -> absl::StatusOr<wire::ExperimentStatus> {
    CLOISTER_ASSIGN_OR_RETURN(Job * found, Find(job));
    return found->Status();
  });
}

void Driver::ListExperiments(Then<absl::StatusOr<std::vector<wire::ExperimentStatus>>> then) {
  using List = absl::StatusOr<std::vector<wire::ExperimentStatus>>;
  Ask<List>(std::move(then), [this]() -> List {
    std::vector<wire::ExperimentStatus> list;
    for (const JobId& id : order_) {
      list.push_back(jobs_.at(id)->Status());
    }
    return list;
  });
}

void Driver::ListSites(Then<absl::StatusOr<std::vector<wire::SiteStatus>>> then) {
  using List = absl::StatusOr<std::vector<wire::SiteStatus>>;
  Ask<List>(std::move(then), [this]() -> List {
    std::vector<wire::SiteStatus> list;
    for (const auto& [id, site] : sites_) {
      list.push_back(site);
    }
    return list;
  });
}

void Driver::ListReleases(Then<absl::StatusOr<std::vector<wire::ReleaseStatus>>> then) {
  using List = absl::StatusOr<std::vector<wire::ReleaseStatus>>;
  Ask<List>(std::move(then), [this]() -> List { return LoadReleases(*options_.context.database); });
}

void Driver::GetRelease(const ReleaseId& release, Then<absl::StatusOr<wire::ReleaseStatus>> then) {
  using Result = absl::StatusOr<wire::ReleaseStatus>;
  Ask<Result>(std::move(then),
              [this, release]() -> Result { return LoadRelease(*options_.context.database, release); });
}

void Driver::ListModels(const JobId& job, Then<absl::StatusOr<std::vector<ModelRecord>>> then) {
  using List = absl::StatusOr<std::vector<ModelRecord>>;
  Ask<List>(std::move(then), [this, job]() -> List {
    CLOISTER_ASSIGN_OR_RETURN(Job * found, Find(job));
    return found->models();
  });
}

// ---- watching ----

absl::StatusOr<Driver::Events> Driver::EventsOf(const Job& job, uint64_t after) const {
  Events result;
  result.ended = job.machine().ended();
  if (job.last_note() <= after) {
    return result;
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Note> notes,
                            LoadNotes(*options_.context.database, job.stored().job, after, kEventsAtOnce));
  const wire::ExperimentStatus status = job.Status();
  for (const Note& note : notes) {
    result.events.push_back({note.sequence, note.time_ms, note.text, status});
  }
  return result;
}

void Driver::LastEvents(const JobId& job, Then<absl::StatusOr<std::vector<wire::ExperimentEvent>>> then) {
  using List = absl::StatusOr<std::vector<wire::ExperimentEvent>>;
  Ask<List>(std::move(then), [this, job]() -> List {
    CLOISTER_ASSIGN_OR_RETURN(Job * found, Find(job));
    const uint64_t last = found->last_note();
    CLOISTER_ASSIGN_OR_RETURN(Events events, EventsOf(*found, last > kEventsAtOnce ? last - kEventsAtOnce : 0));
    return std::move(events.events);
  });
}

bool Driver::NextEvents(const JobId& job, uint64_t after_sequence, Then<absl::StatusOr<Events>> then) {
  return thread_.Post([this, job, after_sequence, then = std::move(then)] {
    const auto found = jobs_.find(job);
    if (found == jobs_.end()) {
      then(absl::NotFoundError("no experiment " + job.value()));
      return;
    }
    absl::StatusOr<Events> events = EventsOf(*found->second, after_sequence);
    if (!events.ok() || !events->events.empty() || events->ended) {
      then(std::move(events));
    } else {
      watchers_.insert({job, Watcher{after_sequence, then}});
    }
  });
}

void Driver::TellWatchers() {
  for (auto watcher = watchers_.begin(); watcher != watchers_.end();) {
    const Job& job = *jobs_.at(watcher->first);
    if (job.last_note() <= watcher->second.after && !job.machine().ended()) {
      ++watcher;
      continue;
    }
    const Watcher told = std::move(watcher->second);
    watcher = watchers_.erase(watcher);
    told.then(EventsOf(job, told.after));
  }
}

void Driver::WakeWatchers(const JobId& job) {
  thread_.Post([this, job] {
    const auto [first, last] = watchers_.equal_range(job);
    std::vector<Watcher> woken;
    for (auto watcher = first; watcher != last; ++watcher) {
      woken.push_back(std::move(watcher->second));
    }
    watchers_.erase(first, last);
    for (const Watcher& watcher : woken) {
      watcher.then(Events{});
    }
  });
}

}  // namespace cloister::coordinator
