// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/toy_task.h"

#include <cmath>
#include <random>

namespace cloister::sim {
namespace {

constexpr int kTrainingCases = 240;
constexpr int kHeldOutCases = 60;
constexpr int kSteps = 8;
constexpr double kRate = 0.5;

struct ToyCase {
  std::vector<double> features;
  bool positive = false;
};

double Uniform(std::mt19937_64& dice) {
  return static_cast<double>(dice() >> 11) * 0x1p-53;
}

// The same rule at every site, with one label in twenty wrong.
std::vector<ToyCase> MakeCases(uint64_t seed, int count, size_t features) {
  std::mt19937_64 dice(seed);
  std::vector<ToyCase> cases(static_cast<size_t>(count));
  for (ToyCase& one : cases) {
    double sum = 0;
    for (size_t i = 0; i < features; ++i) {
      one.features.push_back(2 * Uniform(dice) - 1);
      sum += one.features.back() * std::sin(1.0 + static_cast<double>(i));
    }
    one.positive = (sum > 0) != (Uniform(dice) < 0.05);
  }
  return cases;
}

template <typename T>
double ScoreOf(const ToyCase& one, const T& weights) {
  double sum = 0;
  for (size_t i = 0; i < one.features.size(); ++i) {
    sum += one.features[i] * static_cast<double>(weights[i]);
  }
  return 1 / (1 + std::exp(-sum));
}

}  // namespace

std::vector<float> TrainToy(int site, absl::Span<const float> weights, bool flipped) {
  const std::vector<ToyCase> cases = MakeCases(1000 + static_cast<uint64_t>(site), kTrainingCases, weights.size());
  std::vector<double> local(weights.begin(), weights.end());
  for (int step = 0; step < kSteps; ++step) {
    std::vector<double> gradient(local.size());
    for (const ToyCase& one : cases) {
      const double error = ScoreOf(one, local) - (one.positive != flipped ? 1 : 0);
      for (size_t i = 0; i < local.size(); ++i) {
        gradient[i] += error * one.features[i] / kTrainingCases;
      }
    }
    for (size_t i = 0; i < local.size(); ++i) {
      local[i] -= kRate * gradient[i];
    }
  }
  return {local.begin(), local.end()};
}

eval::Cases ScoreToy(int site, const std::vector<std::vector<float>>& models) {
  eval::Cases scored;
  const size_t features = models.front().size();
  for (const ToyCase& one : MakeCases(2000 + static_cast<uint64_t>(site), kHeldOutCases, features)) {
    double score = 0;
    for (const std::vector<float>& model : models) {
      score += ScoreOf(one, model) / static_cast<double>(models.size());
    }
    scored.push_back({static_cast<uint32_t>(scored.size()), one.positive, score});
  }
  return scored;
}

}  // namespace cloister::sim
