// SPDX-License-Identifier: Apache-2.0
// Batched inference of image-level networks.

#include "models/predictor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/nets/input.h"
#include "models/nets/network.h"
#include "models/nets/registry.h"
#include "models/nets/weights.h"
#include "models/torch_guard.h"

namespace cloister::models {
namespace {

constexpr size_t kBatch = 32;

class NetworkPredictor final : public Predictor {
 public:
  NetworkPredictor(const ModelSpec& spec, std::unique_ptr<Network> network)
      : spec_(spec), network_(std::move(network)) {}

  absl::StatusOr<std::vector<double>> Predict(const ImageBatch& batch) override {
    if (batch.rows < 8 || batch.columns < 8 || batch.rows > 4096 || batch.columns > 4096 ||
        (batch.channels != 1 && batch.channels != 3)) {
      return absl::InvalidArgumentError(
          fmt::format("prediction: images of [{}, {}, {}]", batch.channels, batch.rows, batch.columns));
    }
    if (spec_.architecture != "torchscript" && batch.channels != spec_.input_channels) {
      return absl::InvalidArgumentError(
          fmt::format("prediction: images of {} channels, a network for {}", batch.channels, spec_.input_channels));
    }
    // A foreign module may throw anything; our own networks only what a wrong size causes.
    return Guard("prediction", absl::StatusCode::kInvalidArgument, [&]() -> absl::StatusOr<std::vector<double>> {
      torch::NoGradGuard no_grad;
      std::vector<double> probabilities;
      probabilities.reserve(batch.images.size());
      for (size_t first = 0; first < batch.images.size(); first += kBatch) {
        CLOISTER_RETURN_IF_ERROR(
            PredictSome(batch, first, std::min(kBatch, batch.images.size() - first), probabilities));
      }
      return probabilities;
    });
  }

 private:
  absl::Status PredictSome(const ImageBatch& batch, size_t first, size_t count, std::vector<double>& probabilities) {
    const size_t image_bytes = static_cast<size_t>(batch.channels) * batch.rows * batch.columns;
    pixels_.resize(count * image_bytes);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(pixels_.data() + i * image_bytes, batch.images[first + i], image_bytes);
    }
    const torch::Tensor logits = network_->Forward(
        MakeInput(pixels_.data(), static_cast<int64_t>(count), batch.channels, batch.rows, batch.columns));
    if (logits.dim() != 2 || logits.size(0) != static_cast<int64_t>(count) || logits.size(1) != 1) {
      return absl::InvalidArgumentError(fmt::format("prediction: one logit per image is needed, the network gives [{}]",
                                                    fmt::join(logits.sizes().vec(), ", ")));
    }
    const torch::Tensor values = torch::sigmoid(logits.to(torch::kFloat64)).contiguous();
    for (size_t i = 0; i < count; ++i) {
      const double probability = values.data_ptr<double>()[i];
      if (!std::isfinite(probability)) {
        return absl::OutOfRangeError(fmt::format("prediction: image {} has no finite score", first + i));
      }
      probabilities.push_back(probability);
    }
    return absl::OkStatus();
  }

  const ModelSpec spec_;
  std::unique_ptr<Network> network_;
  std::vector<uint8_t> pixels_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Predictor>> Predictor::Create(const ModelSpec& spec, const Bytes& model) {
  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<Network> network, CreateNetwork(spec));
  CLOISTER_RETURN_IF_ERROR(LoadWeights(model, *network));
  return Guard("prediction", absl::StatusCode::kInvalidArgument, [&]() -> absl::StatusOr<std::unique_ptr<Predictor>> {
    network->SetTraining(false);
    return std::make_unique<NetworkPredictor>(spec, std::move(network));
  });
}

}  // namespace cloister::models
