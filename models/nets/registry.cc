// SPDX-License-Identifier: Apache-2.0
// The table of architectures.

#include "models/nets/registry.h"

#include <fmt/format.h>

#include "models/nets/architectures.h"
#include "models/torch_guard.h"

namespace cloister::models {
namespace {

struct Architecture {
  const char* name;
  std::unique_ptr<Network> (*make)(const ModelSpec& spec);
};

constexpr Architecture kArchitectures[] = {
    {"resnet18", MakeResNet18},      {"resnet34", MakeResNet34},      {"unet_small", MakeUNetSmall},
    {"resnet18_gn", MakeResNet18Gn}, {"resnet34_gn", MakeResNet34Gn}, {"unet_small_gn", MakeUNetSmallGn},
};

}  // namespace

std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Architecture& architecture : kArchitectures) {
    names.push_back(architecture.name);
  }
  return names;
}

absl::StatusOr<std::unique_ptr<Network>> CreateNetwork(const ModelSpec& spec) {
  if (spec.input_channels != 1 && spec.input_channels != 3) {
    return absl::InvalidArgumentError(fmt::format("model: {} input channels; allowed: 1, 3", spec.input_channels));
  }
  if (spec.outputs < 1 || spec.outputs > 1000) {
    return absl::InvalidArgumentError(fmt::format("model: {} outputs; allowed: 1 to 1000", spec.outputs));
  }
  if (spec.architecture == "torchscript") {
    return ImportTorchScript(spec);
  }
  for (const Architecture& architecture : kArchitectures) {
    if (spec.architecture == architecture.name) {
      return Guard("model " + spec.architecture, absl::StatusCode::kInternal,
                   [&]() -> absl::StatusOr<std::unique_ptr<Network>> { return architecture.make(spec); });
    }
  }
  return absl::InvalidArgumentError(fmt::format("model.architecture: unknown '{}'; allowed: {}, torchscript",
                                                spec.architecture, fmt::join(ArchitectureNames(), ", ")));
}

}  // namespace cloister::models
