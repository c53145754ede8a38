// SPDX-License-Identifier: Apache-2.0
// Import of TorchScript modules. A module is a foreign program: it only ever runs in the worker's sandbox.

#include <torch/script.h>

#include <algorithm>

#include "models/nets/architectures.h"
#include "models/torch_guard.h"

namespace cloister::models {
namespace {

class ScriptNetwork final : public Network {
 public:
  explicit ScriptNetwork(torch::jit::Module module) : module_(std::move(module)) {}

  torch::Tensor Forward(const torch::Tensor& images) override { return module_.forward({images}).toTensor(); }
  void SetTraining(bool training) override { module_.train(training); }

  NamedTensors Parameters() override {
    NamedTensors tensors;
    for (const auto& item : module_.named_parameters(/*recurse=*/true)) {
      tensors.emplace_back(item.name, item.value);
    }
    return Sorted(std::move(tensors));
  }

  NamedTensors State() override {
    NamedTensors tensors = Parameters();
    for (const auto& item : module_.named_buffers(/*recurse=*/true)) {
      if (item.value.is_floating_point()) {
        tensors.emplace_back(item.name, item.value);
      }
    }
    return Sorted(std::move(tensors));
  }

 private:
  static NamedTensors Sorted(NamedTensors tensors) {
    std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    return tensors;
  }

  torch::jit::Module module_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> ImportTorchScript(const ModelSpec& spec) {
  const std::string what = "TorchScript module";
  return Guard(what, absl::StatusCode::kInvalidArgument, [&]() -> absl::StatusOr<std::unique_ptr<Network>> {
    torch::jit::Module module = torch::jit::load(spec.torchscript_file, torch::kCPU);
    auto network = std::make_unique<ScriptNetwork>(std::move(module));
    const NamedTensors state = network->State();
    if (state.empty()) {
      return absl::InvalidArgumentError(what + ": it has no parameters");
    }
    for (const auto& [name, tensor] : state) {
      if (tensor.scalar_type() != torch::kFloat32 || !tensor.device().is_cpu() || tensor.is_sparse()) {
        return absl::InvalidArgumentError(what + ": " + name + " is not a dense float32 tensor");
      }
    }
    return network;
  });
}

}  // namespace cloister::models
