#pragma once
// SPDX-License-Identifier: Apache-2.0
// The experiment of the simulations: a real plan over a toy model of a few numbers.

#include <string>
#include <vector>

#include "protocols/plan/experiment.h"
#include "protocols/update/layout.h"

namespace cloister::sim {

struct ToyModel {
  update::Layout layout;
  std::vector<float> values;
};
ToyModel MakeToyModel();

struct PlanOptions {
  int rounds = 2;
  int minimum = 3;
  int maximum = 8;
  int ring_bits = 32;
  int max_skipped = 3;
  std::string guards;  // YAML of privacy.guards, without the braces
  int candidates = 2;
  double least_auc = 0.6;  // over all sites, lower bound
};
// Frozen: with the digest of `initial_model`. Deadlines are one minute.
plan::Experiment MakePlan(const PlanOptions& options, const Digest& initial_model);

}  // namespace cloister::sim
