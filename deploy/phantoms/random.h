#pragma once
// SPDX-License-Identifier: Apache-2.0
// Random numbers that are the same on every machine for one seed: the standard fixes the engine, not its distributions.

#include <cmath>
#include <cstdint>
#include <random>
#include <string>

#include "protocols/crypto/hash.h"

namespace cloister::phantoms {

class Random {
 public:
  // A stream of its own for every seed and purpose.
  Random(uint64_t seed, const std::string& purpose) : engine_(Mix(seed, purpose)) {}

  double Uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) / 9007199254740992.0;  // 2^53
  }
  // In [low, high].
  int Integer(int low, int high) { return low + static_cast<int>(Uniform(0, 1) * (high - low + 1)); }
  bool Chance(double probability) { return Uniform(0, 1) < probability; }
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - Uniform(0, 1)));
    return radius * std::cos(6.283185307179586 * Uniform(0, 1));
  }

 private:
  static uint64_t Mix(uint64_t seed, const std::string& purpose) {
    CanonicalWriter writer;
    writer.U64(seed).Blob(purpose);
    const Digest digest = crypto::Sha256(writer.bytes());
    uint64_t mixed = 0;
    for (int i = 0; i < 8; ++i) {
      mixed = mixed << 8 | static_cast<unsigned char>(digest.view()[static_cast<size_t>(i)]);
    }
    return mixed;
  }
  std::mt19937_64 engine_;
};

}  // namespace cloister::phantoms
