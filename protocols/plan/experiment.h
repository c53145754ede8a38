#pragma once
// SPDX-License-Identifier: Apache-2.0
// An experiment and, once frozen, the plan: the task, model, algorithm, schedule, privacy and gates that all parties
// agree on. Its canonical JSON is what the sponsor signs, what a site approves by digest, and the only source of
// security parameters at a site.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/plan/task.h"
#include "protocols/update/quant_plan.h"

namespace cloister::plan {

struct Model {
  std::string architecture;  // resnet18, resnet34, unet_small (each also with _gn: group normalisation), torchscript
  std::string init;          // he_normal
  uint64_t seed = 0;
  Digest initial_model;     // SHA-256 of the safetensors file all sites start from; set when the plan is frozen
  uint64_t parameters = 0;  // number of float32 values in it; set when the plan is frozen
};

struct Optimizer {
  std::string name;  // sgd | adamw
  double lr = 0;
  double momentum = 0;
  double weight_decay = 0;
};

struct Algorithm {
  std::string name;  // fedavg | fedprox
  int rounds = 0;
  int local_epochs = 1;
  int batch_size = 16;
  int baseline_epochs = 0;  // epochs of the local-only baseline; default rounds * local_epochs, 10,000 at most
  bool augment = true;
  double proximal_mu = 0;  // fedprox
  Optimizer optimizer;
  uint64_t seed = 0;
  int max_skipped_rounds = 3;  // so many in a row that give no model end the experiment
};

struct Sites {
  int minimum = 5;                   // survivors a sum needs, at least 3; also how many must accept
  int maximum = 64;                  // the most that may take part, up to 2000; fixes the quantizer's scale
  std::vector<std::string> invited;  // site ids; empty: every enrolled site
  int64_t invitation_ms = 0;         // how long to wait for answers once the minimum has accepted
  int64_t deadline_ms = 0;           // for each phase of a round
};

// What the models of the rounds may tell about one unit, in (epsilon, delta). Two data sets are neighbours when one is
// the other without what one unit contributes. What it covers, and what not: docs/privacy.md.
inline constexpr char kPatientUnit[] = "patient";
inline constexpr char kSiteUnit[] = "site";
struct DifferentialPrivacy {
  std::string unit;             // patient: each site trains with noise (DP-SGD); site: noise in the secure sum
  double noise_multiplier = 0;  // standard deviation of the noise / clip_norm
  double clip_norm = 0;         // L2 bound of what one unit contributes: a patient's gradient, or a site's update
  double delta = 0;             // of the whole experiment
  double max_epsilon = 0;       // of the whole experiment: a site for which it would be more does not take part
};

// What the aggregate of a training round, the weighted mean of the updates, must keep to: one that does not gives no
// model (guards.h).
struct Guards {
  double max_update_norm = 0;  // its L2 norm; 0: no bound
  double max_norm_growth = 0;  // its norm over the median norm of the last accepted rounds; 0: no bound, else above 1
  double min_cosine = -1;      // to the aggregate of the last accepted round; -1: no bound
};

struct Privacy {
  std::string secure_aggregation;  // required (the only value there is)
  int colluders = 0;               // sites that may collude with the coordinator; at most (minimum - 1) / 3
  int ring_bits = 32;              // of an element of a summed update: 16, 24, 32 or 64
  double clip = 16.0;              // bound of one element of an update
  std::vector<update::TensorClip> tensor_clips;  // bounds of their own for some tensors; the first that fits
  double clip_norm = 0;                          // L2 bound of a whole update; 0: none
  uint64_t weight_cap = 0;                       // samples above this do not raise a site's weight
  Guards guards;
  int minimum_cell = 10;  // counts below are suppressed in what a site sends about itself
  std::optional<DifferentialPrivacy> differential_privacy;  // absent: none, and the plan's document does not name it
};

struct Evaluation {
  double tuning_share = 0.15;  // of patients
  double test_share = 0.15;
  int histogram_bins = 200;
  uint64_t split_seed = 0;
};

struct Gate {
  std::string metric;     // auc | sensitivity | specificity
  bool per_site = false;  // else pooled over all sites
  std::string versus;     // "" or local_only
  double at_least = 0;    // versus == "": the bound
  double margin = 0;      // versus == local_only: non-inferiority margin
  std::string statistic;  // estimate | lower_bound
};

struct EnsembleRule {
  int members = 1;              // the best accepted candidates, by pooled AUC on the tuning split
  int candidates_last = 3;      // the global models of the last rounds are candidates
  std::string combiner;         // mean_probability | mean_logit
  std::string operating_point;  // youden | sensitivity | specificity
  double target = 0;            // for sensitivity and specificity
};

struct Experiment {
  std::string name;  // identifier
  Task task;
  Model model;
  Algorithm algorithm;
  Sites sites;
  Privacy privacy;
  Evaluation evaluation;
  std::vector<Gate> gates;
  EnsembleRule ensemble;
};

// Gives the text of the task file called `name`, or NOT_FOUND with the names there are.
using TaskLoader = std::function<absl::StatusOr<std::string>(const std::string& name)>;

// Reads what a study coordinator wrote, with defaults filled in. INVALID_ARGUMENT: "file:line:column: ...; allowed:
// ...".
absl::StatusOr<Experiment> ParseExperiment(const std::string& text, const std::string& file,
                                           const TaskLoader& load_task);

// The frozen plan: canonical JSON with every field, the task inside. Sorted keys, no spaces.
Bytes PlanDocument(const Experiment& experiment);

// INVALID_ARGUMENT: not a plan, or not in canonical form (so that one plan has one digest).
absl::StatusOr<Experiment> ParsePlan(const Bytes& document);

// One line in words: "AUC at every site, lower bound >= 0.70".
std::string GateInWords(const Gate& gate);
// The same of guards: "norm at most 5, growth at most 10 times"; "none".
std::string GuardsInWords(const Guards& guards);

}  // namespace cloister::plan
