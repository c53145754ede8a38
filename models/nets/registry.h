#pragma once
// SPDX-License-Identifier: Apache-2.0
// Architectures by name: a plain table in registry.cc. A new one is a file beside this and a line there.

#include <memory>
#include <string>
#include <vector>

#include "models/model_spec.h"
#include "protocols/base/status.h"

namespace cloister::models {

class Network;

// "resnet18", "resnet34", "unet_small", and each with "_gn" (group normalisation); "torchscript" is not among them.
std::vector<std::string> ArchitectureNames();

// A network of `spec` in training mode. Its weights mean nothing until LoadWeights (weights.h) or InitializeWeights
// (init.h); a TorchScript module comes with its own.
// INVALID_ARGUMENT: unknown architecture (the known ones are listed), channels or outputs out of range, a module that
// cannot be read.
absl::StatusOr<std::unique_ptr<Network>> CreateNetwork(const ModelSpec& spec);

}  // namespace cloister::models
