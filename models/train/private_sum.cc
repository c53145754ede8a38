// SPDX-License-Identifier: Apache-2.0
// Sampling, clipping and noise.

#include "models/train/private_sum.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "protocols/base/bytes.h"
#include "protocols/crypto/seeded_stream.h"

namespace cloister::models {
namespace {

constexpr double kGrid = static_cast<double>(int64_t{1} << PrivateSum::kGridBits);
constexpr double kMostNoise = 10'000;

Bytes Label(const char* what, PrivateStep step, uint64_t block) {
  CanonicalWriter writer;
  writer.Blob(what).U32(step.epoch).U32(step.step).U64(block);
  return writer.Take();
}

// In (0, 1), in steps of 2^-64 at the small end, where the tail of the Gaussian comes from.
double OpenUnit(uint64_t bits) {
  return std::min((static_cast<double>(bits) + 0.5) * 0x1p-64, 1 - 0x1p-53);
}

// Two standard normals (Box and Muller).
std::pair<double, double> Normals(const uint64_t* bits) {
  const double radius = std::sqrt(-2 * std::log(OpenUnit(bits[0])));
  const double angle = 2 * std::acos(-1.0) * OpenUnit(bits[1]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// In lanes, which the compiler turns into vectors.
double SquaredNorm(absl::Span<const float> values) {
  constexpr size_t kLanes = 8;
  double lanes[kLanes] = {};
  const size_t whole = values.size() / kLanes * kLanes;
  const float* v = values.data();
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += static_cast<double>(v[i + lane]) * static_cast<double>(v[i + lane]);
    }
  }
  double square = 0;
  for (size_t i = whole; i < values.size(); ++i) {
    square += static_cast<double>(v[i]) * static_cast<double>(v[i]);
  }
  for (const double lane : lanes) {
    square += lane;
  }
  return square;
}

}  // namespace

std::vector<uint32_t> PoissonSample(uint64_t patients, uint64_t expected, const crypto::SecretBytes& key,
                                    PrivateStep step) {
  std::vector<uint32_t> sample;
  const bool all = expected >= patients;
  const uint64_t below = all ? 0 : static_cast<uint64_t>((static_cast<unsigned __int128>(expected) << 64) / patients);
  crypto::SeededStream stream(key, Label("cloister/dp-sgd/sample", step, 0));
  for (uint64_t patient = 0; patient < patients; ++patient) {
    if (all || stream.NextU64() < below) {
      sample.push_back(static_cast<uint32_t>(patient));
    }
  }
  return sample;
}

absl::StatusOr<PrivateSum> PrivateSum::Create(size_t parameters, double clip_norm, double noise_multiplier) {
  if (parameters == 0) {
    return absl::InvalidArgumentError("differential privacy: there are no parameters");
  }
  if (!std::isfinite(clip_norm) || clip_norm <= 0) {
    return absl::InvalidArgumentError(
        fmt::format("differential privacy: clip_norm {}; it must be finite and positive", clip_norm));
  }
  if (!(noise_multiplier > 0 && noise_multiplier <= kMostNoise)) {
    return absl::InvalidArgumentError(fmt::format(
        "differential privacy: noise_multiplier {}; it must be above 0 and at most {}", noise_multiplier, kMostNoise));
  }
  return PrivateSum(parameters, clip_norm, noise_multiplier);
}

void PrivateSum::Clear() {
  std::fill(sum_.begin(), sum_.end(), 0);
  patients_ = 0;
}

bool PrivateSum::Add(absl::Span<const absl::Span<const float>> gradient) {
  size_t size = 0;
  double square = 0;  // of finite floats it is at most 2^256 a value
  for (const absl::Span<const float>& piece : gradient) {
    size += piece.size();
    square += SquaredNorm(piece);
  }
  if (size != sum_.size() || ++patients_ > kMostPatients) {
    std::abort();
  }
  if (!std::isfinite(square)) {
    return false;
  }
  // Every addition to the norm rounds by at most 2^-53, and so does the scaling: off the bound with it.
  const double below = 1 - (static_cast<double>(size) + 16) * 0x1p-53;
  const double scale = below * kGrid / std::max(std::sqrt(square), clip_norm_);
  int64_t* sum = sum_.data();
  for (const absl::Span<const float>& piece : gradient) {
    const float* values = piece.data();
    for (size_t i = 0; i < piece.size(); ++i) {
      sum[i] += static_cast<int32_t>(static_cast<double>(values[i]) * scale);  // at most 2^kGridBits
    }
    sum += piece.size();
  }
  return true;
}

void PrivateSum::AddNoise(const crypto::SecretBytes& key, PrivateStep step, size_t first, size_t count) {
  if (first % kNoiseBlock != 0 || first + count > sum_.size()) {
    std::abort();
  }
  const double deviation = noise_multiplier_ * kGrid;
  std::vector<uint64_t> bits(kNoiseBlock);
  for (size_t block = first; block < first + count; block += kNoiseBlock) {
    const size_t size = std::min(kNoiseBlock, first + count - block);
    crypto::SeededStream stream(key, Label("cloister/dp-sgd/noise", step, block / kNoiseBlock));
    stream.Fill(bits.data(), bits.size() * sizeof(uint64_t));
    for (size_t i = 0; i < size; i += 2) {
      const auto [one, other] = Normals(&bits[i]);
      sum_[block + i] += std::llround(deviation * one);
      if (i + 1 < size) {
        sum_[block + i + 1] += std::llround(deviation * other);
      }
    }
  }
  crypto::WipeMemory(bits.data(), bits.size() * sizeof(uint64_t));
}

void PrivateSum::Read(size_t first, double divisor, absl::Span<float> gradient) const {
  const double unit = clip_norm_ / kGrid / divisor;
  for (size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = static_cast<float>(static_cast<double>(sum_[first + i]) * unit);
  }
}

}  // namespace cloister::models
