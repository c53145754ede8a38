// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/release_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "eval/metrics/metric.h"
#include "eval/report/report.h"
#include "eval/stats/interval.h"
#include "protocols/crypto/hash.h"
#include "site_agent/cohort/study_outcome.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

Json EstimateJson(const eval::Estimable<eval::Estimate>& estimate) {
  if (!estimate.ok()) {
    return Json{{"not_estimable", eval::ReasonCode(estimate.reason())}};
  }
  return Json{{"value", estimate->value},
              {"lower", estimate->lower},
              {"upper", estimate->upper},
              {"n", estimate->n},
              {"method", estimate->method}};
}

eval::Estimable<eval::Estimate> Measure(const char* metric, const eval::Cases& cases, double threshold) {
  const eval::Metric* found = eval::FindMetric(metric);
  return found == nullptr ? eval::Estimable<eval::Estimate>(eval::Reason::kNotMeasured)
                          : eval::EstimateMetric(*found, cases, threshold);
}

eval::Cases WithScores(eval::Cases cases, const std::vector<double>& scores) {
  for (size_t i = 0; i < cases.size(); ++i) {
    cases[i].score = scores[i];
  }
  return cases;
}

eval::Flow FlowOf(const FrozenCohort& cohort, size_t analysed) {
  eval::Flow flow;
  const auto count = [&](StudyOutcome outcome) {
    const auto found = cohort.report.studies.find(outcome);
    return found == cohort.report.studies.end() ? uint64_t{0} : static_cast<uint64_t>(std::max(found->second, 0));
  };
  flow.retrieved = static_cast<uint64_t>(std::max(cohort.report.found, 0));
  flow.eligible =
      flow.retrieved - std::min(flow.retrieved, count(StudyOutcome::kNoLabel) + count(StudyOutcome::kNoMatchingImage) +
                                                    count(StudyOutcome::kNoPatientId));
  for (StudyOutcome outcome :
       {StudyOutcome::kConflictingLabels, StudyOutcome::kConflictingPatient, StudyOutcome::kDuplicateAccession,
        StudyOutcome::kNotRetrieved, StudyOutcome::kEmptyRetrieval, StudyOutcome::kPartialRetrieval,
        StudyOutcome::kImageRejected}) {
    if (count(outcome) > 0) {
      flow.rejected.emplace_back(
          eval::LocalText{std::string(StudyOutcomeAdvice(outcome)), std::string(StudyOutcomeAdviceZh(outcome))},
          count(outcome));
    }
  }
  flow.no_reference = count(StudyOutcome::kNoReference);
  flow.training = cohort.manifest.cases.size() - std::min(cohort.manifest.cases.size(), analysed);
  return flow;
}

eval::SignOff SignOffOf(const SignOffRow& row) {
  eval::SignOff sign_off;
  sign_off.decision =
      row.decision == SignOffDecision::kAccept ? eval::SignOff::Decision::kAccepted : eval::SignOff::Decision::kRefused;
  sign_off.name = row.person;
  sign_off.role = row.role;
  sign_off.comment = row.comment;
  sign_off.signed_utc = FormatUtc(absl::FromUnixMillis(row.time_unix_ms));
  return sign_off;
}

// What this site's training has told, not what was promised. Nothing: the plan has no differential privacy.
std::optional<eval::PrivacyStatement> PrivacyOf(const ReleaseEvidence& evidence) {
  const auto& planned = evidence.plan->privacy.differential_privacy;
  if (!planned.has_value()) {
    return std::nullopt;
  }
  eval::PrivacyStatement privacy;
  privacy.unit = planned->unit;
  privacy.delta = planned->delta;
  privacy.planned_epsilon = planned->max_epsilon;
  privacy.noise_multiplier = planned->noise_multiplier;
  privacy.clip_norm = planned->clip_norm;
  if (evidence.privacy.has_value()) {
    privacy.epsilon = evidence.privacy->spent_epsilon;
    privacy.trainings = evidence.privacy->trainings;
    privacy.accountant = evidence.privacy->accountant;
  }
  return privacy;
}

// The gates decided at this site: the plan's per-site ones, and the policy's own bound.
absl::StatusOr<std::vector<eval::ReportedGate>> JudgeHere(const Policy& policy, const ReleaseEvidence& evidence) {
  std::vector<eval::Gate> gates = GatesOf(*evidence.plan, true);
  if (policy.minimum_auc > 0) {
    eval::Gate own;
    own.metric = "auc";
    own.use = eval::Gate::Using::kEstimate;
    own.bound = policy.minimum_auc;
    gates.push_back(own);
  }
  eval::SummaryInput input;
  input.model = evidence.manifest_digest;
  input.cases = evidence.cases;
  input.threshold = evidence.manifest->operating_point;
  input.local_only_scores = evidence.local_only;
  input.gates = gates;
  CLOISTER_ASSIGN_OR_RETURN(const eval::GateNumbers numbers, eval::MeasureForGates(input));
  std::vector<eval::ReportedGate> judged;
  for (const eval::Gate& gate : gates) {
    judged.push_back({gate, eval::Decide(gate, numbers)});
  }
  return judged;
}

