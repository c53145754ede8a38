#pragma once
// SPDX-License-Identifier: Apache-2.0
// The door to training: images and labels in, weights out. No LibTorch in this header.
//
// The same arguments give the same bytes for a fixed number of intra-op threads (SetComputeThreads) on the same
// processor and library versions; an interrupted and resumed training gives the bytes of an undisturbed one.
//
// With TrainOptions::privacy it is DP-SGD: what leaves Train in TrainResult::model, ::samples and ::batches is
// differentially private for each patient of the set, whose number is taken as known (docs/privacy.md).

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/model_spec.h"
#include "models/preprocess/augment.h"
#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/crypto/secret.h"

namespace cloister::models {

struct TrainingSet {
  int channels = 1;
  int rows = 0;
  int columns = 0;
  std::vector<const uint8_t*> images;  // each uint8 [C, H, W], owned by the caller
  std::vector<float> labels;           // 0..1, one per image
  std::vector<uint32_t> patients;      // one per image, 0 to n - 1, each at least once; only read for private training
};

enum class OptimizerKind { kSgd, kAdamW };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  double lr = 0.01;
  double momentum = 0.9;  // SGD only
  double beta1 = 0.9;     // AdamW only
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  // SGD: added to the gradient; AdamW: decoupled (Loshchilov and Hutter 2019)
};

// Poisson sampling of patients, one gradient (the mean over the patient's images) clipped for each, Gaussian noise on
// the sum. An epoch is ceil(n / batch_size) steps over n patients, each of which is in a step with a probability of
// min(1, batch_size / n).
struct PrivateTraining {
  double noise_multiplier = 0;  // standard deviation of the noise / clip_norm
  double clip_norm = 0;         // L2 bound of one patient's gradient
  // 32 bytes that nobody outside knows, from which samples and noise come: the same bytes for the same arguments, and
  // never for two trainings that differ in anything.
  std::shared_ptr<const crypto::SecretBytes> key;
};

struct TrainOptions {
  int epochs = 1;
  int batch_size = 16;
  uint64_t seed = 0;  // of shuffles and augmentation
  OptimizerOptions optimizer;
  double proximal_mu = 0;      // FedProx: mu / 2 * |w - w_initial|^2 (Li et al. 2020)
  double positive_weight = 1;  // of BCE-with-logits; 0: negatives / positives of this set, or 1 where one class lacks
  bool augment = false;
  AugmentConfig augmentation;
  std::optional<PrivateTraining> privacy;
  double checkpoint_seconds = 0;  // at least this long between two checkpoints; decides nothing about the result
};

struct TrainProgress {
  int epoch = 0;  // 1-based
  int epochs = 0;
  int64_t batch = 0;  // 1-based within the epoch
  int64_t batches = 0;
  double loss = 0;  // mean over the epoch so far
  double images_per_second = 0;
  double eta_seconds = 0;
};
using TrainProgressFn = std::function<void(const TrainProgress&)>;

struct TrainResult {
  Bytes model;                  // safetensors
  int64_t samples = 0;          // images; of a private training, patients
  int64_t batches = 0;          // per epoch
  double loss_sum = 0;          // over the samples of the last epoch, before each step; 0 of a private training
  double loss_first_epoch = 0;  // means; never private
  double loss_last_epoch = 0;
  double seconds = 0;  // of this process, without what a checkpoint spared
  double images_per_second = 0;
  int resumed_epochs = 0;  // taken from the checkpoint
};

// Trains from `initial_model` (safetensors). With a non-empty `checkpoint` path, the state after each epoch is kept
// there and a later call with the same arguments goes on from it; a checkpoint of other arguments or a damaged one is
// ignored. INVALID_ARGUMENT: sizes, labels or options out of range; weights that do not fit the architecture, or are
// not finite; private training of a network with running statistics, or with class weights taken from the set.
// FAILED_PRECONDITION: fewer than two images. OUT_OF_RANGE: the loss is not finite (epoch and batch are named; a
// patient whose gradient is not finite counts as none in private training). RESOURCE_EXHAUSTED: out of memory.
absl::StatusOr<TrainResult> Train(const ModelSpec& spec, const Bytes& initial_model, const TrainingSet& set,
                                  const TrainOptions& options, const std::filesystem::path& checkpoint = {},
                                  const TrainProgressFn& progress = {});

// Seeded initial weights of an architecture, as safetensors, and how many values they hold. For "torchscript" the
// weights the module came with. INVALID_ARGUMENT: unknown architecture or init; a module that cannot be read.
struct InitialModel {
  Bytes model;
  int64_t parameters = 0;  // values in the flat vector, running statistics included
};
absl::StatusOr<InitialModel> MakeInitialModel(const ModelSpec& spec);

// Intra-op threads and deterministic algorithms, once, in main, before anything else here.
void SetComputeThreads(int threads);

}  // namespace cloister::models
