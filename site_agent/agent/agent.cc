// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/agent.h"

#include <unistd.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "site_agent/agent/experiment_runner.h"
#include "site_agent/agent/release_desk.h"
#include "site_agent/agent/serving_desk.h"
#include "site_agent/agent/site_keys.h"
#include "site_agent/link/work_puller.h"

namespace cloister::site {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(500);

const JobId& JobOf(const wire::WorkItem& item) {
  return std::visit([](const auto& work) -> const JobId& { return work.job; }, item);
}

bool IsOnlyClosed(const std::vector<wire::WorkItem>& items) {
  return items.size() == 1 && std::holds_alternative<wire::ExperimentClosed>(items.front());
}

// A thread that runs `step` when woken and at every tick. Waking is remembered while a step runs.
class Loop {
 public:
  Loop(transport::StopSource stop, std::function<void()> step) : stop_(std::move(stop)), step_(std::move(step)) {
    thread_ = std::thread([this] { Run(); });
  }
  ~Loop() { Join(); }

  void Wake() {
    std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }
  void Join() {
    Wake();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  void Run() {
    while (!stop_.stopped()) {
      step_();
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, absl::ToChronoMilliseconds(kTick), [&] { return woken_ || stop_.stopped(); });
      woken_ = false;
    }
  }

  transport::StopSource stop_;
  std::function<void()> step_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace

std::filesystem::path WorkerProgram(const SiteConfig& config) {
  if (!config.worker_program.empty()) {
    return config.worker_program;
  }
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "cloister-worker";
}

struct Agent::Wiring {
  // The items of one job, handed from the dispatcher to its loop.
  struct Experiment {
    std::mutex mutex;
    std::vector<wire::WorkItem> items;  // guarded by mutex
    std::unique_ptr<ExperimentRunner> runner;
    std::unique_ptr<Loop> loop;
  };

  explicit Wiring(AgentParts the_parts, crypto::SecretBytes secret)
      : parts(std::move(the_parts)),
        site_secret(std::move(secret)),
        egress(parts.link, &parts.store->audit(), parts.clock, parts.config.site),
        models(parts.blobs, parts.link),
        chain(&parts.store->sums(), &models, parts.config.data),
        background(kLanes, [this] { WakeAll(); }),
        jobs(JobOptions(), &parts.store->worker_jobs(), &background, parts.clock),
        cohorts(&parts.config, parts.store, parts.source, &jobs, &site_secret, parts.clock),
        releases(&context),
        serving(&context, parts.sink, ServingDesk::Options()) {
    context.config = &parts.config;
    context.store = parts.store;
    context.egress = &egress;
    context.models = &models;
    context.chain = &chain;
    context.jobs = &jobs;
    context.cohorts = &cohorts;
    context.background = &background;
    context.signer = parts.signer;
    context.ca = &parts.ca;
    context.site_secret = &site_secret;
    context.clock = parts.clock;
    context.architectures = parts.architectures;
    context.version = parts.version;
    context.policy = [path = parts.config.policy] { return ReadPolicy(path); };
  }

  WorkerJobs::Options JobOptions() const {
    WorkerJobs::Options options;
    options.program = WorkerProgram(parts.config);
    options.folder = parts.config.data / "jobs";
    options.threads = parts.config.worker_threads;
    options.limits.memory_bytes = parts.config.worker_memory_mib << 20;
    options.limits.time = absl::Milliseconds(parts.config.worker_time_limit_ms);
    options.environment = parts.worker_environment;
    return options;
  }

  void WakeAll() {
    std::vector<Loop*> loops;
    {
      std::lock_guard lock(mutex);
      for (auto& [job, experiment] : experiments) {
        loops.push_back(experiment->loop.get());
      }
      loops.push_back(release_loop.get());
      loops.push_back(sign_off_loop.get());
    }
    for (Loop* loop : loops) {
      if (loop != nullptr) {
        loop->Wake();
      }
    }
  }

  // On the puller's thread: hands the list over.
  void OnWork(wire::Work work) {
    std::map<JobId, std::vector<wire::WorkItem>> by_job;
    std::vector<wire::ReleaseOffer> offers;
    for (wire::WorkItem& item : work.items) {
      if (const auto* offer = std::get_if<wire::ReleaseOffer>(&item)) {
        offers.push_back(*offer);
      } else {
        by_job[JobOf(item)].push_back(std::move(item));
      }
    }
    {
      std::lock_guard lock(mutex);
      release_offers = std::move(offers);
      for (auto& [job, experiment] : experiments) {
        std::lock_guard items_lock(experiment->mutex);
        experiment->items = std::move(by_job[job]);
        by_job.erase(job);
      }
      for (auto item = by_job.begin(); item != by_job.end();) {
        if (stop.stopped() || IsOnlyClosed(item->second)) {
          ++item;
          continue;
        }
        AddExperiment(item->first, std::move(item->second));
        item = by_job.erase(item);
      }
    }
    for (const auto& [job, items] : by_job) {  // ended while this agent was away: no thread for that
      ExperimentRunner(&context, job).Step(items, stop);
    }
    WakeAll();
  }

