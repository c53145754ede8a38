#pragma once
// SPDX-License-Identifier: Apache-2.0
// A small seeded generator whose streams are the same on every machine and for every number of threads: initial
// weights, shuffles and augmentation. Not for keys, masks or privacy noise (that is protocols/crypto).

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace cloister::models {

// SplitMix64 (Steele, Lea, Flood 2014). Streams are told apart by the parts of their seed.
class Random {
 public:
  // Mixes every part, so that {7, 1, 2} and {7, 2, 1} are unrelated streams.
  explicit Random(std::initializer_list<uint64_t> seed) {
    for (uint64_t part : seed) {
      state_ = Mix(state_ ^ part) + 0x9E3779B97F4A7C15u;
    }
  }

  uint64_t Bits() {
    state_ += 0x9E3779B97F4A7C15u;
    return Mix(state_);
  }

  // Uniform in [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Bits() >> 11) * 0x1.0p-53; }
  // Uniform in [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  bool Flip() { return (Bits() >> 63) != 0; }

  // Uniform in [0, bound), bound > 0, without modulo bias (Lemire 2019).
  uint64_t Below(uint64_t bound) {
    while (true) {
      const unsigned __int128 product = static_cast<unsigned __int128>(Bits()) * bound;
      if (static_cast<uint64_t>(product) >= (0 - bound) % bound) {
        return static_cast<uint64_t>(product >> 64);
      }
    }
  }

  // Standard normal (Box and Muller).
  double Normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
    const double angle = 6.283185307179586 * Uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
  }

  // 0 .. size-1 in random order (Fisher and Yates).
  std::vector<size_t> Permutation(size_t size) {
    std::vector<size_t> order(size);
    for (size_t i = 0; i < size; ++i) {
      order[i] = i;
    }
    for (size_t i = size; i > 1; --i) {
      std::swap(order[i - 1], order[Below(i)]);
    }
    return order;
  }

 private:
  static uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  uint64_t state_ = 0;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace cloister::models
