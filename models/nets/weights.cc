// SPDX-License-Identifier: Apache-2.0
// Network <-> update::ModelState.

#include "models/nets/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/torch_guard.h"
#include "protocols/update/model_state.h"

namespace cloister::models {
namespace {

absl::StatusOr<update::Layout> LayoutOf(const NamedTensors& tensors) {
  std::vector<update::Layout::NamedShape> shapes;
  for (const auto& [name, tensor] : tensors) {
    shapes.push_back({name, update::Shape(tensor.sizes().begin(), tensor.sizes().end())});
  }
  return update::Layout::Create(std::move(shapes));
}

std::string ShapeText(const update::Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Says which tensor is wrong, rather than only that one is.
absl::Status CheckLayout(const update::Layout& expected, const update::Layout& actual) {
  for (const update::Tensor& tensor : expected.tensors()) {
    const update::Tensor* given = actual.Find(tensor.name);
    if (given == nullptr) {
      return absl::InvalidArgumentError(fmt::format("weights: tensor '{}' is missing", tensor.name));
    }
    if (given->shape != tensor.shape) {
      return absl::InvalidArgumentError(fmt::format("weights: tensor '{}' is {}, the network has {}", tensor.name,
                                                    ShapeText(given->shape), ShapeText(tensor.shape)));
    }
  }
  for (const update::Tensor& tensor : actual.tensors()) {
    if (expected.Find(tensor.name) == nullptr) {
      return absl::InvalidArgumentError(fmt::format("weights: the network has no tensor '{}'", tensor.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Bytes> SaveWeights(Network& network) {
  return Guard("saving weights", absl::StatusCode::kInternal, [&]() -> absl::StatusOr<Bytes> {
    torch::NoGradGuard no_grad;
    const NamedTensors tensors = network.State();
    CLOISTER_ASSIGN_OR_RETURN(const update::Layout layout, LayoutOf(tensors));
    std::vector<float> values(layout.parameters());
    for (const auto& [name, tensor] : tensors) {
      const torch::Tensor flat = tensor.contiguous();
      std::memcpy(values.data() + layout.Find(name)->offset, flat.data_ptr<float>(), flat.numel() * sizeof(float));
    }
    return update::EncodeModelState(layout, values);
  });
}

absl::Status LoadWeights(const Bytes& model, Network& network) {
  CLOISTER_ASSIGN_OR_RETURN(const update::ModelState state, update::ParseModelState(model));
  return Guard("loading weights", absl::StatusCode::kInternal, [&]() -> absl::Status {
    torch::NoGradGuard no_grad;
    NamedTensors tensors = network.State();
    CLOISTER_ASSIGN_OR_RETURN(const update::Layout layout, LayoutOf(tensors));
    CLOISTER_RETURN_IF_ERROR(CheckLayout(layout, state.layout));
    for (const update::Tensor& tensor : layout.tensors()) {
      const float* first = state.values.data() + tensor.offset;
      if (!std::all_of(first, first + tensor.elements, [](float value) { return std::isfinite(value); })) {
        return absl::InvalidArgumentError(
            fmt::format("weights: tensor '{}' has a value that is not finite", tensor.name));
      }
    }
    for (auto& [name, tensor] : tensors) {
      // The flat vector outlives the copy below, which is all that from_blob is used for.
      tensor.copy_(torch::from_blob(const_cast<float*>(state.values.data()) + layout.Find(name)->offset, tensor.sizes(),
                                    torch::kFloat32));
    }
    return absl::OkStatus();
  });
}

}  // namespace cloister::models
