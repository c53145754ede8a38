#pragma once
// SPDX-License-Identifier: Apache-2.0
// A torch::nn module with `Tensor forward(Tensor)` as a Network.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "models/nets/network.h"

namespace cloister::models {

template <typename Module>
class ModuleNetwork final : public Network {
 public:
  explicit ModuleNetwork(std::shared_ptr<Module> module) : module_(std::move(module)) {}

  torch::Tensor Forward(const torch::Tensor& images) override { return module_->forward(images); }
  void SetTraining(bool training) override { module_->train(training); }

  NamedTensors Parameters() override {
    NamedTensors tensors;
    for (const auto& item : module_->named_parameters()) {
      tensors.emplace_back(item.key(), item.value());
    }
    std::sort(tensors.begin(), tensors.end(), ByName);
    return tensors;
  }

  NamedTensors State() override {
    NamedTensors tensors = Parameters();
    for (const auto& item : module_->named_buffers()) {
      if (item.value().is_floating_point()) {  // leaves out num_batches_tracked
        tensors.emplace_back(item.key(), item.value());
      }
    }
    std::sort(tensors.begin(), tensors.end(), ByName);
    return tensors;
  }

 private:
  static bool ByName(const NamedTensors::value_type& a, const NamedTensors::value_type& b) { return a.first < b.first; }

  std::shared_ptr<Module> module_;
};

}  // namespace cloister::models
