// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/fft.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace cloister::privacy {

Fft::Fft(size_t size) : size_(size), roots_(size / 2) {
  if (size == 0 || (size & (size - 1)) != 0) std::abort();
  const double step = -2 * std::acos(-1.0) / static_cast<double>(size);
  for (size_t k = 0; k < roots_.size(); ++k) {
    roots_[k] = {std::cos(step * static_cast<double>(k)), std::sin(step * static_cast<double>(k))};
  }
}

void Fft::Forward(absl::Span<std::complex<double>> values) const {
  if (values.size() != size_) std::abort();
  // Bit reversal: `reversed` counts upwards from its highest bit.
  for (size_t i = 1, reversed = 0; i < size_; ++i) {
    size_t bit = size_ >> 1;
    for (; (reversed & bit) != 0; bit >>= 1) reversed ^= bit;
    reversed |= bit;
    if (i < reversed) std::swap(values[i], values[reversed]);
  }
  for (size_t half = 1; half < size_; half *= 2) {
    const size_t stride = size_ / (2 * half);
    for (size_t start = 0; start < size_; start += 2 * half) {
      for (size_t k = 0; k < half; ++k) {
        std::complex<double>& low = values[start + k];
        std::complex<double>& high = values[start + k + half];
        const std::complex<double> turned = Product(high, roots_[k * stride]);
        high = low - turned;
        low += turned;
      }
    }
  }
}

void Fft::Inverse(absl::Span<std::complex<double>> values) const {
  Forward(values);
  // The inverse runs backwards through the same sums.
  std::reverse(values.begin() + 1, values.end());
  for (std::complex<double>& value : values) value /= static_cast<double>(size_);
}

}  // namespace cloister::privacy
