// SPDX-License-Identifier: Apache-2.0
// experiments, approve, decline.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "protocols/plan/experiment.h"
#include "site_agent/cli/command.h"
#include "site_agent/cli/text.h"
#include "site_agent/policy/privacy_words.h"
#include "site_agent/storage/decisions.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr size_t kLeastPrefix = 6;

struct ExperimentOptions {
  bool json = false;
  std::string which;
  std::string person;
  std::string comment;
  bool yes = false;
};

std::string StateInWords(const ExperimentRow& row) {
  switch (row.state) {
    case ExperimentState::kOffered:
      return "waits for approval";
    case ExperimentState::kAccepted:
      return "taking part";
    case ExperimentState::kRefused:
      return row.refusal == "NOT_APPROVED" ? "waits for approval" : "refused " + row.refusal;
    case ExperimentState::kClosed:
      return "ended: " + row.closed_phase;
  }
  return "";
}

Json ToJson(const ExperimentRow& row) {
  return {{"job", row.job.value()},
          {"name", row.name},
          {"task", row.task},
          {"sponsor", row.sponsor},
          {"plan", row.plan_digest.hex()},
          {"state", ExperimentStateName(row.state)},
          {"refusal", row.refusal},
          {"detail", row.detail},
          {"closed_phase", row.closed_phase},
          {"closed_reason", row.closed_reason},
          {"received_unix_ms", row.received_unix_ms}};
}

absl::StatusOr<int> ListExperiments(Session& session, const ExperimentOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ExperimentRow> rows, store->experiments().List());
  if (options.json) {
    Json list = Json::array();
    for (const ExperimentRow& row : rows) {
      list.push_back(ToJson(row));
    }
    session.out() << JsonLines(list);
    return kDone;
  }
  if (rows.empty()) {
    session.out() << "The coordinator has offered no experiment yet.\n";
    return kDone;
  }
  std::vector<std::vector<std::string>> table = {{"JOB", "EXPERIMENT", "TASK", "SPONSOR", "PLAN", "HERE", ""}};
  for (const ExperimentRow& row : rows) {
    const std::string& why = row.state == ExperimentState::kClosed ? row.closed_reason : row.detail;
    table.push_back({row.job.value(), Printable(row.name), Printable(row.task), Printable(row.sponsor),
                     row.plan_digest.short_hex(), StateInWords(row), Printable(why)});
  }
  session.out() << Columns(table);
  return kDone;
}

// By job id, or by the beginning of the plan's digest.
absl::StatusOr<ExperimentRow> FindExperiment(SiteStore& store, const std::string& which) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ExperimentRow> rows, store.experiments().List());
  std::vector<const ExperimentRow*> found;
  for (const ExperimentRow& row : rows) {
    if (row.job.value() == which) {
      return row;
    }
    if (which.size() >= kLeastPrefix && row.plan_digest.hex().compare(0, which.size(), which) == 0) {
      found.push_back(&row);
    }
  }
  if (found.empty()) {
    return absl::NotFoundError(fmt::format(
        "no experiment '{}' was offered here; cloister-site experiments lists them (a job, or at least {} digits of a "
        "plan)",
        which, kLeastPrefix));
  }
  for (const ExperimentRow* row : found) {
    if (row->plan_digest != found.front()->plan_digest) {
      return absl::InvalidArgumentError(fmt::format("{} plans begin with '{}': give more digits", found.size(), which));
    }
  }
  return *found.front();
}

std::string TrainingInWords(const plan::Algorithm& algorithm) {
  return fmt::format("{}, {} rounds of {} local epoch{}, batch {}, {} (learning rate {:g})", algorithm.name,
                     algorithm.rounds, algorithm.local_epochs, algorithm.local_epochs == 1 ? "" : "s",
                     algorithm.batch_size, algorithm.optimizer.name, algorithm.optimizer.lr);
}

// What the ledger says of the experiment, and the policy of all of them.
absl::StatusOr<PrivacyOffer> PrivacyOf(const SiteConfig& config, SiteStore& store, const JobId& job,
                                       const plan::Experiment& plan) {
  PrivacyOffer offer;
  offer.planned = plan.privacy.differential_privacy;
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<PrivacyRow> row, store.privacy().Get(job));
  if (row.has_value()) {
    offer.epsilon = row->epsilon;
    offer.training_patients = row->training_patients;
  }
  CLOISTER_ASSIGN_OR_RETURN(const PrivacyTotal others, store.privacy().Total(job));
  offer.spent = others.spent_epsilon;
  offer.promised = others.taken_epsilon - others.spent_epsilon;
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, ReadPolicy(config.policy));
  offer.limit = policy.differential_privacy;
  return offer;
}