// The pooled gates as the coordinator decided them for the first member: the signed manifest has the verdict and its
// numbers in words.
std::vector<eval::ReportedGate> JudgedForAll(const plan::Experiment& plan, const plan::ReleaseManifest& manifest) {
  std::vector<eval::ReportedGate> judged;
  const std::vector<eval::Gate> gates = GatesOf(plan, false);
  for (size_t i = 0; i < gates.size(); ++i) {
    if (gates[i].scope == eval::Gate::Scope::kPerSite) {
      continue;
    }
    for (const plan::GateResult& result : manifest.gates) {
      if (result.scope == "pooled" && result.model_id == manifest.members.front().id &&
          result.rule == plan::GateInWords(plan.gates[i])) {
        eval::Verdict verdict;
        verdict.outcome = eval::ParseOutcome(result.verdict).value_or(eval::Outcome::kNotEstimable);
        verdict.reason = result.detail;
        judged.push_back({gates[i], verdict});
        break;
      }
    }
  }
  return judged;
}

// The other hospitals under letters, in an order that has nothing to do with their names. The manifest itself names
// them: the letters are for the page.
absl::StatusOr<std::vector<eval::OtherSite>> OthersThan(const SiteId& own, const plan::ReleaseManifest& manifest) {
  std::map<Digest, const plan::SiteResult*> shuffled;
  for (const plan::SiteResult& result : manifest.results) {
    if (result.site != own) {
      CanonicalWriter place;
      place.Blob("cloister/pseudonym").Blob(manifest.id.value()).Blob(result.site.value());
      shuffled[crypto::Sha256(place.bytes())] = &result;
    }
  }
  std::vector<eval::OtherSite> others;
  for (const auto& [place, result] : shuffled) {
    CLOISTER_ASSIGN_OR_RETURN(eval::SiteSummary summary, eval::ParseSummary(result->summary));
    const size_t number = others.size();
    std::string letters(1, static_cast<char>('A' + number % 26));
    others.push_back({number < 26 ? letters : letters + std::to_string(number / 26 + 1), std::move(summary)});
  }
  return others;
}

std::string ThresholdRuleOf(const plan::EnsembleRule& rule) {
  return rule.operating_point == "youden" ? rule.operating_point
                                          : fmt::format("{} {}", rule.operating_point, rule.target);
}

std::string NumbersJson(const SiteConfig& config, const ReleaseEvidence& evidence,
                        const std::vector<eval::ReportedGate>& gates, eval::Outcome outcome) {
  const plan::ReleaseManifest& manifest = *evidence.manifest;
  const CohortReport& cohort = evidence.cohort->report;
  const double threshold = manifest.operating_point;
  Json local_only = Json{{"auc", Json{{"not_estimable", eval::ReasonCode(eval::Reason::kNoBaseline)}}}};
  if (!evidence.local_only.empty()) {
    local_only["auc"] = EstimateJson(Measure("auc", WithScores(evidence.cases, evidence.local_only), threshold));
  }
  Json privacy;
  if (const auto stated = PrivacyOf(evidence); stated.has_value()) {
    privacy = Json{{"unit", stated->unit}, {"epsilon", stated->epsilon}, {"delta", stated->delta}};
  }
  Json judged = Json::array();
  for (const eval::ReportedGate& gate : gates) {
    judged.push_back(Json{{"rule", eval::GateInWords(gate.gate)},
                          {"verdict", eval::OutcomeCode(gate.verdict.outcome)},
                          {"detail", gate.verdict.reason}});
  }
  return Json{{"site", config.site.value()},
              {"release", manifest.id.value()},
              {"version", manifest.version},
              {"task", manifest.task.name},
              {"patients", cohort.patients},
              {"positive_patients", cohort.positive_patients},
              {"prevalence", cohort.patients == 0 ? 0.0
                                                  : static_cast<double>(cohort.positive_patients) /
                                                        static_cast<double>(cohort.patients)},
              {"test_patients", eval::CountPatients(evidence.cases)},
              {"operating_point", threshold},
              {"local_only", local_only},
              {"federated",
               {{"auc", EstimateJson(Measure("auc", evidence.cases, threshold))},
                {"sensitivity", EstimateJson(Measure("sensitivity", evidence.cases, threshold))},
                {"specificity", EstimateJson(Measure("specificity", evidence.cases, threshold))}}},
              {"differential_privacy", privacy},
              {"gates", judged},
              {"gate", eval::OutcomeCode(outcome)},
              {"gate_passed", outcome == eval::Outcome::kPass}}
      .dump();
}

