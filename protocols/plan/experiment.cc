// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocols/base/ids.h"
#include "protocols/plan/json_text.h"
#include "protocols/secagg/ring.h"

namespace cloister::plan {
namespace {

constexpr int kLeastSites = 3;  // docs/secagg.md: the hard floor of a secure sum
constexpr int kMostSites = 2000;
constexpr int kUsualMostSites = 64;  // on the full graph
constexpr int64_t kMinuteMs = 60'000;
constexpr size_t kMostTensorClips = 100;
constexpr int64_t kMostEpochs = 10'000;  // of one job: what a site's worker takes

Model ReadModel(StrictYaml yaml, bool frozen) {
  Model model;
  model.architecture = yaml.OneOf("architecture", {"resnet18", "resnet34", "unet_small", "resnet18_gn", "resnet34_gn",
                                                   "unet_small_gn", "torchscript"});
  model.init = yaml.OneOf("init", {"he_normal"}, "he_normal");
  model.seed = yaml.Uint64("seed", 0);
  if (!frozen) return model;
  const absl::StatusOr<Digest> digest = Digest::FromHex(yaml.Text("initial_model"));
  if (digest.ok()) {
    model.initial_model = *digest;
  } else {
    yaml.Fail("initial_model", std::string(digest.status().message()));
  }
  model.parameters = yaml.Uint64("parameters");
  return model;
}

Optimizer ReadOptimizer(StrictYaml yaml) {
  Optimizer optimizer;
  optimizer.name = yaml.OneOf("name", {"sgd", "adamw"});
  optimizer.lr = yaml.Real("lr", 1e-9, 10);
  optimizer.momentum = yaml.Real("momentum", 0, 0.9999, optimizer.name == "sgd" ? 0.9 : 0.0);
  optimizer.weight_decay = yaml.Real("weight_decay", 0, 1, optimizer.name == "adamw" ? 1e-2 : 1e-4);
  return optimizer;
}

Algorithm ReadAlgorithm(StrictYaml yaml) {
  Algorithm algorithm;
  algorithm.name = yaml.OneOf("name", {"fedavg", "fedprox"});
  algorithm.rounds = static_cast<int>(yaml.Int("rounds", 1, 10'000));
  algorithm.local_epochs = static_cast<int>(yaml.Int("local_epochs", 1, 1000, 1));
  algorithm.batch_size = static_cast<int>(yaml.Int("batch_size", 2, 4096, 16));
  const int64_t all_epochs = int64_t{algorithm.rounds} * algorithm.local_epochs;
  algorithm.baseline_epochs =
      static_cast<int>(yaml.Int("baseline_epochs", 1, kMostEpochs, std::min(all_epochs, kMostEpochs)));
  algorithm.augment = yaml.Bool("augment", true);
  algorithm.proximal_mu = yaml.Real("proximal_mu", 0, 1000, algorithm.name == "fedprox" ? 0.01 : 0.0);
  if (algorithm.name != "fedprox" && algorithm.proximal_mu != 0) {
    yaml.Fail("proximal_mu", "'proximal_mu' belongs to the algorithm fedprox");
  }
  algorithm.optimizer = ReadOptimizer(yaml.Map("optimizer"));
  algorithm.seed = yaml.Uint64("seed", 0);
  algorithm.max_skipped_rounds = static_cast<int>(yaml.Int("max_skipped_rounds", 1, 100, 3));
  return algorithm;
}

Sites ReadSites(StrictYaml yaml) {
  Sites sites;
  sites.minimum = static_cast<int>(yaml.Int("minimum", kLeastSites, kMostSites, 5));
  sites.maximum =
      static_cast<int>(yaml.Int("maximum", sites.minimum, kMostSites, std::max(sites.minimum, kUsualMostSites)));
  sites.invited = yaml.TextList("invited", std::vector<std::string>());
  for (const std::string& site : sites.invited) {
    if (const absl::Status status = CheckIdentifier(site, "site id"); !status.ok()) {
      yaml.Fail("invited", std::string(status.message()));
    }
  }
  if (!sites.invited.empty() && sites.invited.size() < static_cast<size_t>(sites.minimum)) {
    yaml.Fail("invited",
              fmt::format("{} sites are invited but {} must take part", sites.invited.size(), sites.minimum));
  }
  sites.invitation_ms = yaml.DurationMs("invitation", 60 * kMinuteMs);
  sites.deadline_ms = yaml.DurationMs("deadline", 120 * kMinuteMs);
  return sites;
}

Guards ReadGuards(StrictYaml yaml) {
  Guards guards;
  guards.max_update_norm = yaml.Real("max_update_norm", 0, 1e12, 0.0);
  guards.max_norm_growth = yaml.Real("max_norm_growth", 0, 1e6, 0.0);
  if (guards.max_norm_growth != 0 && guards.max_norm_growth <= 1) {
    yaml.Fail("max_norm_growth", "'max_norm_growth' must be above 1, or 0 for no bound");
  }
  guards.min_cosine = yaml.Real("min_cosine", -1, 1, -1.0);
  return guards;
}

DifferentialPrivacy ReadDifferentialPrivacy(StrictYaml yaml) {
  DifferentialPrivacy privacy;
  privacy.unit = yaml.OneOf("unit", {kPatientUnit, kSiteUnit});
  privacy.noise_multiplier = yaml.Real("noise_multiplier", 0.1, 1000);
  privacy.clip_norm = yaml.Real("clip_norm", 1e-6, 1e6);
  privacy.delta = yaml.Real("delta", 1e-10, 1e-2);
  privacy.max_epsilon = yaml.Real("max_epsilon", 1e-3, 100);
  return privacy;
}

// Batch normalisation mixes the patients of a batch, so that no gradient is one patient's, and its running statistics
// are sent without noise. What a torchscript module does with a batch is not known.
void CheckNormalisation(StrictYaml& yaml, const Experiment& experiment) {
  const auto& privacy = experiment.privacy.differential_privacy;
  const std::string& architecture = experiment.model.architecture;
  if (!privacy.has_value() || privacy->unit != kPatientUnit) return;
  if (architecture == "resnet18" || architecture == "resnet34" || architecture == "unet_small") {
    yaml.Fail("model",
              fmt::format("{} normalises over the patients of a batch, which differential privacy for the unit patient "
                          "rules out; write 'architecture: {}_gn' (group normalisation)",
                          architecture, architecture));
  } else if (architecture == "torchscript") {
    yaml.Fail("model",
              "what a torchscript module computes over a batch is not known, which differential privacy for the unit "
              "patient rules out; allowed: resnet18_gn, resnet34_gn, unet_small_gn");
  }
}

// One sensitivity, so one bound and one scale for the whole update.
void CheckSiteUnit(StrictYaml& yaml, const Privacy& privacy) {
  if (privacy.differential_privacy->unit != kSiteUnit) return;
  if (!privacy.tensor_clips.empty()) {
    yaml.Fail("tensor_clips", "differential privacy for the unit site has one bound and scale for all tensors");
  }
  if (privacy.clip_norm != 0) {
    yaml.Fail("clip_norm", "with differential privacy for the unit site, write the bound as 'clip_norm' of that block");
  }
}

Privacy ReadPrivacy(StrictYaml yaml, bool frozen, const Sites& sites) {
  Privacy privacy;
  privacy.secure_aggregation = yaml.OneOf("secure_aggregation", {"required"}, "required");
  privacy.colluders = static_cast<int>(yaml.Int("colluders", 0, (sites.minimum - 1) / 3, (sites.minimum - 1) / 3));
  privacy.ring_bits = static_cast<int>(yaml.Int("ring_bits", 16, 64, 32));
  if (!secagg::IsRing(privacy.ring_bits)) {
    yaml.Fail("ring_bits", fmt::format("'ring_bits' is {}; allowed: 16, 24, 32, 64", privacy.ring_bits));
  }
  privacy.clip = yaml.Real("clip", 1e-6, 1e6, 16.0);
  for (StrictYaml& entry : yaml.MapList("tensor_clips", false)) {
    privacy.tensor_clips.push_back({entry.Text("tensor"), entry.Real("clip", 1e-6, 1e6)});
  }
  if (privacy.tensor_clips.size() > kMostTensorClips) {
    yaml.Fail("tensor_clips",
              fmt::format("{} clips; at most {} are allowed", privacy.tensor_clips.size(), kMostTensorClips));
  }
  privacy.clip_norm = yaml.Real("clip_norm", 0, 1e9, 0.0);
  privacy.weight_cap = yaml.Uint64("weight_cap", 10'000);
  if (privacy.weight_cap == 0) yaml.Fail("weight_cap", "'weight_cap' must be at least 1");
  privacy.guards = ReadGuards(yaml.Map("guards", frozen));
  privacy.minimum_cell = static_cast<int>(yaml.Int("minimum_cell", 1, 1'000'000, 10));
  if (yaml.Has("differential_privacy")) {
    privacy.differential_privacy = ReadDifferentialPrivacy(yaml.Map("differential_privacy"));
    CheckSiteUnit(yaml, privacy);
  }
  return privacy;
}

Evaluation ReadEvaluation(StrictYaml yaml) {
  Evaluation evaluation;
  evaluation.tuning_share = yaml.Real("tuning_share", 0.01, 0.49, 0.15);
  evaluation.test_share = yaml.Real("test_share", 0.01, 0.49, 0.15);
  evaluation.histogram_bins = static_cast<int>(yaml.Int("histogram_bins", 10, 10'000, 200));
  evaluation.split_seed = yaml.Uint64("split_seed", 0);
  return evaluation;
}

Gate ReadGate(StrictYaml yaml) {
  Gate gate;
  gate.metric = yaml.OneOf("metric", {"auc", "sensitivity", "specificity"});
  gate.per_site = yaml.Bool("per_site", false);
  gate.versus = yaml.OneOf("versus", {"", "local_only"}, "");
  if (gate.versus == "local_only") {
    if (gate.metric != "auc") yaml.Fail("metric", "a comparison with local_only is made on the metric auc");
    if (!gate.per_site) yaml.Fail("per_site", "a comparison with local_only needs 'per_site: true'");
    gate.margin = yaml.Real("margin", 0, 1);
    gate.statistic = yaml.OneOf("statistic", {"lower_bound"}, "lower_bound");
    gate.at_least = 0;
  } else {
    gate.at_least = yaml.Real("at_least", 0, 1);
    gate.statistic = yaml.OneOf("statistic", {"estimate", "lower_bound"}, "lower_bound");
  }
  return gate;
}

nlohmann::json TensorClipsJson(const std::vector<update::TensorClip>& clips) {
  nlohmann::json json = nlohmann::json::array();
  for (const update::TensorClip& one : clips) json.push_back({{"tensor", one.tensor}, {"clip", one.clip}});
  return json;
}

nlohmann::json GateJson(const Gate& gate) {
  nlohmann::json json = {{"metric", gate.metric}, {"per_site", gate.per_site}, {"statistic", gate.statistic}};
  if (gate.versus.empty()) {
    json["at_least"] = gate.at_least;
  } else {
    json["versus"] = gate.versus;
    json["margin"] = gate.margin;
  }
  return json;
}

EnsembleRule ReadEnsemble(StrictYaml yaml, int rounds) {
  EnsembleRule ensemble;
  ensemble.candidates_last = static_cast<int>(yaml.Int("candidates_last", 1, 100, 3));
  ensemble.members = static_cast<int>(yaml.Int("members", 1, 100, 1));
  if (ensemble.members > ensemble.candidates_last) {
    yaml.Fail("members",
              fmt::format("{} members cannot come from {} candidates", ensemble.members, ensemble.candidates_last));
  }
  // A shorter run has fewer candidates than it was written for.
  ensemble.candidates_last = std::min(ensemble.candidates_last, rounds);
  ensemble.members = std::min(ensemble.members, rounds);
  ensemble.combiner = yaml.OneOf("combiner", {"mean_probability", "mean_logit"}, "mean_probability");
  ensemble.operating_point = yaml.OneOf("operating_point", {"youden", "sensitivity", "specificity"}, "youden");
  if (ensemble.operating_point != "youden") ensemble.target = yaml.Real("target", 0.01, 1);
  return ensemble;
}

// Everything but the task.
void ReadRest(StrictYaml& yaml, bool frozen, Experiment& experiment) {
  experiment.name = yaml.Text("experiment");
  if (const absl::Status status = CheckIdentifier(experiment.name, "experiment name"); !status.ok()) {
    yaml.Fail("experiment", std::string(status.message()));
  }
  experiment.model = ReadModel(yaml.Map("model"), frozen);
  experiment.algorithm = ReadAlgorithm(yaml.Map("algorithm"));
  experiment.sites = ReadSites(yaml.Map("sites", frozen));
  experiment.privacy = ReadPrivacy(yaml.Map("privacy", frozen), frozen, experiment.sites);
  CheckNormalisation(yaml, experiment);
  experiment.evaluation = ReadEvaluation(yaml.Map("evaluation", frozen));
  for (const StrictYaml& gate : yaml.MapList("gates")) experiment.gates.push_back(ReadGate(gate));
  if (experiment.gates.empty()) yaml.Fail("gates", "write at least one gate: a rule that a candidate must pass");
  experiment.ensemble = ReadEnsemble(yaml.Map("ensemble", frozen), experiment.algorithm.rounds);
}

nlohmann::json DifferentialPrivacyJson(const DifferentialPrivacy& privacy) {
  return {{"unit", privacy.unit},
          {"noise_multiplier", privacy.noise_multiplier},
          {"clip_norm", privacy.clip_norm},
          {"delta", privacy.delta},
          {"max_epsilon", privacy.max_epsilon}};
}

std::string Milliseconds(int64_t value) {
  return fmt::format("{}ms", value);
}

}  // namespace

absl::StatusOr<Experiment> ParseExperiment(const std::string& text, const std::string& file,
                                           const TaskLoader& load_task) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml yaml, StrictYaml::Parse(text, file));
  Experiment experiment;
  const std::string task_name = yaml.Text("task");
  ReadRest(yaml, /*frozen=*/false, experiment);
  if (yaml.Has("task")) {
    const absl::StatusOr<std::string> task_text = load_task(task_name);
    if (!task_text.ok()) {
      yaml.Fail("task", std::string(task_text.status().message()));
    } else {
      CLOISTER_ASSIGN_OR_RETURN(experiment.task, ParseTask(*task_text, task_name + ".yaml"));
    }
  }
  CLOISTER_RETURN_IF_ERROR(yaml.Finish());
  return experiment;
}

Bytes PlanDocument(const Experiment& experiment) {
  const Model& model = experiment.model;
  const Algorithm& algorithm = experiment.algorithm;
  const Sites& sites = experiment.sites;
  const Privacy& privacy = experiment.privacy;
  const Evaluation& evaluation = experiment.evaluation;
  const EnsembleRule& ensemble = experiment.ensemble;
  nlohmann::json json = {
      {"experiment", experiment.name},
      {"task", nlohmann::json::parse(TaskJson(experiment.task))},
      {"model",
       {{"architecture", model.architecture},
        {"init", model.init},
        {"seed", model.seed},
        {"initial_model", model.initial_model.hex()},
        {"parameters", model.parameters}}},
      {"algorithm",
       {{"name", algorithm.name},
        {"rounds", algorithm.rounds},
        {"local_epochs", algorithm.local_epochs},
        {"batch_size", algorithm.batch_size},
        {"baseline_epochs", algorithm.baseline_epochs},
        {"augment", algorithm.augment},
        {"proximal_mu", algorithm.proximal_mu},
        {"optimizer",
         {{"name", algorithm.optimizer.name},
          {"lr", algorithm.optimizer.lr},
          {"momentum", algorithm.optimizer.momentum},
          {"weight_decay", algorithm.optimizer.weight_decay}}},
        {"seed", algorithm.seed},
        {"max_skipped_rounds", algorithm.max_skipped_rounds}}},
      {"sites",
       {{"minimum", sites.minimum},
        {"maximum", sites.maximum},
        {"invited", sites.invited},
        {"invitation", Milliseconds(sites.invitation_ms)},
        {"deadline", Milliseconds(sites.deadline_ms)}}},
      {"privacy",
       {{"secure_aggregation", privacy.secure_aggregation},
        {"colluders", privacy.colluders},
        {"ring_bits", privacy.ring_bits},
        {"clip", privacy.clip},
        {"clip_norm", privacy.clip_norm},
        {"weight_cap", privacy.weight_cap},
        {"guards",
         {{"max_update_norm", privacy.guards.max_update_norm},
          {"max_norm_growth", privacy.guards.max_norm_growth},
          {"min_cosine", privacy.guards.min_cosine}}},
        {"minimum_cell", privacy.minimum_cell}}},
      {"evaluation",
       {{"tuning_share", evaluation.tuning_share},
        {"test_share", evaluation.test_share},
        {"histogram_bins", evaluation.histogram_bins},
        {"split_seed", evaluation.split_seed}}},
      {"gates", nlohmann::json::array()},
      {"ensemble",
       {{"members", ensemble.members},
        {"candidates_last", ensemble.candidates_last},
        {"combiner", ensemble.combiner},
        {"operating_point", ensemble.operating_point}}},
  };
  for (const Gate& gate : experiment.gates) json["gates"].push_back(GateJson(gate));
  if (ensemble.operating_point != "youden") json["ensemble"]["target"] = ensemble.target;
  if (!privacy.tensor_clips.empty()) json["privacy"]["tensor_clips"] = TensorClipsJson(privacy.tensor_clips);
  if (privacy.differential_privacy.has_value()) {
    json["privacy"]["differential_privacy"] = DifferentialPrivacyJson(*privacy.differential_privacy);
  }
  return JsonText(json);
}

absl::StatusOr<Experiment> ParsePlan(const Bytes& document) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml yaml, StrictYaml::Parse(document, "plan"));
  Experiment experiment;
  experiment.task = ReadTask(yaml.Map("task"));
  ReadRest(yaml, /*frozen=*/true, experiment);
  CLOISTER_RETURN_IF_ERROR(yaml.Finish());
  if (PlanDocument(experiment) != document) return absl::InvalidArgumentError("the plan is not in its canonical form");
  return experiment;
}

std::string GuardsInWords(const Guards& guards) {
  std::vector<std::string> words;
  if (guards.max_update_norm > 0) words.push_back(fmt::format("norm at most {:g}", guards.max_update_norm));
  if (guards.max_norm_growth > 0) {
    words.push_back(fmt::format("norm at most {:g} times the median of the rounds before", guards.max_norm_growth));
  }
  if (guards.min_cosine > -1) {
    words.push_back(fmt::format("cosine to the round before at least {:g}", guards.min_cosine));
  }
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

std::string GateInWords(const Gate& gate) {
  const std::string where = gate.per_site ? "at every site" : "over all sites";
  if (gate.versus == "local_only") {
    return fmt::format("{} {} not below the local-only model by more than {:.2f} (97.5% lower bound)", gate.metric,
                       where, gate.margin);
  }
  return fmt::format("{} {}, {} at least {:.2f}", gate.metric, where,
                     gate.statistic == "estimate" ? "estimate" : "95% lower bound", gate.at_least);
}

}  // namespace cloister::plan
