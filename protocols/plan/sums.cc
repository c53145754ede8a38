// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/sums.h"

#include <algorithm>
#include <cmath>

#include "protocols/crypto/hash.h"

namespace cloister::plan {
namespace {

constexpr double kLossScale = 1 << 20;

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

uint32_t TranscriptRound(SumKind kind, uint32_t round) {
  return (static_cast<uint32_t>(kind) << 24) + (round & 0xffffff);
}

Digest ModelListRoot(SumKind kind, const std::vector<SumModel>& models) {
  CanonicalWriter writer;
  writer.Blob("cloister/models").U8(static_cast<uint8_t>(kind)).U64(models.size());
  for (const SumModel& model : models) {
    writer.Blob(model.id).U8(model.baseline ? 1 : 0).Put(model.blob);
  }
  return crypto::Sha256(writer.bytes());
}

std::vector<SumVector> SumVectors(const Experiment& experiment, SumKind kind, const std::vector<SumModel>& models) {
  if (kind == SumKind::kTrain) {
    return {{"update", experiment.privacy.ring_bits, experiment.model.parameters}, {"counters", 64, kTrainCounters}};
  }
  const uint64_t slots = HistogramSlots(kind, models).size();
  return {{"counters", 64, 2 * static_cast<uint64_t>(experiment.evaluation.histogram_bins) * slots}};
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

absl::StatusOr<update::QuantPlan> QuantizerOf(const Experiment& experiment) {
  return update::QuantPlan::Choose(static_cast<uint32_t>(experiment.sites.maximum), experiment.privacy.clip,
                                   static_cast<uint32_t>(experiment.privacy.ring_bits));
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

}  // namespace cloister::plan
