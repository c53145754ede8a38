// SPDX-License-Identifier: Apache-2.0
#include "protocols/privacy/fft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace cloister::privacy {
namespace {

using Complex = std::complex<double>;

std::vector<Complex> RandomValues(size_t size) {
  std::mt19937 random(static_cast<uint32_t>(size));
  std::normal_distribution<double> normal;
  std::vector<Complex> values(size);
  for (Complex& value : values) value = {normal(random), normal(random)};
  return values;
}

TEST(FftTest, IsTheSumItStandsFor) {
  for (size_t size = 1; size <= 128; size *= 2) {
    const std::vector<Complex> values = RandomValues(size);
    std::vector<Complex> transformed = values;
    Fft(size).Forward(absl::MakeSpan(transformed));
    for (size_t k = 0; k < size; ++k) {
      Complex sum = 0;
      for (size_t n = 0; n < size; ++n) {
        sum +=
            values[n] * std::polar(1.0, -2 * std::acos(-1.0) * static_cast<double>(n * k) / static_cast<double>(size));
      }
      // A few units in the last place of a sum of 128 terms of about one.
      EXPECT_NEAR(std::abs(transformed[k] - sum), 0, 1e-12) << size << " " << k;
    }
  }
}

TEST(FftTest, InverseUndoesForward) {
  for (size_t size = 1; size <= (size_t{1} << 18); size *= 8) {
    const std::vector<Complex> values = RandomValues(size);
    std::vector<Complex> there_and_back = values;
    const Fft fft(size);
    fft.Forward(absl::MakeSpan(there_and_back));
    fft.Inverse(absl::MakeSpan(there_and_back));
    double worst = 0;
    for (size_t i = 0; i < size; ++i) worst = std::max(worst, std::abs(there_and_back[i] - values[i]));
    // Some ten units in the last place, whatever the size.
    EXPECT_LT(worst, 1e-14) << size;
  }
}

TEST(FftDeathTest, SizesThatAreNoPowerOfTwoAreOurOwnBug) {
  EXPECT_DEATH(Fft(0), "");
  EXPECT_DEATH(Fft(12), "");
  std::vector<Complex> values(4);
  EXPECT_DEATH(Fft(8).Forward(absl::MakeSpan(values)), "");
}

}  // namespace
}  // namespace cloister::privacy
