#pragma once
// SPDX-License-Identifier: Apache-2.0
// A network as training and inference see it, whether built here or imported from TorchScript. Includes LibTorch.

#include <torch/torch.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/model_spec.h"
#include "protocols/base/status.h"

namespace cloister::models {

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

// All tensors are float32 on the CPU. Not thread-safe. Calls throw c10::Error: use inside Guard.
class Network {
 public:
  virtual ~Network() = default;

  // float32 [N, C, H, W] -> logits [N, outputs], or [N, outputs, H, W] from a segmentation network.
  virtual torch::Tensor Forward(const torch::Tensor& images) = 0;
  virtual void SetTraining(bool training) = 0;

  // What the optimizer changes, by PyTorch name, sorted.
  virtual NamedTensors Parameters() = 0;
  // What travels: parameters and floating-point buffers (running statistics), by PyTorch name, sorted. The tensors
  // share memory with the network.
  virtual NamedTensors State() = 0;
};

}  // namespace cloister::models
