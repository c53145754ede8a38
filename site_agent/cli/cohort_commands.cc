// SPDX-License-Identifier: Apache-2.0
// cohort, cohort show, cohort build.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "site_agent/agent/agent.h"
#include "site_agent/agent/cohort_desk.h"
#include "site_agent/agent/site_keys.h"
#include "site_agent/cli/command.h"
#include "site_agent/cli/site_pacs.h"
#include "site_agent/cli/task_lookup.h"
#include "site_agent/cli/text.h"
#include "site_agent/cohort/pacs_study_source.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

struct CohortOptions {
  std::string task;
  std::string task_file;
  bool json = false;
  bool quiet = false;
};

absl::StatusOr<int> Print(Session& session, const std::vector<CohortBuildRow>& builds, bool json) {
  Json list = Json::array();
  for (const CohortBuildRow& build : builds) {
    CLOISTER_ASSIGN_OR_RETURN(const CohortReport report, ParseCohortReport(build.report));
    Json object = Json::parse(build.report, nullptr, false);
    object["built_unix_ms"] = build.built_unix_ms;
    object["usable"] = report.usable();
    list.push_back(std::move(object));
    if (!json) {
      session.out() << fmt::format("{}, built {}\n{}", build.task, LocalTime(build.built_unix_ms),
                                   CohortReportText(report));
    }
  }
  if (json) {
    session.out() << JsonLines(list);
  }
  return kDone;
}

absl::StatusOr<int> Show(Session& session, const CohortOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(std::vector<CohortBuildRow> builds, store->cohorts().Builds());
  if (!options.task.empty()) {
    builds.erase(std::remove_if(builds.begin(), builds.end(),
                                [&](const CohortBuildRow& row) { return row.task != options.task; }),
                 builds.end());
    if (builds.empty()) {
      return absl::NotFoundError(
          fmt::format("no cohort of {0} has been built here yet: cloister-site cohort build {0}", options.task));
    }
  }
  if (builds.empty() && !options.json) {
    session.out() << "No cohort has been built here yet: cloister-site cohort build TASK\n";
    return kDone;
  }
  return Print(session, builds, options.json);
}

absl::StatusOr<plan::Task> TaskFor(const SiteConfig& config, SiteStore& store, const CohortOptions& options) {
  if (options.task_file.empty()) {
    return FindTask(config, store.experiments(), options.task);
  }
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(options.task_file, 1 << 20));
  CLOISTER_ASSIGN_OR_RETURN(plan::Task task, plan::ParseTask(text, options.task_file));
  if (task.name != options.task) {
    return absl::InvalidArgumentError(
        fmt::format("{} is the task {}, not {}", options.task_file, task.name, options.task));
  }
  return task;
}

// Our own SCP, which the PACS sends to for C-MOVE; null for C-GET.
absl::StatusOr<std::unique_ptr<StorageScp>> ScpFor(const SiteConfig& config) {
  if (config.retrieve == RetrieveBy::kGet) {
    return nullptr;
  }
  StorageScpConfig scp;
  scp.ae_title = config.ae_title;
  scp.port = config.scp_port;
  scp.inbox = config.data / "inbox";
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(scp.inbox));
  auto started = StorageScp::Start(scp, [](const ReceivedInstance& instance) {
    return instance.move_originator_ae_title.empty()
               ? absl::UnavailableError("only what was asked for is taken while the agent is not running")
               : absl::OkStatus();
  });
  if (absl::IsAlreadyExists(started.status())) {
    return absl::FailedPreconditionError(
        fmt::format("port {} is taken, most likely by the running agent, and C-MOVE needs it: stop the agent for the "
                    "time of this command (it builds cohorts by itself when an experiment is offered), or set "
                    "pacs.retrieve to get",
                    config.scp_port));
  }
  return started;
}

absl::StatusOr<int> Build(Session& session, const CohortOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(const plan::Task task, TaskFor(config, *store, options));
  CLOISTER_ASSIGN_OR_RETURN(PacsClient pacs, PacsClient::Create(PacsOf(config)));
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<StorageScp> scp, ScpFor(config));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes secret, LoadSiteSecret(config.data));
  SetUpLogging(config.site.value(), options.quiet ? "warning" : config.log_level);

  PacsStudySource source(std::move(pacs), scp.get());
  Background background(1, [] {});
  WorkerJobs::Options worker;  // as the agent's, so that it finds the prepared images
  worker.program = WorkerProgram(config);
  worker.folder = config.data / "jobs";
  worker.threads = config.worker_threads;
  worker.limits.memory_bytes = config.worker_memory_mib << 20;
  worker.limits.time = absl::Milliseconds(config.worker_time_limit_ms);
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(worker.folder));
  WorkerJobs jobs(worker, &store->worker_jobs(), &background, &session.clock());
  CohortDesk desk(&config, store.get(), &source, &jobs, &secret, &session.clock());
  CLOISTER_RETURN_IF_ERROR(desk.Prepare(task, transport::StopSource()).status());
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<CohortBuildRow> build, store->cohorts().Build(task.name));
  if (!build.has_value()) {
    return absl::InternalError("the cohort was built and is not there");
  }
  return Print(session, {*build}, options.json);
}

}  // namespace

void AddCohortCommands(CommandSet& commands) {
  const auto options = std::make_shared<CohortOptions>();
  const Action show_action = [options](Session& session) { return Show(session, *options); };
  CLI::App* cohort =
      commands.Add("cohort", "The studies of a task at this site: found, labelled, usable, and why not",
                   {"cloister-site cohort                        all that were built",
                    "cloister-site cohort show chest_pneumonia", "cloister-site cohort build chest_pneumonia"},
                   show_action);
  CLI::App* show =
      commands.Add("show", "The last build, in numbers and lines",
                   {"cloister-site cohort show chest_pneumonia --json | jq '.[0].patients'"}, show_action, cohort);
  show->add_option("TASK", options->task, "All tasks when not given");
  show->add_flag("--json", options->json, "For scripts: a list of objects");

  CLI::App* build = commands.Add(
      "build", "Look into the PACS and the label file now; what was fetched before is not fetched again",
      {"cloister-site cohort build chest_pneumonia",
       "cloister-site cohort build chest_pneumonia --task-file models/tasks/chest_pneumonia.yaml"},
      [options](Session& session) { return Build(session, *options); }, cohort);
  build->add_option("TASK", options->task, "A task file's name, or the task of an offered experiment")->required();
  build->add_option("--task-file", options->task_file, "Instead of looking for it")->type_name("FILE");
  build->add_flag("--json", options->json, "For scripts: a list with one object");
  build->add_flag("--quiet", options->quiet, "No progress on stderr");
}

}  // namespace cloister::site