  // Under `mutex`.
  void AddExperiment(const JobId& job, std::vector<wire::WorkItem> items) {
    auto experiment = std::make_unique<Experiment>();
    experiment->items = std::move(items);
    experiment->runner = std::make_unique<ExperimentRunner>(&context, job);
    Experiment* const borrowed = experiment.get();
    experiment->loop = std::make_unique<Loop>(stop, [this, borrowed] {
      std::vector<wire::WorkItem> open;
      {
        std::lock_guard lock(borrowed->mutex);
        open = borrowed->items;
      }
      borrowed->runner->Step(open, stop);
    });
    experiments.emplace(job, std::move(experiment));
  }

  void StepReleases() {
    std::vector<wire::ReleaseOffer> offers;
    {
      std::lock_guard lock(mutex);
      offers = release_offers;
    }
    releases.Step(offers, stop);
  }

  // A rollback and the sign of life must not wait for a coordinator that is away.
  void StepSignOffs() {
    releases.ApplySignOffs();
    if (parts.clock->Now() - heartbeat >= absl::Seconds(5)) {
      heartbeat = parts.clock->Now();
      (void)parts.store->progress().SetFact("heartbeat_unix_ms", std::to_string(absl::ToUnixMillis(heartbeat)));
    }
  }

  void OnState(const LinkState& state) {
    (void)parts.store->progress().SetFact("coordinator",
                                          state.connected ? "connected" : "not connected: " + state.problem);
  }

  AgentParts parts;
  crypto::SecretBytes site_secret;
  transport::StopSource stop;
  SiteContext context;
  EgressGate egress;
  ModelStore models;
  ModelChain chain;

  std::mutex mutex;
  std::map<JobId, std::unique_ptr<Experiment>> experiments;  // guarded by mutex
  std::vector<wire::ReleaseOffer> release_offers;            // guarded by mutex
  absl::Time heartbeat = absl::InfinitePast();               // of the sign-off loop
  std::unique_ptr<Loop> release_loop;
  std::unique_ptr<Loop> sign_off_loop;
  std::unique_ptr<Loop> serving_loop;
  std::unique_ptr<WorkPuller> puller;

  Background background;
  WorkerJobs jobs;
  CohortDesk cohorts;
  ReleaseDesk releases;
  ServingDesk serving;
};

Agent::Agent(std::unique_ptr<Wiring> wiring) : wiring_(std::move(wiring)) {}

Agent::~Agent() {
  Stop();
}

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(AgentParts parts) {
  CLOISTER_ASSIGN_OR_RETURN(crypto::SecretBytes secret, LoadSiteSecret(parts.config.data));
  for (const char* folder : {"jobs", "spool", "reports", "results"}) {
    CLOISTER_RETURN_IF_ERROR(MakeDirectories(parts.config.data / folder));
  }
  return std::unique_ptr<Agent>(new Agent(std::make_unique<Wiring>(std::move(parts), std::move(secret))));
}

void Agent::Start() {
  Wiring& wiring = *wiring_;
  (void)wiring.parts.store->progress().SetFact("agent_pid", std::to_string(getpid()));
  (void)wiring.parts.store->progress().SetFact("agent_version", wiring.parts.version);
  {
    std::lock_guard lock(wiring.mutex);
    wiring.release_loop = std::make_unique<Loop>(wiring.stop, [&wiring] { wiring.StepReleases(); });
    wiring.sign_off_loop = std::make_unique<Loop>(wiring.stop, [&wiring] { wiring.StepSignOffs(); });
    wiring.serving_loop = std::make_unique<Loop>(wiring.stop, [&wiring] { wiring.serving.Step(wiring.stop); });
  }
  wiring.puller = std::make_unique<WorkPuller>(
      wiring.parts.link, WorkPuller::Options(), [&wiring](wire::Work work) { wiring.OnWork(std::move(work)); },
      [&wiring](const LinkState& state) { wiring.OnState(state); });
}

void Agent::Stop() {
  Wiring& wiring = *wiring_;
  wiring.stop.Stop();
  if (wiring.puller != nullptr) {
    wiring.puller->Stop();
  }
  for (Loop* loop : {wiring.release_loop.get(), wiring.sign_off_loop.get(), wiring.serving_loop.get()}) {
    if (loop != nullptr) {
      loop->Join();
    }
  }
  for (auto& [job, experiment] : wiring.experiments) {
    experiment->loop->Join();
  }
  wiring.background.Stop();
  (void)wiring.parts.store->progress().SetFact("agent_pid", "");
}

absl::Status Agent::OnReceived(const ReceivedInstance& instance) {
  const absl::Status status = wiring_->serving.OnReceived(instance);
  return status;
}

}  // namespace cloister::site