std::string PlanInWords(const ExperimentRow& row, const plan::Experiment& plan, const PrivacyOffer& privacy) {
  std::vector<std::pair<std::string, std::string>> facts = {
      {"Experiment", fmt::format("{}  (job {})", Printable(plan.name), row.job.value())},
      {"Sponsor", Printable(row.sponsor)},
      {"Task", fmt::format("{}: {}", Printable(plan.task.name), Printable(plan.task.title_en))},
      {"Model", fmt::format("{}, {:.1f} M parameters", Printable(plan.model.architecture),
                            static_cast<double>(plan.model.parameters) / 1e6)},
      {"Training", Printable(TrainingInWords(plan.algorithm))},
      {"Sums", fmt::format("secure aggregation {}; a sum opens over at least {} sites, with up to {} colluding",
                           Printable(plan.privacy.secure_aggregation), plan.sites.minimum, plan.privacy.colluders)},
      {"Privacy", Printable(PrivacyInWords(privacy))},
      {"Guards", fmt::format("{}; {} rounds in a row without a model end it", plan::GuardsInWords(plan.privacy.guards),
                             plan.algorithm.max_skipped_rounds)},
      {"Told about us",
       fmt::format("counts of at least {} patients, metrics and gate verdicts of {:.0f}% test patients",
                   plan.privacy.minimum_cell, plan.evaluation.test_share * 100)}};
  std::string name = plan.gates.empty() ? "" : "Gates";
  for (const plan::Gate& gate : plan.gates) {
    facts.emplace_back(std::exchange(name, ""), Printable(plan::GateInWords(gate)));
  }
  facts.emplace_back("Plan digest", row.plan_digest.hex());
  facts.emplace_back("Here", StateInWords(row) + (row.detail.empty() ? "" : ": " + Printable(row.detail)));
  return FactsText(facts);
}

absl::StatusOr<int> Decide(Session& session, const ExperimentOptions& options, ApprovalDecision decision) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(const ExperimentRow row, FindExperiment(*store, options.which));
  const bool approve = decision == ApprovalDecision::kApproved;
  const absl::StatusOr<plan::Experiment> plan = plan::ParsePlan(row.plan);
  if (plan.ok()) {
    CLOISTER_ASSIGN_OR_RETURN(const PrivacyOffer privacy, PrivacyOf(config, *store, row.job, *plan));
    session.out() << PlanInWords(row, *plan, privacy);
  } else if (approve) {
    return Annotate(plan.status(),
                    fmt::format("the plan of {} cannot be read, so it cannot be approved", row.job.value()));
  }
  session.out().flush();
  if (!options.yes && !session.Ask(approve ? "Approve exactly this plan?" : "Decline this plan?")) {
    return absl::CancelledError("nothing was decided (--yes answers the question)");
  }
  ApprovalRow approval;
  approval.job = row.job;
  approval.plan_digest = row.plan_digest;
  approval.decision = decision;
  approval.person = options.person.empty() ? Account().substr(4) : options.person;
  approval.comment = options.comment;
  approval.time_unix_ms = session.NowUnixMs();
  CLOISTER_RETURN_IF_ERROR(DecideExperiment(store.get(), approval, Account()));
  session.out() << fmt::format("{} by {}: plan {}\n", approve ? "approved" : "declined", Printable(approval.person),
                               row.plan_digest.short_hex());
  return kDone;
}

void AddDecision(CommandSet& commands, const std::string& name, const std::string& about, ApprovalDecision decision) {
  const auto options = std::make_shared<ExperimentOptions>();
  CLI::App* command = commands.Add(
      name, about,
      {fmt::format("cloister-site {} job-3f2a --name \"Li Wei\" --comment \"discussed in the AI board\"", name),
       fmt::format("cloister-site {} 9c41d0 --yes         by the beginning of the plan's digest", name)},
      [options, decision](Session& session) { return Decide(session, *options, decision); });
  command->add_option("EXPERIMENT", options->which, "A job, or the beginning of a plan's digest")->required();
  command->add_option("--name", options->person, "Who decides; the account's name when not given");
  command->add_option("--comment", options->comment, "Kept with the decision");
  command->add_flag("--yes", options->yes, "Do not ask");
}

}  // namespace

void AddExperimentCommands(CommandSet& commands) {
  const auto options = std::make_shared<ExperimentOptions>();
  commands
      .Add("experiments", "What the coordinator has offered, and what this site answered",
           {"cloister-site experiments", "cloister-site experiments --json | jq '.[] | select(.state == \"offered\")'"},
           [options](Session& session) { return ListExperiments(session, *options); })
      ->add_flag("--json", options->json, "For scripts: a list of objects");
  AddDecision(commands, "approve", "Let this site take part in exactly this plan", ApprovalDecision::kApproved);
  AddDecision(commands, "decline", "Keep this site out of this plan", ApprovalDecision::kDeclined);
}

}  // namespace cloister::site
