// SPDX-License-Identifier: Apache-2.0
// releases, sign, rollback.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "site_agent/cli/command.h"
#include "site_agent/cli/text.h"
#include "site_agent/storage/agent_life.h"
#include "site_agent/storage/decisions.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

struct ReleaseOptions {
  bool json = false;
  std::string release;
  std::string decision;
  std::string person;
  std::string role;
  std::string comment;
};

absl::StatusOr<int> ListReleases(Session& session, const ReleaseOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ReleaseRow> rows, store->releases().List());
  Json list = Json::array();
  std::vector<std::vector<std::string>> table = {{"RELEASE", "VERSION", "TASK", "HERE", "SIGNED BY", "", "REPORT"}};
  for (const ReleaseRow& row : rows) {
    CLOISTER_ASSIGN_OR_RETURN(const auto sign_off, store->releases().NewestSignOff(row.release));
    list.push_back(Json{{"release", row.release.value()},
                        {"job", row.job.value()},
                        {"version", row.version},
                        {"task", row.task},
                        {"digest", row.digest.hex()},
                        {"state", ReleaseStateName(row.state)},
                        {"detail", row.detail},
                        {"report_html", row.report_html},
                        {"report_json", row.report_json},
                        {"received_unix_ms", row.received_unix_ms},
                        {"updated_unix_ms", row.updated_unix_ms}});
    if (sign_off.has_value()) {
      list.back()["sign_off"] = Json{{"decision", SignOffDecisionName(sign_off->decision)},
                                     {"person", sign_off->person},
                                     {"role", sign_off->role},
                                     {"comment", sign_off->comment},
                                     {"time_unix_ms", sign_off->time_unix_ms}};
    }
    table.push_back({row.release.value(), Printable(row.version), Printable(row.task),
                     std::string(ReleaseStateName(row.state)), sign_off ? Printable(sign_off->person) : "",
                     Printable(row.detail), row.report_html});
  }
  if (options.json) {
    session.out() << JsonLines(list);
  } else {
    session.out() << (rows.empty() ? "No release has been offered to this site yet.\n" : Columns(table));
  }
  return kDone;
}

absl::StatusOr<int> Sign(Session& session, const ReleaseOptions& options, SignOffDecision decision) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  SignOffRow row;
  CLOISTER_ASSIGN_OR_RETURN(row.release, ReleaseId::Parse(options.release));
  row.decision = decision;
  row.person = options.person;
  row.role = options.role;
  row.comment = options.comment;
  row.time_unix_ms = session.NowUnixMs();
  const absl::StatusOr<ReleaseRow> release = store->releases().Get(row.release);  // as the person found it
  const absl::Status status = DecideRelease(store.get(), row, Account());
  if (absl::IsNotFound(status)) {
    return absl::NotFoundError(
        fmt::format("release {} was not offered to this site; cloister-site releases lists them", options.release));
  }
  CLOISTER_RETURN_IF_ERROR(status);
  if (decision == SignOffDecision::kAccept && release.ok()) {
    session.out() << fmt::format("validated here: {}\n", Printable(release->detail));
  }
  CLOISTER_ASSIGN_OR_RETURN(const AgentLife agent, ReadAgentLife(store->progress(), session.NowUnixMs()));
  session.out() << fmt::format(
      "{} of {} by {}, recorded; {}\n", SignOffDecisionName(decision), options.release, Printable(options.person),
      agent.alive ? "the agent acts on it within a second" : "the agent is not running: it acts on it once it does");
  return kDone;
}

}  // namespace

void AddReleaseCommands(CommandSet& commands) {
  const auto options = std::make_shared<ReleaseOptions>();
  commands
      .Add("releases", "Releases offered to this site, and where their validation reports are",
           {"cloister-site releases", "cloister-site releases --json | jq -r '.[0].report_html'"},
           [options](Session& session) { return ListReleases(session, *options); })
      ->add_flag("--json", options->json, "For scripts: a list of objects");

  const auto add_who = [](CLI::App* command, const std::shared_ptr<ReleaseOptions>& who) {
    command->add_option("--release", who->release, "See cloister-site releases")->type_name("ID")->required();
    command->add_option("--name", who->person, "Who decides")->required();
    command->add_option("--role", who->role, "In the hospital, for the report");
    command->add_option("--comment", who->comment, "Kept with the decision, shown in the report");
  };
  const auto signing = std::make_shared<ReleaseOptions>();
  CLI::App* sign = commands.Add(
      "sign", "A clinician accepts or declines a release, after reading its validation report",
      {"cloister-site sign --release rel-3f2a --name \"Dr Li\" --role \"chest radiology\" --decision accept",
       "cloister-site sign --release rel-3f2a --name \"Dr Li\" --decision decline --comment \"misses apical cases\""},
      [signing](Session& session) {
        return Sign(session, *signing,
                    signing->decision == "accept" ? SignOffDecision::kAccept : SignOffDecision::kDecline);
      });
  add_who(sign, signing);
  sign->add_option("--decision", signing->decision, "accept: use it on patients here; decline: do not")
      ->required()
      ->check(CLI::IsMember({"accept", "decline"}));

  const auto rolling = std::make_shared<ReleaseOptions>();
  CLI::App* rollback = commands.Add(
      "rollback", "Stop using an active release; the one that was in use before is used again",
      {"cloister-site rollback --release rel-3f2a --name \"Dr Li\" --comment \"too many false alarms since Monday\""},
      [rolling](Session& session) { return Sign(session, *rolling, SignOffDecision::kRollback); });
  add_who(rollback, rolling);
}

}  // namespace cloister::site
