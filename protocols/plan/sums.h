#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the vectors of a secure sum hold, for the sites that fill them and the coordinator that reads the totals.
// Everything follows from the plan and the list of models of the step, so that the coordinator cannot ask for anything
// else.

#include <absl/types/span.h>

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/base/status.h"
#include "protocols/plan/experiment.h"
#include "protocols/secagg/params.h"

namespace cloister::plan {

enum class SumKind : uint8_t {
  kTrain = 1,      // vectors: "update", "counters"
  kValidate = 2,   // vector: "counters"
  kCalibrate = 3,  // vector: "counters"
};
// "train", "validate", "calibrate".
const char* SumKindName(SumKind kind);

// A model of a sum's step, in the order of SumStep.models.
struct SumModel {
  std::string id;         // "round-3" (round-0: the initial one), "baseline-site-a"
  bool baseline = false;  // trained by one site alone; else made by rounds
  Digest blob;            // SHA-256 of what is fetched: a safetensors file, or a baseline's sealed bytes
};
std::string RoundModelId(int round);
std::string BaselineModelId(const std::string& site);

// ---- what the sum is bound to ----

// The model root in the transcript. TRAIN: crypto::MerkleRoot of the global model's flat float32 weights (little
// endian, tensors in the order of their names), as loaded; where the plan's guards remember earlier rounds, together
// with the digest of the file, which holds what they remember. VALIDATE, CALIBRATE: this digest of the list of models.
Digest ModelListRoot(SumKind kind, const std::vector<SumModel>& models);

// ---- the vectors ----

// TRAIN:               "update", privacy.ring_bits x model.parameters: round(scale * omega * clip(new - old)), with
//                      the clips and scales of QuantizerOf (plan/quantization.h)
//                      "counters", 64 x kTrainCounters: EncodeTrainCounters
// VALIDATE, CALIBRATE: "counters", 64: eval::ScoreHistogram::Counters() of each of HistogramSlots, one after the other
std::vector<secagg::VectorSpec> SumVectors(const Experiment& experiment, SumKind kind,
                                           const std::vector<SumModel>& models);

// Counters of one slot: positives by bin, negatives by bin, doubled wins, pairs (eval/federated/score_histogram.h).
inline uint64_t HistogramCounters(const Experiment& experiment) {
  return 2 * static_cast<uint64_t>(experiment.evaluation.histogram_bins) + 2;
}

// What one site adds to the second vector of a training round, and, summed, what the coordinator learns from it.
struct TrainCounters {
  uint64_t samples = 0;  // training cases
  uint64_t weight = 0;   // omega * 2^32: update::Weight::FromSamples(samples, privacy.weight_cap).fixed()
  double loss_sum =
      0;  // over the samples of the last local epoch, not weighted; kept to 2^-20, negative or NaN counts as 0
  uint64_t batches = 0;  // optimizer steps
};
inline constexpr uint64_t kTrainCounters = 4;
std::vector<uint64_t> EncodeTrainCounters(const TrainCounters& counters);
// INVALID_ARGUMENT: not kTrainCounters values.
absl::StatusOr<TrainCounters> DecodeTrainCounters(const std::vector<uint64_t>& values);

// One pair of histograms of a validation or calibration: which models score which patients.
enum class Split : uint8_t { kTest, kTuning };
struct HistogramSlot {
  std::vector<size_t> members;  // indexes into the step's models; several: combined by the plan's ensemble.combiner
  Split split = Split::kTest;
};
// VALIDATE:  every model alone on the test split, then every model that is not a baseline alone on the tuning split
// (members are
//            chosen there, so that the numbers of the test split stay honest).
// CALIBRATE: all models as one ensemble on the tuning split.
std::vector<HistogramSlot> HistogramSlots(SumKind kind, const std::vector<SumModel>& models);

// ---- all of it, for secagg ----

// A sum that breaks before anything was released is tried again with new keys, so often in all. A sparse graph is drawn
// for each try, and a coordinator that could try on would wait for one that suits it.
inline constexpr uint32_t kMaxAttempts = 3;

struct SumName {
  JobId job;
  SumKind kind = SumKind::kTrain;
  uint32_t round = 0;    // from 1; validation and calibration are round 1 of their kind
  uint32_t attempt = 0;  // below kMaxAttempts
};

// Is this one of the plan's sums? A site takes part in no other: the same patients added up once more, over a smaller
// roster, would tell the difference. TRAIN: rounds 1 to algorithm.rounds, of the one global model, in round 1 the
// initial one. VALIDATE and CALIBRATE: round 1 only; at most as many candidates, members and baselines as the plan has.
// CALIBRATE: of two members or more, all different. All: attempts below kMaxAttempts. INVALID_ARGUMENT: it is not, and
// why.
absl::Status CheckSum(const Experiment& experiment, const SumName& name, const std::vector<SumModel>& models);

// The parameters that every party of the sum derives. `plan` is the SHA-256 of the plan's document. Who may be in the
// roster is sites.invited (nobody named: any site that the CA certifies). TRAIN: `models` is the one global model and
// `weights` its flat values, as loaded; otherwise `weights` is not used.
secagg::SumParams SumParamsOf(const Experiment& experiment, const Digest& plan, const SumName& name,
                              const std::vector<SumModel>& models, absl::Span<const float> weights = {});

// Puts the sum of more than secagg::kFullGraphSites participants on a sparse graph: `participants` are those who drew
// `seed` together (secagg::CombineGraphReveals), and nobody else may be in the roster.
void UseSparseGraph(const Experiment& experiment, std::vector<SiteId> participants, const Digest& seed,
                    secagg::SumParams& params);

}  // namespace cloister::plan
