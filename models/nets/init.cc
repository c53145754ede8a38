// SPDX-License-Identifier: Apache-2.0
// Initial weights by tensor shape and name.

#include "models/nets/init.h"

#include <cmath>

#include "models/random.h"

namespace cloister::models {
namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

absl::Status InitializeWeights(Network& network, const std::string& rule, uint64_t seed) {
  if (rule != "he_normal") {
    return absl::InvalidArgumentError("model.init: unknown rule '" + rule + "'; allowed: he_normal");
  }
  torch::NoGradGuard no_grad;
  uint64_t index = 0;
  for (auto& [name, tensor] : network.State()) {
    Random random({seed, index++});
    const bool convolution = tensor.dim() == 4;
    if (!EndsWith(name, "weight") || tensor.dim() < 2) {
      tensor.fill_(EndsWith(name, "weight") || EndsWith(name, "running_var") ? 1.0 : 0.0);
      continue;
    }
    const int64_t fan = convolution ? tensor.size(0) * tensor.size(2) * tensor.size(3) : tensor.size(1);
    const double deviation = std::sqrt((convolution ? 2.0 : 1.0) / static_cast<double>(fan));
    torch::Tensor values = torch::empty(tensor.sizes(), torch::kFloat32);
    float* data = values.data_ptr<float>();
    for (int64_t i = 0; i < values.numel(); ++i) {
      data[i] = static_cast<float>(deviation * random.Normal());
    }
    tensor.copy_(values);
  }
  return absl::OkStatus();
}

}  // namespace cloister::models