// The first gate with this outcome, with its reason; "" when there is none.
std::string FirstWith(eval::Outcome outcome, const std::vector<eval::ReportedGate>& gates) {
  const auto found = std::find_if(gates.begin(), gates.end(), [outcome](const eval::ReportedGate& gate) {
    return gate.verdict.outcome == outcome;
  });
  return found == gates.end() ? "" : fmt::format("{}: {}", eval::GateInWords(found->gate), found->verdict.reason);
}

// This site's gates as one verdict.
void Conclude(const Policy& policy, const std::vector<eval::ReportedGate>& gates, ReleaseReport* report) {
  const std::string failed = FirstWith(eval::Outcome::kFail, gates);
  const std::string undecided = FirstWith(eval::Outcome::kNotEstimable, gates);
  if (!failed.empty()) {
    report->gate = eval::Outcome::kFail;
    report->gate_detail = failed;
  } else if (!undecided.empty()) {
    report->gate = policy.require_decided_gate ? eval::Outcome::kFail : eval::Outcome::kNotEstimable;
    report->gate_detail =
        fmt::format("this site's own gate could not be decided here{}: {}",
                    policy.require_decided_gate ? ", which its policy counts as failed" : "", undecided);
  } else {
    report->gate = eval::Outcome::kPass;
    report->gate_detail = gates.empty() ? "no gate is decided here" : "this site's gates hold";
  }
}

}  // namespace

absl::StatusOr<ReleaseReport> MakeReleaseReport(const SiteConfig& config, const Policy& policy,
                                                const ReleaseEvidence& evidence) {
  const plan::ReleaseManifest& manifest = *evidence.manifest;
  const plan::Task& task = manifest.task;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<eval::ReportedGate> gates, JudgeHere(policy, evidence));
  ReleaseReport result;
  Conclude(policy, gates, &result);

  eval::ReportInput input;
  input.site_name = config.name;
  input.task_title = {task.title_en, task.title_zh};
  input.condition = {task.condition_en, task.condition_zh};
  const std::vector<const ManifestCase*> tested = evidence.cohort->Of(CohortSplit::kTest);
  for (size_t i = 0; i < evidence.cases.size(); ++i) {
    eval::ReportCase one;
    one.id = tested[i]->accession_number;
    one.prediction = evidence.cases[i];
    if (!evidence.local_only.empty()) {
      one.local_only_score = evidence.local_only[i];
    }
    input.cases.push_back(std::move(one));
  }
  input.threshold = manifest.operating_point;
  input.threshold_rule = ThresholdRuleOf(evidence.plan->ensemble);
  input.flow = FlowOf(*evidence.cohort, evidence.cases.size());
  input.gates = gates;
  const std::vector<eval::ReportedGate> for_all = JudgedForAll(*evidence.plan, manifest);
  input.gates.insert(input.gates.end(), for_all.begin(), for_all.end());
  CLOISTER_ASSIGN_OR_RETURN(input.others, OthersThan(config.site, manifest));
  input.viewer_link = config.viewer_link;
  input.statement.overlapping_patients = 0;  // whole patients are split, see cohort/split.h
  input.statement.preregistered_utc = "";
  input.privacy = PrivacyOf(evidence);
  if (evidence.sign_off) {
    input.sign_off = SignOffOf(*evidence.sign_off);
  }
  eval::Provenance& from = input.provenance;
  from.release = fmt::format("{} {}", manifest.id.value(), manifest.version);
  from.model_digest = evidence.manifest_digest.hex();
  from.manifest_digest = evidence.cohort->digest.hex();
  from.plan_digest = manifest.plan.hex();
  from.experiment = evidence.plan->name;
  from.rounds = manifest.rounds;
  from.sites = static_cast<int>(manifest.sites.size());
  from.code_version = evidence.code_version;
  from.generated_utc = evidence.generated_utc;
  from.more.emplace_back(eval::LocalText{"this site's own gate", "本院验收条件"}, result.gate_detail);
  from.more.emplace_back(eval::LocalText{"operating point", "工作点"}, manifest.operating_point_rule);
  for (const plan::ReleaseMember& member : manifest.members) {
    from.more.emplace_back(eval::LocalText{"member " + member.id, "成员 " + member.id}, member.model.hex());
  }
  CLOISTER_ASSIGN_OR_RETURN(eval::Report report, eval::MakeReport(input));

  result.html = std::move(report.html);
  result.json = std::move(report.json);
  result.numbers = NumbersJson(config, evidence, gates, result.gate);
  return result;
}

}  // namespace cloister::site
