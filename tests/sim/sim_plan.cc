// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_plan.h"

#include <fmt/format.h>

namespace cloister::sim {
namespace {

constexpr char kTask[] = R"(
task: toy
title_en: Toy
title_zh: Toy
condition_en: pneumonia
condition_zh: pneumonia
selection: {modalities: [CR, DX]}
preprocessing: {rows: 96, columns: 96, channels: 1, window: full, fit: letterbox}
label: {column: label, positive: "1", negative: "0"}
head: binary
loss: bce
finding: {value: "233604007", scheme: SCT, meaning: Pneumonia}
procedure: {value: "399208008", scheme: SCT, meaning: Plain X-ray of chest}
)";

constexpr char kExperiment[] = R"(
experiment: toy
task: toy
model: {{architecture: resnet18, init: he_normal, seed: 7}}
algorithm: {{name: fedavg, rounds: {}, optimizer: {{name: sgd, lr: 0.1}}, seed: 1, max_skipped_rounds: {}}}
sites: {{minimum: {}, maximum: {}, invitation: 1m, deadline: 1m}}
privacy: {{secure_aggregation: required, ring_bits: {}, clip: 2.0, weight_cap: 1000, minimum_cell: 10, guards: {{{}}}}}
evaluation: {{histogram_bins: 20, split_seed: 1}}
gates:
  - {{metric: auc, at_least: {}, statistic: lower_bound}}
ensemble: {{members: 2, candidates_last: {}, combiner: mean_probability, operating_point: youden}}
)";

}  // namespace

ToyModel MakeToyModel() {
  ToyModel model;
  model.layout = update::Layout::Create({{"weight", {5, 7}}, {"bias", {7}}, {"scale", {}}}).value();
  for (uint64_t i = 0; i < model.layout.parameters(); ++i) {
    model.values.push_back(0.01f * static_cast<float>(i) - 0.2f);
  }
  return model;
}

plan::Experiment MakePlan(const PlanOptions& options, const Digest& initial_model) {
  const std::string text =
      fmt::format(kExperiment, options.rounds, options.max_skipped, options.minimum, options.maximum, options.ring_bits,
                  options.guards, options.least_auc, options.candidates);
  plan::Experiment experiment =
      plan::ParseExperiment(text, "toy.yaml", [](const std::string&) -> absl::StatusOr<std::string> {
        return kTask;
      }).value();
  experiment.model.initial_model = initial_model;
  experiment.model.parameters = MakeToyModel().layout.parameters();
  return experiment;
}

}  // namespace cloister::sim
