#pragma once
// SPDX-License-Identifier: Apache-2.0
// What is decided about a training before any tensor exists: checks, batches, class weight, the digest of the
// arguments. No LibTorch.

#include <cstdint>
#include <string>
#include <vector>

#include "models/trainer.h"

namespace cloister::models {

inline constexpr size_t kPrivateKeyBytes = 32;

// INVALID_ARGUMENT, FAILED_PRECONDITION: see Train.
absl::Status CheckTraining(const TrainingSet& set, const TrainOptions& options);

// Sizes of an epoch's batches. A last batch of one image joins the one before: batch normalisation of a single value
// per channel is undefined.
std::vector<int64_t> BatchSizes(int64_t images, int64_t batch_size);

// The indices of each patient's images.
std::vector<std::vector<size_t>> ImagesOfPatients(const TrainingSet& set);

// options.positive_weight, or, where that is 0, negatives / positives (1 where one class lacks).
double PositiveWeight(const TrainingSet& set, const TrainOptions& options);

// Of everything that decides the bytes of the result; `platform` names threads, processor and libraries.
Digest ArgumentsDigest(const ModelSpec& spec, const Bytes& initial_model, const TrainingSet& set,
                       const TrainOptions& options, const std::string& platform);

}  // namespace cloister::models
