#pragma once
// SPDX-License-Identifier: Apache-2.0
// What kind of network a plan asks for. Plain data: no LibTorch, no files read.

#include <cstdint>
#include <string>

namespace cloister::models {

struct ModelSpec {
  // A name of nets/registry.h ("resnet18", "resnet34", "unet_small", or with "_gn"), or "torchscript" for an imported
  // module.
  std::string architecture = "resnet18";
  std::string init = "he_normal";  // the only rule so far; see nets/init.h
  uint64_t seed = 0;               // of the initial weights
  int input_channels = 1;          // C of [N, C, H, W]: 1 or 3
  int outputs = 1;                 // logits per image (or per pixel for a segmentation network)
  std::string torchscript_file;    // architecture "torchscript" only: a module saved with torch.jit.save
};

}  // namespace cloister::models
