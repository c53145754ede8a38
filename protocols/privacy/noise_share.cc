// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/noise_share.h"

#include <algorithm>
#include <utility>

namespace cloister::privacy {

absl::StatusOr<NoiseShare> NoiseShare::Create(DiscreteGaussian::Variance variance, BlockWords words) {
  const absl::StatusOr<DiscreteGaussian> possible = DiscreteGaussian::Create(variance, nullptr);
  CLOISTER_RETURN_IF_ERROR(possible.status());
  return NoiseShare(variance, std::move(words));
}

template <typename T>
void NoiseShare::AddSamples(uint64_t first, absl::Span<T> values) const {
  while (!values.empty()) {
    // How many words a sample takes depends on its value, so a block is drawn from its first element on.
    const uint64_t skipped = first % kBlock;
    const size_t size = static_cast<size_t>(std::min<uint64_t>(kBlock - skipped, values.size()));
    DiscreteGaussian gaussian = DiscreteGaussian::Create(variance_, words_(first / kBlock)).value();
    for (uint64_t i = 0; i < skipped; ++i) static_cast<void>(gaussian.Sample());
    for (size_t i = 0; i < size; ++i) values[i] += static_cast<T>(gaussian.Sample());
    values.remove_prefix(size);
    first += size;
  }
}

void NoiseShare::AddTo(uint64_t first, absl::Span<uint32_t> values) const {
  AddSamples(first, values);
}

void NoiseShare::AddTo(uint64_t first, absl::Span<uint64_t> values) const {
  AddSamples(first, values);
}

}  // namespace cloister::privacy
