// SPDX-License-Identifier: Apache-2.0
// privacy.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "site_agent/cli/command.h"
#include "site_agent/cli/text.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

struct PrivacyOptions {
  bool json = false;
};

Json ToJson(const PrivacyRow& row) {
  return {{"job", row.job.value()},
          {"experiment", row.experiment},
          {"task", row.task},
          {"unit", row.unit},
          {"state", PrivacyStateName(row.state)},
          {"epsilon", row.epsilon},
          {"delta", row.delta},
          {"max_epsilon", row.max_epsilon},
          {"spent_epsilon", row.spent_epsilon},
          {"trainings", row.trainings},
          {"rounds", row.rounds},
          {"steps", row.steps},
          {"sampling_probability", row.sampling_probability},
          {"noise_multiplier", row.noise_multiplier},
          {"clip_norm", row.clip_norm},
          {"training_patients", row.training_patients},
          {"accountant", row.accountant},
          {"updated_unix_ms", row.updated_unix_ms}};
}

std::string TableText(const std::vector<PrivacyRow>& rows) {
  std::vector<std::vector<std::string>> table = {
      {"JOB", "EXPERIMENT", "TASK", "UNIT", "EPSILON", "SPENT", "DELTA", "ROUNDS", "HERE"}};
  for (const PrivacyRow& row : rows) {
    const bool quoted = row.state == PrivacyState::kQuoted;
    table.push_back({row.job.value(), Printable(row.experiment), Printable(row.task), row.unit,
                     fmt::format("{:.3g}", row.epsilon), quoted ? "-" : fmt::format("{:.3g}", row.spent_epsilon),
                     fmt::format("{:g}", row.delta), fmt::format("{} of {}", row.trainings, row.rounds),
                     quoted                                 ? "offered"
                     : row.state == PrivacyState::kPromised ? "promised"
                                                            : "ended"});
  }
  return Columns(table);
}

absl::StatusOr<int> ShowLedger(Session& session, const PrivacyOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, ReadPolicy(config.policy));
  const std::optional<PrivacyLimit>& limit = policy.differential_privacy;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<PrivacyRow> rows, store->privacy().List());
  CLOISTER_ASSIGN_OR_RETURN(const PrivacyTotal total, store->privacy().Total());
  if (options.json) {
    Json ledger = Json::array();
    for (const PrivacyRow& row : rows) {
      ledger.push_back(ToJson(row));
    }
    Json result = {{"experiments", ledger},
                   {"spent_epsilon", total.spent_epsilon},
                   {"taken_epsilon", total.taken_epsilon},
                   {"taken_delta", total.taken_delta},
                   {"limit", nullptr}};
    if (limit.has_value()) {
      result["limit"] = {{"max_epsilon", limit->max_epsilon}, {"delta", limit->delta}, {"require", limit->require}};
    }
    session.out() << JsonLines(result);
    return kDone;
  }
  session.out() << (rows.empty() ? "No experiment with differential privacy was offered here yet.\n" : TableText(rows));
  session.out() << fmt::format("Spent: epsilon {:.3g}. Promised and not spent: {:.3g}. Delta taken: {:.3g}.\n",
                               total.spent_epsilon, total.taken_epsilon - total.spent_epsilon, total.taken_delta);
  session.out() << (limit.has_value()
                        ? fmt::format(
                              "The policy allows epsilon {:g} at delta {:g} in all{}: epsilon {:.3g} is left.\n",
                              limit->max_epsilon, limit->delta,
                              limit->require ? ", and no plan without differential privacy" : "",
                              std::max(0.0, limit->max_epsilon - total.taken_epsilon))
                        : std::string("The policy sets no limit (differential_privacy).\n"));
  return kDone;
}

}  // namespace

void AddPrivacyCommand(CommandSet& commands) {
  const auto options = std::make_shared<PrivacyOptions>();
  commands
      .Add("privacy", "What experiments with differential privacy have cost this site's patients, and what is left",
           {"cloister-site privacy", "cloister-site privacy --json | jq .spent_epsilon"},
           [options](Session& session) { return ShowLedger(session, *options); })
      ->add_flag("--json", options->json, "For scripts: the ledger and its totals");
}

}  // namespace cloister::site
