#pragma once
// SPDX-License-Identifier: Apache-2.0
// cloister-bench quantization: the same federated training with updates averaged as floats and as integers of a secure
// sum, and how far the models and their AUC come apart.

#include <filesystem>

namespace cloister::bench {

struct QuantizationOptions {
  std::filesystem::path chest_xray;  // folder of the public set; empty: phantoms
  std::filesystem::path out = ".";   // quantization-<set>.csv and .svg
  int rounds = 8;
  int epochs = 2;  // of each round, at each site
  int side = 48;
  int images = 48;  // for training, of each site
  int threads = 1;
};
// 0, or 1 after a message on stderr.
int RunQuantization(const QuantizationOptions& options);

}  // namespace cloister::bench
