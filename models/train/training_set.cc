// SPDX-License-Identifier: Apache-2.0
// Checks and plain arithmetic around a training.

#include "models/train/training_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "protocols/crypto/hash.h"

namespace cloister::models {
namespace {

absl::Status Range(const char* field, double value, double least, double most) {
  if (value >= least && value <= most) {  // false for NaN
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format("training: {} is {}; allowed: {} to {}", field, value, least, most));
}

absl::Status CheckPrivacy(const TrainingSet& set, const TrainOptions& options) {
  CLOISTER_RETURN_IF_ERROR(Range("noise_multiplier", options.privacy->noise_multiplier, 0.01, 10'000));
  CLOISTER_RETURN_IF_ERROR(Range("clip_norm", options.privacy->clip_norm, 1e-9, 1e9));
  if (options.privacy->key == nullptr || options.privacy->key->size() != kPrivateKeyBytes) {
    return absl::InvalidArgumentError(
        fmt::format("training: private training needs a key of {} bytes", kPrivateKeyBytes));
  }
  if (options.positive_weight == 0) {
    return absl::InvalidArgumentError(
        "training: class weights from the counts of the set tell something about every patient; private training needs "
        "a fixed positive_weight");
  }
  if (set.patients.size() != set.images.size()) {
    return absl::InvalidArgumentError(
        fmt::format("training: {} images, the patients of {}", set.images.size(), set.patients.size()));
  }
  std::vector<bool> seen(set.patients.size());
  uint32_t most = 0;
  for (const uint32_t patient : set.patients) {
    if (patient >= seen.size()) {
      return absl::InvalidArgumentError(fmt::format("training: patient {} of {} images", patient, seen.size()));
    }
    seen[patient] = true;
    most = std::max(most, patient);
  }
  if (std::count(seen.begin(), seen.end(), true) != int64_t{most} + 1) {
    return absl::InvalidArgumentError("training: patients must be numbered from 0 without a gap");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTraining(const TrainingSet& set, const TrainOptions& options) {
  CLOISTER_RETURN_IF_ERROR(Range("epochs", options.epochs, 1, 10000));
  CLOISTER_RETURN_IF_ERROR(Range("batch_size", options.batch_size, 2, 4096));
  CLOISTER_RETURN_IF_ERROR(Range("optimizer.lr", options.optimizer.lr, 1e-10, 100));
  CLOISTER_RETURN_IF_ERROR(Range("optimizer.momentum", options.optimizer.momentum, 0, 0.9999));
  CLOISTER_RETURN_IF_ERROR(Range("optimizer.weight_decay", options.optimizer.weight_decay, 0, 10));
  CLOISTER_RETURN_IF_ERROR(Range("proximal_mu", options.proximal_mu, 0, 1000));
  CLOISTER_RETURN_IF_ERROR(Range("positive_weight", options.positive_weight, 0, 1e6));
  CLOISTER_RETURN_IF_ERROR(Range("channels", set.channels, 1, 3));
  CLOISTER_RETURN_IF_ERROR(Range("rows", set.rows, 8, 4096));
  CLOISTER_RETURN_IF_ERROR(Range("columns", set.columns, 8, 4096));
  if (set.images.size() != set.labels.size()) {
    return absl::InvalidArgumentError(
        fmt::format("training: {} images, {} labels", set.images.size(), set.labels.size()));
  }
  for (float label : set.labels) {
    CLOISTER_RETURN_IF_ERROR(Range("a label", label, 0, 1));
  }
  if (set.images.size() < 2) {
    return absl::FailedPreconditionError(
        fmt::format("training: {} usable images; at least 2 are needed", set.images.size()));
  }
  return options.privacy.has_value() ? CheckPrivacy(set, options) : absl::OkStatus();
}

std::vector<int64_t> BatchSizes(int64_t images, int64_t batch_size) {
  std::vector<int64_t> sizes(static_cast<size_t>(images / batch_size), batch_size);
  const int64_t rest = images % batch_size;
  if (rest == 1 && !sizes.empty()) {
    ++sizes.back();
  } else if (rest > 0) {
    sizes.push_back(rest);
  }
  return sizes;
}

std::vector<std::vector<size_t>> ImagesOfPatients(const TrainingSet& set) {
  std::vector<std::vector<size_t>> images;
  for (size_t i = 0; i < set.patients.size(); ++i) {
    if (set.patients[i] >= images.size()) {
      images.resize(set.patients[i] + 1);
    }
    images[set.patients[i]].push_back(i);
  }
  return images;
}

double PositiveWeight(const TrainingSet& set, const TrainOptions& options) {
  if (options.positive_weight > 0) {
    return options.positive_weight;
  }
  double positives = 0;
  for (float label : set.labels) {
    positives += label;
  }
  const double negatives = static_cast<double>(set.labels.size()) - positives;
  return positives > 0 && negatives > 0 ? negatives / positives : 1;
}

Digest ArgumentsDigest(const ModelSpec& spec, const Bytes& initial_model, const TrainingSet& set,
                       const TrainOptions& options, const std::string& platform) {
  CanonicalWriter writer;
  writer.Blob(platform).Blob(spec.architecture).U32(static_cast<uint32_t>(spec.input_channels));
  writer.U32(static_cast<uint32_t>(spec.outputs)).Put(crypto::Sha256(initial_model));
  const OptimizerOptions& o = options.optimizer;
  const AugmentConfig& a = options.augmentation;
  writer.Blob(fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", options.epochs,
                          options.batch_size, options.seed, static_cast<int>(o.kind), o.lr, o.momentum, o.beta1,
                          o.beta2, o.epsilon, o.weight_decay, options.proximal_mu, options.positive_weight,
                          options.augment, a.max_shift, a.max_rotate_deg, a.max_scale, a.max_contrast, a.max_brightness,
                          a.flip_horizontal));
  writer.U32(static_cast<uint32_t>(set.channels)).U32(static_cast<uint32_t>(set.rows));
  writer.U32(static_cast<uint32_t>(set.columns)).U64(set.images.size());
  crypto::Sha256Stream images;
  const size_t image_bytes = static_cast<size_t>(set.channels) * set.rows * set.columns;
  for (size_t i = 0; i < set.images.size(); ++i) {
    images.Update(ByteView(reinterpret_cast<const char*>(set.images[i]), image_bytes));
    images.Update(ByteView(reinterpret_cast<const char*>(&set.labels[i]), sizeof(float)));
  }
  writer.Put(images.Finish());
  if (options.privacy.has_value()) {
    writer.Blob(fmt::format("{} {}", options.privacy->noise_multiplier, options.privacy->clip_norm));
    writer.Put(crypto::Sha256(options.privacy->key->view()));
    for (const uint32_t patient : set.patients) {
      writer.U32(patient);
    }
  }
  return crypto::Sha256(writer.bytes());
}

}  // namespace cloister::models
