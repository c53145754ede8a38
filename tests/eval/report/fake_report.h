#pragma once
// SPDX-License-Identifier: Apache-2.0
// Invented inputs of a validation report. No hospital, patient or model behind them.

#include <algorithm>
#include <cmath>
#include <random>

#include "eval/report/input.h"

namespace cloister::eval::testing {

struct FakeOptions {
  uint32_t positives = 90;
  uint32_t negatives = 210;
  double shift = 0.16;  // how far apart the classes are
  uint64_t seed = 7;
  int others = 4;
  bool local_only = true;
};

inline double Logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

inline std::vector<ReportCase> FakeCases(const FakeOptions& options) {
  std::mt19937_64 random(options.seed);
  auto hump = [&] {  // mean 0, roughly normal
    double sum = -2;
    for (int i = 0; i < 4; ++i) {
      sum += static_cast<double>(random() >> 11) * 0x1p-53;
    }
    return sum;
  };
  std::vector<ReportCase> cases;
  for (uint32_t i = 0; i < options.positives + options.negatives; ++i) {
    const bool label = i < options.positives;
    const double signal = hump();
    ReportCase one;
    one.id = "CX" + std::to_string(100000 + (i * 7919) % 89989);
    one.prediction = {i, label, Logistic(3.2 * signal + (label ? 12 : -13) * options.shift)};
    if (options.local_only) {
      one.local_only_score = Logistic(2.2 * signal + 1.4 * hump() + (label ? 9 : -9) * options.shift);
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

inline std::vector<Gate> FakeGates() {
  Gate sensitivity;
  sensitivity.metric = "sensitivity";
  sensitivity.bound = 0.8;
  Gate specificity;
  specificity.metric = "specificity";
  specificity.use = Gate::Using::kEstimate;
  specificity.bound = 0.95;
  Gate versus;
  versus.metric = "auc";
  versus.comparison = Gate::Comparison::kNonInferior;
  versus.bound = 0.02;
  return {sensitivity, specificity, versus};
}

inline SummaryInput ToSummaryInput(const ReportInput& input, const Cases& cases, const std::vector<double>& local_only,
                                   const std::vector<Gate>& gates) {
  SummaryInput summary;
  summary.cases = cases;
  summary.threshold = input.threshold;
  summary.local_only_scores = local_only;
  summary.gates = gates;
  summary.bootstrap = input.bootstrap;
  return summary;
}

inline void SplitCases(const std::vector<ReportCase>& from, Cases& cases, std::vector<double>& local_only) {
  for (const ReportCase& one : from) {
    cases.push_back(one.prediction);
    if (one.local_only_score) {
      local_only.push_back(*one.local_only_score);
    }
  }
}

inline ReportInput FakeReport(const FakeOptions& options = {}) {
  ReportInput input;
  input.site_name = "Lakeside Hospital";
  input.task_title = {"Pneumonia on the frontal chest radiograph", "正位胸片肺炎检测"};
  input.condition = {"pneumonia", "肺炎"};
  input.cases = FakeCases(options);
  input.threshold = 0.415;
  input.threshold_rule = "sensitivity 0.90";
  if (options.local_only) {
    input.local_only_threshold = 0.38;
  }
  input.prevalence = 0.12;
  input.studies_per_day = 140;
  input.bootstrap.replicates = 300;
  const uint64_t analysed = input.cases.size();
  input.flow.no_reference = 37;
  input.flow.rejected = {{{"unreadable image", "图像无法读取"}, 4}, {{"lateral view", "侧位片"}, 61}};
  input.flow.training = 5 * analysed + 12;
  input.flow.eligible = analysed + input.flow.training + input.flow.no_reference + 65;
  input.flow.retrieved = input.flow.eligible + 214;
  Cases cases;
  std::vector<double> local_only;
  SplitCases(input.cases, cases, local_only);
  const std::vector<Gate> gates = FakeGates();
  const GateNumbers numbers = *MeasureForGates(ToSummaryInput(input, cases, local_only, gates));
  for (const Gate& gate : gates) {
    input.gates.push_back({gate, Decide(gate, numbers)});
  }
  Gate pooled = gates[0];
  pooled.scope = Gate::Scope::kPooled;
  input.gates.push_back({pooled, {Outcome::kPass, "", Estimate{0.9012, 0.874, 0.923, 0.95, 812, "wilson"}}});
  const FakeOptions kinds[] = {{200, 400, 0.15, 21, 0, true},
                               {120, 130, 0.12, 22, 0, true},
                               {8, 300, 0.16, 23, 0, true},
                               {0, 133, 0.16, 24, 0, true},
                               {60, 70, 0.2, 25, 0, false}};
  for (int i = 0; i < options.others; ++i) {
    Cases other_cases;
    std::vector<double> other_local;
    SplitCases(FakeCases(kinds[i % 5]), other_cases, other_local);
    input.others.push_back({std::string(1, static_cast<char>('A' + i)),
                            *Summarise(ToSummaryInput(input, other_cases, other_local, gates), MinimumCell())});
  }
  input.provenance.release = "chest-pneumonia-2026 1.0.0.1";
  input.provenance.model_digest = std::string(32, '3') + std::string(32, 'a');
  input.provenance.manifest_digest = std::string(32, '7') + std::string(32, 'c');
  input.provenance.plan_digest = std::string(32, '0') + std::string(32, 'f');
  input.provenance.experiment = "chest-pneumonia-2026";
  input.provenance.rounds = 20;
  input.provenance.sites = 5;
  input.provenance.code_version = "0.1.0";
  input.provenance.generated_utc = "2026-03-01T08:15:30Z";
  input.provenance.more = {{{"Secure aggregation", "安全聚合"}, "required, 5 sites"}};
  input.statement.target_definition = {"Radiological pneumonia in the report of the same study",
                                       "同次检查报告所述的影像学肺炎"};
  input.statement.reference_standard = {"Two radiologists, a third on disagreement",
                                        "两名放射科医师，意见不一时由另一名裁定"};
  input.statement.limitations = {"Adults only; one scanner model", "仅成人；单一设备型号"};
  input.statement.overlapping_patients = 0;
  input.statement.preregistered_utc = "2026-01-12T09:00:00Z";
  input.viewer_link = "https://pacs.example/viewer?accession={case}";
  return input;
}

}  // namespace cloister::eval::testing
