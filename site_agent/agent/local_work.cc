// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/local_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/hkdf.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

Json ModelJson(const plan::Model& model) {
  return Json{{"architecture", model.architecture}, {"init", model.init}, {"seed", model.seed}};
}

Json CasesJson(const std::vector<const ManifestCase*>& cases) {
  Json result = Json::array();
  for (const ManifestCase* one : cases) {
    result.push_back(Json{{"case", one->id}, {"label", one->positive ? 1 : 0}});
  }
  return result;
}

// The same with each patient under a number.
Json PrivateCasesJson(const std::vector<const ManifestCase*>& cases) {
  std::map<std::string, size_t> numbers;
  Json result = CasesJson(cases);
  for (size_t i = 0; i < cases.size(); ++i) {
    result[i]["patient"] = numbers.try_emplace(cases[i]->patient, numbers.size()).first->second;
  }
  return result;
}

// Differs from round to round and is the same at every site and in every run of the plan.
uint64_t TrainingSeed(uint64_t plan_seed, int round) {
  CanonicalWriter writer;
  writer.Blob("cloister/training-seed").U64(plan_seed).U32(static_cast<uint32_t>(round));
  const Digest digest = crypto::Sha256(writer.bytes());
  uint64_t seed = 0;
  for (size_t i = 0; i < 8; ++i) {
    seed = seed << 8 | static_cast<uint8_t>(digest.view()[i]);
  }
  return seed >> 1;  // fits every reader of JSON numbers
}

std::vector<const ManifestCase*> HeldOutCases(const FrozenCohort& cohort) {
  std::vector<const ManifestCase*> cases = cohort.Of(CohortSplit::kTest);
  const std::vector<const ManifestCase*> tuning = cohort.Of(CohortSplit::kTuning);
  cases.insert(cases.end(), tuning.begin(), tuning.end());
  return cases;
}

absl::Status Missing(const char* what) {
  return absl::InternalError(fmt::format("the worker's result has no usable \"{}\"", what));
}

}  // namespace

WorkerJob TrainingJob(const JobId& job, const plan::Experiment& plan, const FrozenCohort& cohort, int round,
                      const std::filesystem::path& initial_model, const crypto::SecretBytes* noise_key) {
  const plan::Algorithm& algorithm = plan.algorithm;
  WorkerJob result;
  result.kind = "train";
  result.experiment = job.value();
  result.title = round == 0 ? "baseline" : fmt::format("round {}", round);
  result.job = Json{{"task", Json::parse(plan::TaskJson(plan.task))},
                    {"model", ModelJson(plan.model)},
                    {"prepared", cohort.prepared.string()},
                    {"cases", CasesJson(cohort.Of(CohortSplit::kTrain))},
                    {"initial_model", initial_model.string()},
                    {"epochs", round == 0 ? algorithm.baseline_epochs : algorithm.local_epochs},
                    {"seed", TrainingSeed(algorithm.seed, round)},
                    {"algorithm",
                     {{"batch_size", algorithm.batch_size},
                      {"optimizer",
                       {{"name", algorithm.optimizer.name},
                        {"lr", algorithm.optimizer.lr},
                        {"momentum", algorithm.optimizer.momentum},
                        {"weight_decay", algorithm.optimizer.weight_decay}}},
                      {"proximal_mu", round == 0 ? 0.0 : algorithm.proximal_mu}}},
                    {"augment", algorithm.augment}};
  if (noise_key != nullptr) {
    const plan::DifferentialPrivacy& privacy = *plan.privacy.differential_privacy;
    result.job["cases"] = PrivateCasesJson(cohort.Of(CohortSplit::kTrain));
    result.job["privacy"] = Json{{"noise_multiplier", privacy.noise_multiplier},
                                 {"clip_norm", privacy.clip_norm},
                                 {"key", HexEncode(noise_key->view())}};
  }
  return result;
}

Digest TrainingDigest(const Digest& plan, const Digest& cohort, int round, const Digest& initial_model) {
  CanonicalWriter writer;
  writer.Blob("cloister/training").Put(plan).Put(cohort).U32(static_cast<uint32_t>(round)).Put(initial_model);
  return crypto::Sha256(writer.bytes());
}

crypto::SecretBytes NoiseKey(const crypto::SecretBytes& job_secret, const Digest& training) {
  CanonicalWriter info;
  info.Blob("dp-sgd").Put(training);
  return crypto::Hkdf("cloister/job", job_secret, info.bytes(), 32);
}

int TrainingPatientsOf(const FrozenCohort& cohort) {
  std::set<std::string> patients;
  for (const ManifestCase* one : cohort.Of(CohortSplit::kTrain)) {
    patients.insert(one->patient);
  }
  return static_cast<int>(patients.size());
}

bool HasPatientPrivacy(const plan::Experiment& plan) {
  return plan.privacy.differential_privacy.has_value() && plan.privacy.differential_privacy->unit == plan::kPatientUnit;
}

