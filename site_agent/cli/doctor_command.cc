// SPDX-License-Identifier: Apache-2.0
// doctor: examines, prints as it goes.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "site_agent/cli/command.h"
#include "site_agent/cli/doctor.h"
#include "site_agent/cli/text.h"
#include "site_agent/storage/agent_life.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

class Chart {
 public:
  Chart(Session* session, bool json) : session_(session), json_(json) {}

  void Add(const Finding& finding) {
    problems_ += finding.health == Health::kProblem ? 1 : 0;
    if (json_) {
      list_.push_back({{"subject", finding.subject},
                       {"health", HealthName(finding.health)},
                       {"text", finding.text},
                       {"advice", finding.advice}});
      return;
    }
    session_->out() << fmt::format("{:<8} {:<13} {}\n", HealthName(finding.health), finding.subject,
                                   Printable(finding.text));
    if (!finding.advice.empty()) {
      session_->out() << fmt::format("{:22} -> {}\n", "", Printable(finding.advice));
    }
    session_->out().flush();
  }

  int Finish() {
    if (json_) {
      session_->out() << JsonLines({{"healthy", problems_ == 0}, {"findings", list_}});
    } else if (problems_ > 0) {
      session_->out() << fmt::format("{} problem{}\n", problems_, problems_ == 1 ? "" : "s");
    }
    return problems_ == 0 ? kDone : kFailed;
  }

 private:
  Session* session_;
  bool json_;
  int problems_ = 0;
  Json list_ = Json::array();
};

absl::StatusOr<int> Examine(Session& session, bool json) {
  Chart chart(&session, json);
  const absl::StatusOr<SiteConfig> config = session.Config();
  if (!config.ok()) {
    chart.Add({"configuration", Health::kProblem, std::string(config.status().message()),
               absl::IsNotFound(config.status()) ? "" : "nothing else can be examined until this is corrected"});
    return chart.Finish();
  }
  chart.Add({"configuration", Health::kOk,
             fmt::format("site {}, {}", config->site.value(), session.ConfigFile().value_or("").string()), ""});
  const auto store = session.Store(*config);
  if (!store.ok()) {
    chart.Add({"disk", Health::kProblem, std::string(store.status().message()),
               fmt::format("the account {} must be able to write {}", Account().substr(4), config->data.string())});
    return chart.Finish();
  }
  Patient patient;
  patient.config = *config;
  patient.store = store->get();
  patient.clock = &session.clock();
  CLOISTER_ASSIGN_OR_RETURN(const AgentLife agent, ReadAgentLife((*store)->progress(), session.NowUnixMs()));
  patient.agent_alive = agent.alive;
  for (const Examination& examine : Examinations()) {
    for (const Finding& finding : examine(patient)) {
      chart.Add(finding);
    }
  }
  return chart.Finish();
}

}  // namespace

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kNote:
      return "note";
    case Health::kProblem:
      return "problem";
  }
  return "problem";
}

const std::vector<Examination>& Examinations() {
  static const std::vector<Examination>& all = *new std::vector<Examination>{
      ExamineFolders, ExamineCertificates, ExamineCoordinator, ExaminePacs,   ExamineOwnPort,
      ExamineLabels,  ExaminePolicy,       ExamineWorker,      ExaminePortal, ExamineAgent};
  return all;
}

void AddDoctorCommand(CommandSet& commands) {
  const auto json = std::make_shared<bool>(false);
  commands
      .Add("doctor",
           "Examine everything this site needs: certificates, coordinator, PACS, ports, disk, labels, policy, worker,\n"
           "portal. Exit status 1 when there is a problem; a note is no problem",
           {"cloister-site doctor", "cloister-site doctor --json | jq '.findings[] | select(.health == \"problem\")'"},
           [json](Session& session) { return Examine(session, *json); })
      ->add_flag("--json", *json, "For scripts: one object");
}

}  // namespace cloister::site
