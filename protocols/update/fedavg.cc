// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "protocols/update/aggregation.h"

// One loop compiled for several processors, the best one picked at start; all of them give the same bits
// (-ffp-contract=off in CMakeLists.txt). Sanitizers cannot run before the pick.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLOISTER_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLOISTER_CLONES
#endif

namespace cloister::update {
namespace {

// False: a result is not finite.
CLOISTER_CLONES
bool AddAll(const float* global, float* mean, size_t size) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (size_t i = 0; i < size; ++i) {
    const float sum = static_cast<float>(static_cast<double>(global[i]) + static_cast<double>(mean[i]));
    mean[i] = sum;
    uint32_t bits;
    std::memcpy(&bits, &sum, sizeof bits);
    bad |= static_cast<uint32_t>((bits & kExponent) == kExponent);
  }
  return bad == 0;
}

}  // namespace

absl::Status FedAvg(absl::Span<const float> global, absl::Span<float> mean) {
  if (global.size() != mean.size()) {
    return absl::InvalidArgumentError(
        fmt::format("an update of {} values for a model of {}", mean.size(), global.size()));
  }
  if (AddAll(global.data(), mean.data(), mean.size())) return absl::OkStatus();
  size_t i = 0;
  while (std::isfinite(mean[i])) ++i;
  return absl::DataLossError(fmt::format("parameter {} of the new model is not finite", i));
}

}  // namespace cloister::update
