// SPDX-License-Identifier: Apache-2.0
// status.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "site_agent/agent/progress_reporter.h"
#include "site_agent/cli/command.h"
#include "site_agent/cli/text.h"
#include "site_agent/storage/agent_life.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr size_t kEventsShown = 8;
constexpr size_t kStudiesCounted = 1000;

// Everything the command shows, read once.
struct Snapshot {
  AgentLife agent;
  std::vector<ExperimentRow> experiments;
  std::vector<ProgressRow> progress;
  std::vector<ReleaseRow> releases;
  std::vector<EventRow> events;
  std::map<std::string, int> served;  // state -> studies, of the newest
};

absl::StatusOr<Snapshot> Read(SiteStore& store, int64_t now_unix_ms) {
  Snapshot now;
  CLOISTER_ASSIGN_OR_RETURN(now.agent, ReadAgentLife(store.progress(), now_unix_ms));
  CLOISTER_ASSIGN_OR_RETURN(now.experiments, store.experiments().List());
  CLOISTER_ASSIGN_OR_RETURN(now.progress, store.progress().List());
  CLOISTER_ASSIGN_OR_RETURN(now.releases, store.releases().List());
  CLOISTER_ASSIGN_OR_RETURN(now.events, store.progress().Events(kEventsShown));
  CLOISTER_ASSIGN_OR_RETURN(const auto studies, store.serving().List(kStudiesCounted));
  for (const ServingStudyRow& study : studies) {
    ++now.served[std::string(ServingStateName(study.state))];
  }
  return now;
}

Json ToJson(const SiteConfig& config, const Snapshot& now) {
  Json experiments = Json::array();
  for (const ExperimentRow& row : now.experiments) {
    experiments.push_back({{"job", row.job.value()},
                           {"name", row.name},
                           {"task", row.task},
                           {"plan", row.plan_digest.hex()},
                           {"state", ExperimentStateName(row.state)},
                           {"refusal", row.refusal},
                           {"detail", row.detail},
                           {"closed_phase", row.closed_phase}});
  }
  Json progress = Json::array();
  for (const ProgressRow& row : now.progress) {
    progress.push_back({{"job", row.job},
                        {"step", row.step},
                        {"round", row.round},
                        {"rounds", row.rounds},
                        {"phase", row.phase},
                        {"epoch", row.epoch},
                        {"epochs", row.epochs},
                        {"batch", row.batch},
                        {"batches", row.batches},
                        {"loss", row.loss},
                        {"images_per_second", row.images_per_second},
                        {"eta_seconds", row.eta_seconds},
                        {"updated_unix_ms", row.updated_unix_ms}});
  }
  Json releases = Json::array();
  for (const ReleaseRow& row : now.releases) {
    releases.push_back({{"release", row.release.value()},
                        {"version", row.version},
                        {"task", row.task},
                        {"state", ReleaseStateName(row.state)},
                        {"detail", row.detail}});
  }
  Json events = Json::array();
  for (const EventRow& row : now.events) {
    events.push_back({{"time_unix_ms", row.time_unix_ms}, {"job", row.job}, {"text", row.text}});
  }
  return {{"site", config.site.value()},
          {"agent",
           {{"alive", now.agent.alive},
            {"pid", now.agent.pid},
            {"version", now.agent.version},
            {"heartbeat_unix_ms", now.agent.heartbeat_unix_ms},
            {"coordinator", now.agent.coordinator}}},
          {"experiments", experiments},
          {"progress", progress},
          {"releases", releases},
          {"served", now.served},
          {"events", events}};
}

std::string AgentInWords(const AgentLife& agent) {
  if (agent.alive) {
    return fmt::format("running, process {}; coordinator {}", agent.pid.empty() ? "unknown" : agent.pid,
                       agent.coordinator.empty() ? "not reached yet" : Printable(agent.coordinator));
  }
  return fmt::format("not running (last sign of life: {}); start it with cloister-site run",
                     LocalTime(agent.heartbeat_unix_ms));
}

std::string InWords(const SiteConfig& config, const Snapshot& now) {
  std::string text = FactsText({{"Site", config.site.value()}, {"Agent", AgentInWords(now.agent)}});
  const auto section = [&text](const char* title, const std::vector<std::vector<std::string>>& rows) {
    if (!rows.empty()) {
      text += fmt::format("\n{}\n{}", title, Columns(rows));
    }
  };
  std::vector<std::vector<std::string>> rows;
  for (const ExperimentRow& row : now.experiments) {
    const bool closed = row.state == ExperimentState::kClosed;
    rows.push_back({"  " + row.job.value(), Printable(row.name), std::string(ExperimentStateName(row.state)),
                    Printable(closed ? row.closed_phase + " " + row.closed_reason : row.refusal + " " + row.detail)});
  }
  section("Experiments", rows);
  rows.clear();
  for (const ProgressRow& row : now.progress) {
    rows.push_back({"  " + row.job, Printable(ProgressText(row))});
  }
  section("Now", rows);
  rows.clear();
  for (const ReleaseRow& row : now.releases) {
    rows.push_back({"  " + row.release.value(), Printable(row.version), std::string(ReleaseStateName(row.state)),
                    Printable(row.detail)});
  }
  section("Releases", rows);
  rows.clear();
  for (const auto& [state, count] : now.served) {
    rows.push_back({"  " + state, std::to_string(count)});
  }
  section("Studies from the PACS", rows);
  rows.clear();
  for (const EventRow& row : now.events) {
    rows.push_back({"  " + LocalTime(row.time_unix_ms), row.job, Printable(row.text)});
  }
  section("Lately", rows);
  return text;
}

}  // namespace

void AddStatusCommand(CommandSet& commands) {
  const auto json = std::make_shared<bool>(false);
  commands
      .Add("status", "What this site is doing: agent, experiments, progress, releases",
           {"cloister-site status", "watch -n 2 cloister-site status", "cloister-site status --json | jq .agent.alive"},
           [json](Session& session) -> absl::StatusOr<int> {
             CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
             CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
             CLOISTER_ASSIGN_OR_RETURN(const Snapshot now, Read(*store, session.NowUnixMs()));
             session.out() << (*json ? JsonLines(ToJson(config, now)) : InWords(config, now));
             return kDone;
           })
      ->add_flag("--json", *json, "For scripts: one object");
}

}  // namespace cloister::site
