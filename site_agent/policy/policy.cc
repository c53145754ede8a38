// SPDX-License-Identifier: Apache-2.0
#include "site_agent/policy/policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/base/strict_yaml.h"

namespace cloister::site {
namespace {

constexpr int kMinutesOfDay = 24 * 60;

// "18:30" as minutes since midnight; -1 for anything else. "24:00" is the end of the day.
int ParseMinute(const std::string& text) {
  if (text.size() != 5 || text[2] != ':') {
    return -1;
  }
  for (size_t i : {0, 1, 3, 4}) {
    if (text[i] < '0' || text[i] > '9') {
      return -1;
    }
  }
  const int hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int minute = (text[3] - '0') * 10 + (text[4] - '0');
  const int total = hour * 60 + minute;
  return minute < 60 && total <= kMinutesOfDay ? total : -1;
}

int ReadMinute(StrictYaml& hours, const std::string& key, const std::string& otherwise) {
  const int minute = ParseMinute(hours.Text(key, otherwise));
  if (minute < 0) {
    hours.Fail(key, "a time of day is written \"18:30\", with quotes, from \"00:00\" to \"24:00\"");
    return 0;
  }
  return minute;
}

Decision Refuse(Refusal refusal, std::string detail) {
  return Decision{refusal, std::move(detail)};
}

// Why the privacy that `plan` costs is too much, or "".
std::string TooLittlePrivacy(const Policy& policy, const plan::Experiment& plan, const Facts& facts) {
  const auto& limit = policy.differential_privacy;
  const auto& planned = plan.privacy.differential_privacy;
  if (!planned.has_value()) {
    return limit.has_value() && limit->require
               ? "the plan has no differential privacy, which this site's policy requires"
               : "";
  }
  if (!facts.privacy.has_value()) {
    return "what the plan costs in privacy has not been computed";
  }
  if (!facts.privacy->asked.ok()) {
    return fmt::format("what the plan costs in privacy cannot be told: {}",
                       std::string(facts.privacy->asked.status().message()));
  }
  const plan::PlanEpsilon& asked = *facts.privacy->asked;
  // A number that is not finite fails each comparison.
  if (!(asked.epsilon <= planned->max_epsilon)) {
    return fmt::format(
        "here the experiment would cost epsilon {:.3g}, and the plan allows {:.3g}: more noise, fewer "
        "rounds, a smaller batch_size or more training patients cost less",
        asked.epsilon, planned->max_epsilon);
  }
  if (!limit.has_value()) {
    return "";
  }
  if (!(facts.privacy->taken_epsilon + asked.epsilon <= limit->max_epsilon)) {
    return fmt::format(
        "the experiment asks for epsilon {:.3g}; of this site's {:.3g}, {:.3g} are spent or promised and "
        "{:.3g} are left (cloister-site privacy)",
        asked.epsilon, limit->max_epsilon, facts.privacy->taken_epsilon,
        std::max(0.0, limit->max_epsilon - facts.privacy->taken_epsilon));
  }
  if (!(facts.privacy->taken_delta + asked.delta <= limit->delta)) {
    return fmt::format(
        "the experiment asks for delta {:.3g}; of this site's {:.3g}, {:.3g} are spent or promised "
        "(cloister-site privacy)",
        asked.delta, limit->delta, facts.privacy->taken_delta);
  }
  return "";
}

}  // namespace

absl::StatusOr<Policy> ParsePolicy(const std::string& text, const std::string& file) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml root, StrictYaml::Parse(text, file));
  Policy policy;
  policy.allowed_tasks = root.TextList("allowed_tasks", std::vector<std::string>{});
  policy.minimum_cohort = static_cast<int>(root.Int("minimum_cohort", 1, 100000000, 30));
  policy.minimum_sites = static_cast<int>(root.Int("minimum_sites", 3, 10000, 5));
  policy.secure_aggregation_required = root.OneOf("secure_aggregation", {"required"}, "required") == "required";
  policy.approval = root.OneOf("approval", {"manual", "automatic"}, "manual") == "automatic" ? Approval::kAutomatic
                                                                                             : Approval::kManual;
  StrictYaml hours = root.Map("hours", false);
  policy.hours.from_minute = ReadMinute(hours, "from", "00:00") % kMinutesOfDay;
  policy.hours.to_minute = ReadMinute(hours, "to", "24:00") % kMinutesOfDay;
  policy.share_local_baseline = root.OneOf("share_local_baseline", {"sealed", "never"}, "never") == "sealed"
                                    ? BaselineSharing::kSealed
                                    : BaselineSharing::kNever;
  policy.serving_allowed = root.OneOf("serving", {"allowed", "never"}, "never") == "allowed";
  StrictYaml gate = root.Map("release_gate", false);
  policy.minimum_auc = gate.Real("minimum_auc", 0, 1, 0.0);
  policy.require_decided_gate = gate.Bool("require_decided", false);
  if (root.Has("differential_privacy")) {
    StrictYaml privacy = root.Map("differential_privacy");
    PrivacyLimit limit;
    limit.max_epsilon = privacy.Real("max_epsilon", 1e-3, 1000);
    limit.delta = privacy.Real("delta", 1e-10, 1e-2);
    limit.require = privacy.Bool("require", false);
    policy.differential_privacy = limit;
  }
  CLOISTER_RETURN_IF_ERROR(root.Finish());
  return policy;
}

