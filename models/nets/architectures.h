#pragma once
// SPDX-License-Identifier: Apache-2.0
// The makers of the registry, one per architecture file.

#include <memory>

#include "models/nets/network.h"

namespace cloister::models {

// He et al. 2016, torchvision's names and layout. Input at least 32 x 32. input_channels 1 or 3.
std::unique_ptr<Network> MakeResNet18(const ModelSpec& spec);
std::unique_ptr<Network> MakeResNet34(const ModelSpec& spec);

// A U-Net (Ronneberger et al. 2015) of 16-32-64-128 channels with batch normalisation: a map of logits of the input's
// size, whose sides must be multiples of 8.
std::unique_ptr<Network> MakeUNetSmall(const ModelSpec& spec);

// The same with group normalisation: no image of a batch changes what another one gives, and there are no buffers.
std::unique_ptr<Network> MakeResNet18Gn(const ModelSpec& spec);
std::unique_ptr<Network> MakeResNet34Gn(const ModelSpec& spec);
std::unique_ptr<Network> MakeUNetSmallGn(const ModelSpec& spec);

// A module written by torch.jit.save, taken as it is. INVALID_ARGUMENT: unreadable, or not float32 throughout.
absl::StatusOr<std::unique_ptr<Network>> ImportTorchScript(const ModelSpec& spec);

}  // namespace cloister::models
