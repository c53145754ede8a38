// SPDX-License-Identifier: Apache-2.0
#include "eval/report/report_json.h"

#include <nlohmann/json.hpp>

namespace cloister::eval {
namespace {

using Json = nlohmann::json;

Json Of(const Estimate& estimate) {
  return {{"value", estimate.value}, {"lower", estimate.lower}, {"upper", estimate.upper},
          {"level", estimate.level}, {"n", estimate.n},         {"method", estimate.method}};
}

Json Of(const Estimable<Estimate>& estimate) {
  return estimate.ok() ? Of(*estimate) : Json{{"not_estimable", ReasonCode(estimate.reason())}};
}

Json Of(const Disclosed<Estimate>& estimate) {
  if (estimate.suppressed()) {
    return {{"suppressed", true}};
  }
  return estimate.ok() ? Of(*estimate) : Json{{"not_estimable", ReasonCode(estimate.reason())}};
}

Json Of(const LocalText& text) {
  return {{"en", text.en}, {"zh", text.zh}};
}

Json Of(const Confusion& table) {
  return {{"true_positives", table.true_positives},
          {"false_negatives", table.false_negatives},
          {"true_negatives", table.true_negatives},
          {"false_positives", table.false_positives}};
}

Json CaseIds(const std::vector<const ReportCase*>& cases) {
  Json list = Json::array();
  for (const ReportCase* one : cases) {
    list.push_back({{"case", one->id}, {"score", one->prediction.score}});
  }
  return list;
}

Json SubgroupsJson(const ReportNumbers& numbers) {
  Json list = Json::array();
  for (const SubgroupLevel& level : numbers.subgroups) {
    Json metrics = Json::object();
    for (const SubgroupMetric& one : level.metrics) {
      metrics[one.metric] = {{"value", Of(one.value)}, {"difference", Of(one.difference)}};
      if (one.difference.ok()) {
        metrics[one.metric]["p_value"] = one.p_value;
        metrics[one.metric]["holm_p"] = one.holm_p;
      }
    }
    list.push_back({{"column", level.column},
                    {"level", level.level},
                    {"studies", level.cases},
                    {"patients", level.patients},
                    {"positive_patients", level.positive_patients},
                    {"metrics", metrics}});
  }
  return list;
}

Json OverSitesJson(const ReportNumbers& numbers) {
  Json all = Json::object();
  for (const PooledMetric& metric : numbers.over_sites) {
    Json sites = Json::array();
    for (const auto& [site, estimate] : metric.sites) {
      sites.push_back({{"site", site}, {"value", Of(estimate)}});
    }
    Json pooled = Of(metric.pooled.ok() ? Estimable<Estimate>(metric.pooled->mean) : metric.pooled.reason());
    if (metric.pooled.ok()) {
      pooled.update({{"prediction_lower", metric.pooled->prediction_lower},
                     {"prediction_upper", metric.pooled->prediction_upper},
                     {"tau_squared", metric.pooled->tau_squared},
                     {"i_squared", metric.pooled->i_squared},
                     {"q", metric.pooled->q},
                     {"q_p_value", metric.pooled->q_p_value}});
    }
    all[metric.metric] = {{"sites", sites}, {"pooled", pooled}, {"scale", metric.logit ? "logit" : "plain"}};
  }
  return all;
}

Json RecalibrationJson(const Estimable<Recalibration>& line) {
  return {{"slope", Of(line.ok() ? Estimable<Estimate>(line->slope) : line.reason())},
          {"intercept", Of(line.ok() ? Estimable<Estimate>(line->intercept) : line.reason())}};
}

Json GatesJson(const ReportInput& input) {
  Json gates = Json::array();
  for (const ReportedGate& one : input.gates) {
    gates.push_back({{"rule", GateInWords(one.gate)},
                     {"verdict", OutcomeCode(one.verdict.outcome)},
                     {"reason", one.verdict.reason},
                     {"basis", Of(one.verdict.basis)}});
  }
  return gates;
}

Json FlowJson(const ReportInput& input) {
  Json rejected = Json::array();
  for (const auto& [reason, count] : input.flow.rejected) {
    rejected.push_back({{"reason", Of(reason)}, {"studies", count}});
  }
  return {
      {"retrieved", input.flow.retrieved},       {"eligible", input.flow.eligible}, {"rejected", rejected},
      {"no_reference", input.flow.no_reference}, {"training", input.flow.training}, {"analysed", input.cases.size()}};
}

Json ProvenanceJson(const Provenance& provenance) {
  Json more = Json::array();
  for (const auto& [name, value] : provenance.more) {
    more.push_back({{"name", Of(name)}, {"value", value}});
  }
  return {{"release", provenance.release},
          {"model_digest", provenance.model_digest},
          {"manifest_digest", provenance.manifest_digest},
          {"plan_digest", provenance.plan_digest},
          {"experiment", provenance.experiment},
          {"rounds", provenance.rounds},
          {"sites", provenance.sites},
          {"code_version", provenance.code_version},
          {"generated_utc", provenance.generated_utc},
          {"more", more}};
}

Json PrivacyJson(const std::optional<PrivacyStatement>& privacy) {
  if (!privacy) {
    return nullptr;
  }
  return {{"unit", privacy->unit},
          {"epsilon", privacy->epsilon},
          {"delta", privacy->delta},
          {"planned_epsilon", privacy->planned_epsilon},
          {"accountant", privacy->accountant},
          {"noise_multiplier", privacy->noise_multiplier},
          {"clip_norm", privacy->clip_norm},
          {"trainings", privacy->trainings}};
}

Json StatementJson(const StudyStatement& statement) {
  return {
      {"target_definition", Of(statement.target_definition)},
      {"reference_standard", Of(statement.reference_standard)},
      {"blinding", Of(statement.blinding)},
      {"conflicts_of_interest", Of(statement.conflicts_of_interest)},
      {"limitations", Of(statement.limitations)},
      {"overlapping_patients", statement.overlapping_patients ? Json(*statement.overlapping_patients) : Json(nullptr)},
      {"preregistered_utc", statement.preregistered_utc}};
}

Json SignOffJson(const std::optional<SignOff>& sign_off) {
  if (!sign_off) {
    return nullptr;
  }
  return {{"decision", sign_off->decision == SignOff::Decision::kAccepted ? "accepted" : "refused"},
          {"name", sign_off->name},
          {"role", sign_off->role},
          {"signed_utc", sign_off->signed_utc},
          {"comment", sign_off->comment}};
}

}  // namespace

std::string MeasuresJson(const ReportInput& input) {
  Json tables = Json::object();
  for (const MeasureTable& table : input.measure_tables) {
    for (const Measure& measure : table.measures) {
      tables[table.key][measure.key] = Of(measure.estimate);
    }
  }
  Json cases = Json::array();
  for (const auto& [id, value] : input.worst_cases) {
    cases.push_back({{"case", id}, {"dice", value}});
  }
  const Json report = {{"version", 1},
                       {"kind", "measures"},
                       {"task_kind", input.task},
                       {"task", Of(input.task_title)},
                       {"tested", {{"studies", input.measured_cases}, {"patients", input.measured_patients}}},
                       {"measures", tables},
                       {"categories", input.categories},
                       {"category_counts", input.category_counts},
                       {"cases", cases},
                       {"bootstrap", {{"replicates", input.bootstrap.replicates}, {"seed", input.bootstrap.seed}}},
                       {"provenance", ProvenanceJson(input.provenance)}};
  return report.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ReportJson(const ReportInput& input, const ReportNumbers& numbers) {
  Json metrics = Json::object();
  for (const auto& [name, estimate] : numbers.model.metrics) {
    metrics[name] = Of(estimate);
  }
  Json comparisons = Json::object();
  for (const Comparison& one : numbers.comparisons) {
    comparisons[one.metric] = {{"model", Of(one.ours)},
                               {"local_only", Of(one.local_only)},
                               {"difference", Of(one.difference)},
                               {"mcnemar_p", one.mcnemar_p ? Json(*one.mcnemar_p) : Json(nullptr)}};
  }
  Json others = Json::array();
  for (const OtherSite& other : input.others) {
    others.push_back({{"site", other.pseudonym},
                      {"summary", Json::parse(SummaryJson(other.summary), nullptr, /*allow_exceptions=*/false)}});
  }
  Json sweep = Json::array();
  for (const AtThreshold& one : numbers.sweep) {
    sweep.push_back({one.threshold, one.true_positives, one.false_positives});
  }
  Json calibration = Json::array();
  for (const CalibrationBin& bin : numbers.calibration) {
    calibration.push_back({{"n", bin.n}, {"positives", bin.positives}, {"mean_score", bin.mean_score}});
  }
  const Json report = {{"version", 1},
                       {"site", input.site_name},
                       {"task", Of(input.task_title)},
                       {"condition", Of(input.condition)},
                       {"tested",
                        {{"studies", numbers.studies},
                         {"patients", numbers.patients},
                         {"positive_patients", numbers.positive_patients},
                         {"negative_patients", numbers.negative_patients}}},
                       {"flow", FlowJson(input)},
                       {"threshold", input.threshold},
                       {"threshold_rule", input.threshold_rule},
                       {"prevalence", {{"value", numbers.prevalence}, {"given", numbers.prevalence_given}}},
                       {"table", Of(numbers.model.table)},
                       {"metrics", metrics},
                       {"ppv_at_prevalence", Of(numbers.ppv_at_prevalence)},
                       {"versus_local_only", comparisons},
                       {"gates", GatesJson(input)},
                       {"others", others},
                       {"misses", CaseIds(numbers.misses)},
                       {"false_alarms", CaseIds(numbers.false_alarms)},
                       {"sweep", {{"columns", {"threshold", "true_positives", "false_positives"}}, {"rows", sweep}}},
                       {"calibration_equal_mass", calibration},
                       {"calibration_line", RecalibrationJson(numbers.recalibration)},
                       {"subgroups", SubgroupsJson(numbers)},
                       {"over_sites", OverSitesJson(numbers)},
                       {"bootstrap", {{"replicates", input.bootstrap.replicates}, {"seed", input.bootstrap.seed}}},
                       {"provenance", ProvenanceJson(input.provenance)},
                       {"differential_privacy", PrivacyJson(input.privacy)},
                       {"statement", StatementJson(input.statement)},
                       {"sign_off", SignOffJson(input.sign_off)}};
  // A name may hold bytes that are not UTF-8: they are replaced, never an exception.
  return report.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace cloister::eval
