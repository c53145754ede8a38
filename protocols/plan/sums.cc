// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "protocols/crypto/hash.h"
#include "protocols/plan/guards.h"

namespace cloister::plan {
namespace {

constexpr double kLossScale = 1 << 20;

absl::Status CheckAtMost(const SumName& name, size_t count, int most, const char* what) {
  if (count <= static_cast<size_t>(most)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("{}: {} {}; the plan has at most {}", SumKindName(name.kind), count, what, most));
}

Digest TrainingRoot(const Experiment& experiment, const std::vector<SumModel>& models,
                    absl::Span<const float> weights) {
  const Digest root =
      crypto::MerkleRoot({reinterpret_cast<const char*>(weights.data()), sizeof(float) * weights.size()});
  if (!NeedsLineage(experiment.privacy.guards)) {
    return root;
  }
  CanonicalWriter writer;
  writer.Blob("cloister/model-with-lineage").Put(root).Put(models.empty() ? Digest() : models.front().blob);
  return crypto::Sha256(writer.bytes());
}

absl::Status CheckTraining(const Experiment& experiment, const SumName& name, const std::vector<SumModel>& models) {
  const int rounds = experiment.algorithm.rounds;
  if (name.round < 1 || name.round > static_cast<uint32_t>(rounds)) {
    return absl::InvalidArgumentError(fmt::format("train: round {}; the plan has rounds 1 to {}", name.round, rounds));
  }
  if (models.size() != 1 || models[0].baseline ||
      (name.round == 1 && models[0].blob != experiment.model.initial_model)) {
    return absl::InvalidArgumentError("the step does not name the one global model that the plan has");
  }
  return absl::OkStatus();
}

}  // namespace

const char* SumKindName(SumKind kind) {
  switch (kind) {
    case SumKind::kTrain:
      return "train";
    case SumKind::kValidate:
      return "validate";
    case SumKind::kCalibrate:
      return "calibrate";
  }
  return "unknown";
}

std::string RoundModelId(int round) {
  return "round-" + std::to_string(round);
}

std::string BaselineModelId(const std::string& site) {
  return "baseline-" + site;
}

Digest ModelListRoot(SumKind kind, const std::vector<SumModel>& models) {
  CanonicalWriter writer;
  writer.Blob("cloister/models").U8(static_cast<uint8_t>(kind)).U64(models.size());
  for (const SumModel& model : models) {
    writer.Blob(model.id).U8(model.baseline ? 1 : 0).Put(model.blob);
  }
  return crypto::Sha256(writer.bytes());
}

std::vector<secagg::VectorSpec> SumVectors(const Experiment& experiment, SumKind kind,
                                           const std::vector<SumModel>& models) {
  if (kind == SumKind::kTrain) {
    return {{"update", experiment.model.parameters, experiment.privacy.ring_bits}, {"counters", kTrainCounters, 64}};
  }
  return {{"counters", HistogramCounters(experiment) * HistogramSlots(kind, models).size(), 64}};
}

std::vector<uint64_t> EncodeTrainCounters(const TrainCounters& counters) {
  const double loss = counters.loss_sum > 0 ? std::min(counters.loss_sum, 1e12) * kLossScale : 0;
  return {counters.samples, counters.weight, static_cast<uint64_t>(std::llround(loss)), counters.batches};
}

absl::StatusOr<TrainCounters> DecodeTrainCounters(const std::vector<uint64_t>& values) {
  if (values.size() != kTrainCounters) {
    return absl::InvalidArgumentError("counters of a training round: " + std::to_string(values.size()) +
                                      " values instead of " + std::to_string(kTrainCounters));
  }
  return TrainCounters{values[0], values[1], static_cast<double>(values[2]) / kLossScale, values[3]};
}

std::vector<HistogramSlot> HistogramSlots(SumKind kind, const std::vector<SumModel>& models) {
  std::vector<HistogramSlot> slots;
  if (kind == SumKind::kValidate) {
    for (size_t i = 0; i < models.size(); ++i) {
      slots.push_back({{i}, Split::kTest});
    }
    for (size_t i = 0; i < models.size(); ++i) {
      if (!models[i].baseline) {
        slots.push_back({{i}, Split::kTuning});
      }
    }
  }
  if (kind == SumKind::kCalibrate) {
    slots.push_back({{}, Split::kTuning});
    for (size_t i = 0; i < models.size(); ++i) {
      slots.back().members.push_back(i);
    }
  }
  return slots;
}

absl::Status CheckSum(const Experiment& experiment, const SumName& name, const std::vector<SumModel>& models) {
  if (name.attempt >= kMaxAttempts) {
    return absl::InvalidArgumentError(
        fmt::format("{}: attempt {}; a sum is tried {} times", SumKindName(name.kind), name.attempt, kMaxAttempts));
  }
  if (name.kind == SumKind::kTrain) {
    return CheckTraining(experiment, name, models);
  }
  if (name.round != 1) {
    return absl::InvalidArgumentError(
        fmt::format("{}: round {}; the plan has one round of it", SumKindName(name.kind), name.round));
  }
  const size_t baselines = static_cast<size_t>(
      std::count_if(models.begin(), models.end(), [](const SumModel& model) { return model.baseline; }));
  const size_t global = models.size() - baselines;
  if (name.kind == SumKind::kValidate) {
    CLOISTER_RETURN_IF_ERROR(CheckAtMost(name, global, experiment.ensemble.candidates_last, "candidates"));
    return CheckAtMost(name, baselines, experiment.sites.maximum, "baselines");
  }
  CLOISTER_RETURN_IF_ERROR(CheckAtMost(name, baselines, 0, "baselines"));
  CLOISTER_RETURN_IF_ERROR(CheckAtMost(name, global, experiment.ensemble.members, "members"));
  // One model alone, or one and itself, is a vector that the validation has added up already.
  std::set<Digest> different;
  for (const SumModel& model : models) {
    different.insert(model.blob);
  }
  return different.size() >= 2 && different.size() == models.size()
             ? absl::OkStatus()
             : absl::InvalidArgumentError(fmt::format("calibrate: {} different models of {}; only an ensemble of two "
                                                      "or more, each once, is calibrated",
                                                      different.size(), models.size()));
}

secagg::SumParams SumParamsOf(const Experiment& experiment, const Digest& plan, const SumName& name,
                              const std::vector<SumModel>& models, absl::Span<const float> weights) {
  secagg::SumParams params;
  params.plan = plan;
  params.job = name.job;
  params.round = name.round;
  params.attempt = name.attempt;
  params.kind = SumKindName(name.kind);
  params.model_root =
      name.kind == SumKind::kTrain ? TrainingRoot(experiment, models, weights) : ModelListRoot(name.kind, models);
  params.n_min = experiment.sites.minimum;
  params.colluders = experiment.privacy.colluders;
  for (const std::string& site : experiment.sites.invited) {
    if (absl::StatusOr<SiteId> id = SiteId::Parse(site); id.ok()) {
      params.participants.push_back(*std::move(id));
    }
  }
  params.vectors = SumVectors(experiment, name.kind, models);
  return params;
}

void UseSparseGraph(const Experiment& experiment, std::vector<SiteId> participants, const Digest& seed,
                    secagg::SumParams& params) {
  params.participants = std::move(participants);
  // Sums of one round and attempt share their graph, also those that train nothing.
  params.graph = secagg::SparseGraph{seed, int64_t{experiment.algorithm.rounds} * kMaxAttempts};
}

}  // namespace cloister::plan