std::string_view RefusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNotApproved:
      return "NOT_APPROVED";
    case Refusal::kTaskNotAllowed:
      return "TASK_NOT_ALLOWED";
    case Refusal::kCohortTooSmall:
      return "COHORT_TOO_SMALL";
    case Refusal::kSecureAggregationRequired:
      return "SECURE_AGGREGATION_REQUIRED";
    case Refusal::kMinimumSitesTooLow:
      return "MINIMUM_SITES_TOO_LOW";
    case Refusal::kOutsideHours:
      return "OUTSIDE_HOURS";
    case Refusal::kSignatureInvalid:
      return "SIGNATURE_INVALID";
    case Refusal::kPlanInvalid:
      return "PLAN_INVALID";
    case Refusal::kUnsupportedModel:
      return "UNSUPPORTED_MODEL";
    case Refusal::kNoCohort:
      return "NO_COHORT";
    case Refusal::kDeclined:
      return "DECLINED";
    case Refusal::kDifferentialPrivacy:
      return "DIFFERENTIAL_PRIVACY";
  }
  return "NOT_APPROVED";
}

bool WithinHours(const HoursOfWork& hours, absl::Time now, absl::TimeZone zone) {
  if (hours.from_minute == hours.to_minute) {
    return true;
  }
  const absl::CivilSecond local = absl::ToCivilSecond(now, zone);
  const int minute = static_cast<int>(local.hour()) * 60 + local.minute();
  if (hours.from_minute < hours.to_minute) {
    return minute >= hours.from_minute && minute < hours.to_minute;
  }
  return minute >= hours.from_minute || minute < hours.to_minute;
}

Decision Decide(const Policy& policy, const plan::Experiment& plan, const Facts& facts, absl::Time now,
                absl::TimeZone zone) {
  if (facts.person == PersonsWord::kDeclined) {
    return Refuse(Refusal::kDeclined, "a person at this site declined the experiment");
  }
  if (std::find(policy.allowed_tasks.begin(), policy.allowed_tasks.end(), plan.task.name) ==
      policy.allowed_tasks.end()) {
    return Refuse(Refusal::kTaskNotAllowed,
                  fmt::format("task {} is not among allowed_tasks of the policy file", plan.task.name));
  }
  if (policy.secure_aggregation_required && plan.privacy.secure_aggregation != "required") {
    return Refuse(Refusal::kSecureAggregationRequired, "the plan does not require secure aggregation");
  }
  if (plan.sites.minimum < std::max(3, policy.minimum_sites)) {
    return Refuse(Refusal::kMinimumSitesTooLow,
                  fmt::format("the plan sums over as few as {} sites; this site's policy wants {}", plan.sites.minimum,
                              policy.minimum_sites));
  }
  if (facts.architectures.count(plan.model.architecture) == 0) {
    return Refuse(Refusal::kUnsupportedModel,
                  fmt::format("this site's worker does not know the architecture {}", plan.model.architecture));
  }
  if (!facts.label_file_configured) {
    return Refuse(Refusal::kNoCohort,
                  fmt::format("no label file is configured for task {}: add it under \"labels\" of the site's "
                              "configuration",
                              plan.task.name));
  }
  if (std::string too_little = TooLittlePrivacy(policy, plan, facts); !too_little.empty()) {
    return Refuse(Refusal::kDifferentialPrivacy, std::move(too_little));
  }
  if (policy.approval == Approval::kManual && facts.person != PersonsWord::kApproved) {
    return Refuse(Refusal::kNotApproved, "waits for a person: see cloister-site experiments, then approve or decline");
  }
  if (!WithinHours(policy.hours, now, zone)) {
    return Refuse(Refusal::kOutsideHours, "outside the hours of the policy file");
  }
  if (facts.patients.has_value()) {
    if (*facts.patients == 0) {
      return Refuse(Refusal::kNoCohort, "no usable study was found: see cloister-site cohort");
    }
    if (*facts.patients < policy.minimum_cohort) {
      return Refuse(Refusal::kCohortTooSmall, fmt::format("{} usable patients; the policy's minimum_cohort is {}",
                                                          *facts.patients, policy.minimum_cohort));
    }
  }
  return Decision{std::nullopt, "accepted"};
}

}  // namespace cloister::site
