#pragma once
// SPDX-License-Identifier: Apache-2.0
// The discrete Fourier transform of a power of two of points, for convolving loss distributions. Every root of unity is
// computed by itself, so that the error stays at a few units in the last place of the largest value.

#include <absl/types/span.h>

#include <complex>
#include <vector>

namespace cloister::privacy {

class Fft {
 public:
  // `size`: a power of two; anything else is our own bug and ends the process.
  explicit Fft(size_t size);

  // In place: X[k] = sum_n x[n] exp(-2 pi i n k / size). `values` has `size` points.
  void Forward(absl::Span<std::complex<double>> values) const;
  // Undoes Forward.
  void Inverse(absl::Span<std::complex<double>> values) const;

 private:
  size_t size_;
  std::vector<std::complex<double>> roots_;  // exp(-2 pi i k / size), k below size / 2
};

// a * b by the schoolbook formula: the operator spends most of its time on infinities, which do not occur here.
inline std::complex<double> Product(std::complex<double> a, std::complex<double> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

}  // namespace cloister::privacy