absl::StatusOr<TrainingResult> ReadTrainingResult(const WorkerDone& done) {
  const Json& json = done.result;
  for (const char* key : {"samples", "batches", "loss_sum"}) {
    if (!json.contains(key) || !json[key].is_number() || json[key].get<double>() < 0) {
      return Missing(key);
    }
  }
  if (!json.contains("model") || !json["model"].is_string()) {
    return Missing("model");
  }
  TrainingResult result;
  // Only a name inside the job folder: the worker does not choose which file of ours is read.
  result.model = done.folder / std::filesystem::path(json["model"].get<std::string>()).filename();
  result.samples = json["samples"].get<uint64_t>();
  result.batches = json["batches"].get<uint64_t>();
  result.loss_sum = json["loss_sum"].get<double>();
  return result;
}

WorkerJob ValidationJob(const JobId& job, const plan::Experiment& plan, const FrozenCohort& cohort,
                        const std::vector<ScoredModel>& models, const std::string& title) {
  Json list = Json::array();
  for (const ScoredModel& model : models) {
    Json members = Json::array();
    for (const std::filesystem::path& member : model.members) {
      members.push_back(member.string());
    }
    list.push_back(Json{{"id", model.id}, {"members", members}, {"combiner", plan.ensemble.combiner}});
  }
  WorkerJob result;
  result.kind = "validate";
  result.experiment = job.value();
  result.title = title;
  result.job = Json{{"task", Json::parse(plan::TaskJson(plan.task))},
                    {"model", ModelJson(plan.model)},
                    {"models", list},
                    {"prepared", cohort.prepared.string()},
                    {"cases", CasesJson(HeldOutCases(cohort))}};
  return result;
}

absl::StatusOr<ValidationResult> ReadValidationResult(const WorkerDone& done, const FrozenCohort& cohort,
                                                      const std::vector<std::string>& model_ids) {
  const auto scores = done.result.find("scores");
  if (scores == done.result.end() || !scores->is_object()) {
    return Missing("scores");
  }
  const auto unscored = done.result.find("unscored");
  ValidationResult result;
  result.test.cases = cohort.Of(CohortSplit::kTest);
  result.tuning.cases = cohort.Of(CohortSplit::kTuning);
  const size_t tests = result.test.cases.size();
  for (const std::string& id : model_ids) {
    if (unscored != done.result.end() && unscored->is_object() && unscored->contains(id)) {
      const Json& why = unscored->at(id);
      result.unscored[id] = why.is_string() ? why.get<std::string>() : "no reason given";
      continue;
    }
    const auto found = scores->find(id);
    if (found == scores->end() || !found->is_array() || found->size() != tests + result.tuning.cases.size()) {
      return Missing("scores");
    }
    std::vector<double> values;
    for (const Json& value : *found) {
      const double score = value.is_number() ? value.get<double>() : -1;
      if (!std::isfinite(score) || score < 0 || score > 1) {
        return Missing("scores");
      }
      values.push_back(score);
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(tests);
    result.test.scores[id].assign(values.begin(), middle);
    result.tuning.scores[id].assign(middle, values.end());
  }
  return result;
}

eval::Cases ScoredSplit::CasesOf(const std::string& model_id) const {
  std::map<std::string, uint32_t> index;
  eval::Cases result;
  const std::vector<double>& values = scores.at(model_id);
  for (size_t i = 0; i < cases.size(); ++i) {
    const uint32_t patient = index.try_emplace(cases[i]->patient, static_cast<uint32_t>(index.size())).first->second;
    result.push_back({patient, cases[i]->positive, values[i]});
  }
  return result;
}

std::vector<eval::Gate> GatesOf(const plan::Experiment& plan, bool per_site_only) {
  std::vector<eval::Gate> gates;
  for (const plan::Gate& planned : plan.gates) {
    if (per_site_only && !planned.per_site) {
      continue;
    }
    eval::Gate gate;
    gate.metric = planned.metric;
    gate.scope = planned.per_site ? eval::Gate::Scope::kPerSite : eval::Gate::Scope::kPooled;
    gate.comparison = planned.versus.empty() ? eval::Gate::Comparison::kAtLeast : eval::Gate::Comparison::kNonInferior;
    gate.use = planned.statistic == "estimate" ? eval::Gate::Using::kEstimate : eval::Gate::Using::kLowerBound;
    gate.bound = planned.versus.empty() ? planned.at_least : planned.margin;
    gates.push_back(gate);
  }
  return gates;
}

eval::MinimumCell MinimumCellOf(const plan::Experiment& plan) {
  const uint64_t wanted = static_cast<uint64_t>(std::max(plan.privacy.minimum_cell, 0));
  return eval::MinimumCell::Create(std::max<uint64_t>(wanted, eval::MinimumCell::kDefault))
      .value_or(eval::MinimumCell());
}

}  // namespace cloister::site
