#pragma once
// SPDX-License-Identifier: Apache-2.0
// A task and an experiment that uses most keys, as people write them.

#include "protocols/plan/experiment.h"

namespace cloister::fuzz {

inline constexpr char kTask[] = R"(task: chest_pneumonia
title_en: Pneumonia
title_zh: 肺炎
condition_en: pneumonia
condition_zh: 肺炎
selection: {modalities: [CR, DX], view_positions: [PA]}
preprocessing: {rows: 96, columns: 96, window: full, fit: crop}
label: {column: label, positive: pneumonia, negative: normal}
head: binary
finding: {value: "233604007", scheme: SCT, meaning: Pneumonia}
procedure: {value: "399208008", scheme: SCT, meaning: Plain X-ray of chest}
)";

inline constexpr char kExperiment[] = R"(experiment: chest-2026
task: chest_pneumonia
model: {architecture: resnet18, seed: 7}
algorithm: {name: fedprox, rounds: 8, proximal_mu: 0.1, optimizer: {name: adamw, lr: 3.0e-4}}
sites: {minimum: 4, deadline: 2h, invited: [site-a, site-b, site-c, site-d]}
privacy: {colluders: 1, clip: 8, weight_cap: 500}
evaluation: {histogram_bins: 50}
gates:
  - {metric: auc, at_least: 0.7}
  - {metric: auc, versus: local_only, per_site: true, margin: 0.02}
ensemble: {members: 2, operating_point: sensitivity, target: 0.9}
)";

// Knows the task above only.
inline absl::StatusOr<std::string> LoadTask(const std::string& name) {
  if (name == "chest_pneumonia") return std::string(kTask);
  return absl::NotFoundError("no such task");
}

}  // namespace cloister::fuzz
