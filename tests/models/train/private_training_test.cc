// SPDX-License-Identifier: Apache-2.0
// Differentially private training through the door: what one patient can do to a model, restarts, refusals, and an
// attacker who measures how much a model tells of one patient.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/trainer.h"
#include "protocols/privacy/dp_sgd.h"
#include "protocols/privacy/pld_accountant.h"
#include "protocols/update/model_state.h"
#include "tests/models/train/synthetic_set.h"
#include "tests/support/temp_dir.h"

namespace cloister::models {
namespace {

using ::testing::HasSubstr;
using testing::SyntheticSet;

std::shared_ptr<const crypto::SecretBytes> Key(uint64_t number) {
  std::string bytes(32, '\0');
  std::copy_n(reinterpret_cast<const char*>(&number), sizeof number, bytes.begin());
  return std::make_shared<const crypto::SecretBytes>(crypto::SecretBytes::CopyOf(bytes));
}

// y = flatten(x) @ w, w = 0 at first: a gradient is easily told.
class PrivateTrainingTest : public ::testing::Test {
 protected:
  PrivateTrainingTest() {
    SetComputeThreads(1);
    torch::jit::Module module("net");
    module.register_parameter("w", torch::zeros({64, 1}, torch::requires_grad()), /*is_buffer=*/false);
    module.define("def forward(self, x):\n  return torch.flatten(x, 1) @ self.w\n");
    spec_.architecture = "torchscript";
    spec_.torchscript_file = (dir_.path() / "net.pt").string();
    module.save(spec_.torchscript_file);
    initial_ = MakeInitialModel(spec_)->model;
    options_.epochs = 1;
    options_.batch_size = 1000;
    options_.optimizer.momentum = 0;
    options_.optimizer.lr = 1;
    options_.privacy = PrivateTraining{1, 1, Key(1)};
  }

  // One patient for each of `patients`, 8 x 8 images of one grey, the first of the value `first` and positive.
  static TrainingSet Greys(std::vector<std::vector<uint8_t>>& pixels, size_t patients, uint8_t first) {
    TrainingSet set;
    set.rows = set.columns = 8;
    pixels.assign(patients, std::vector<uint8_t>(64, 128));
    pixels[0].assign(64, first);
    for (size_t i = 0; i < patients; ++i) {
      set.images.push_back(pixels[i].data());
      set.labels.push_back(i == 0 ? 1 : 0);
      set.patients.push_back(static_cast<uint32_t>(i));
    }
    return set;
  }

  std::vector<float> Weights(const TrainingSet& set) const {
    const auto result = Train(spec_, initial_, set, options_);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? update::ParseModelState(result->model)->values : std::vector<float>(64);
  }

  cloister::testing::TempDir dir_;
  ModelSpec spec_;
  TrainOptions options_;
  Bytes initial_;
};

TEST_F(PrivateTrainingTest, APatientMovesAStepByTheBoundWhateverTheImagesAre) {
  std::vector<std::vector<uint8_t>> pixels, others;
  const TrainingSet with = Greys(pixels, 5, 255);
  TrainingSet without = Greys(others, 5, 255);
  // The first patient again, with forty images of another kind and the other label.
  for (int i = 0; i < 40; ++i) {
    without.images.push_back(others[0].data());
    without.labels.push_back(0);
    without.patients.push_back(0);
  }
  without.labels[0] = 0;
  const auto distance = [&](double clip_norm) {
    options_.privacy->clip_norm = clip_norm;
    const std::vector<float> a = Weights(with), b = Weights(without);
    double square = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      square += std::pow(static_cast<double>(a[i]) - b[i], 2);
    }
    return std::sqrt(square);
  };
  // Opposite gradients of norm 8 before the clip, five patients in the step; the weights are floats of a few units.
  for (const double clip_norm : {0.01, 0.5, 2.0}) {
    EXPECT_NEAR(distance(clip_norm), 2 * clip_norm / 5, 1e-5) << clip_norm;
  }
}

TEST_F(PrivateTrainingTest, AStepHasTheNoiseOfItsDeviation) {
  std::vector<std::vector<uint8_t>> pixels;
  const TrainingSet set = Greys(pixels, 4, 128);
  options_.privacy->noise_multiplier = 3;
  options_.privacy->clip_norm = 2;
  double squares = 0;
  constexpr int kRuns = 200;
  for (int run = 0; run < kRuns; ++run) {
    options_.privacy->key = Key(static_cast<uint64_t>(run));
    for (const float weight : Weights(set)) {
      squares += static_cast<double>(weight) * weight;
    }
  }
  // 12800 draws of deviation 3 * 2 / 4, and gradients of 0.02 at most: the error of the variance is 1.25% each way.
  EXPECT_NEAR(squares / (kRuns * 64) / (1.5 * 1.5), 1, 4.5 * std::sqrt(2.0 / (kRuns * 64)) + 0.001);
}

TEST_F(PrivateTrainingTest, WhatIsToldBesideTheModelIsNothingOfAPatient) {
  const SyntheticSet data(10, 8);
  TrainingSet set = data.set;
  set.patients = {0, 1, 2, 3, 4, 5, 6, 6, 6, 6};
  options_.batch_size = 3;
  const auto result = Train(spec_, initial_, set, options_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->samples, 7);
  EXPECT_EQ(result->batches, 3);
  EXPECT_EQ(static_cast<uint64_t>(result->batches), privacy::DpSgd(7, 3, 1, 1)->steps);
  EXPECT_EQ(result->loss_sum, 0);
  EXPECT_GT(result->loss_last_epoch, 0);
}

TEST_F(PrivateTrainingTest, TheSameKeyRepeatsItsBytesAlsoAfterAnInterruption) {
  const SyntheticSet data(12, 8);
  TrainingSet set = data.set;
  set.patients = {0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 7, 8};
  options_.epochs = 3;
  options_.batch_size = 4;
  options_.augment = true;
  const auto undisturbed = Train(spec_, initial_, set, options_);
  ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();
  EXPECT_EQ(Train(spec_, initial_, set, options_)->model, undisturbed->model);

  const std::filesystem::path checkpoint = dir_.path() / "checkpoint";
  const auto interrupt = [](const TrainProgress& progress) {
    if (progress.epoch == 3 && progress.batch == 2) {
      throw std::runtime_error("interrupted");
    }
  };
  EXPECT_FALSE(Train(spec_, initial_, set, options_, checkpoint, interrupt).ok());
  // Another key does not go on from there, nor do other patients.
  TrainOptions other = options_;
  other.privacy->key = Key(2);
  const auto another = Train(spec_, initial_, set, other, checkpoint);
  ASSERT_TRUE(another.ok()) << another.status();
  EXPECT_EQ(another->resumed_epochs, 0);
  EXPECT_NE(another->model, undisturbed->model);
  EXPECT_FALSE(Train(spec_, initial_, set, options_, checkpoint, interrupt).ok());
  const auto resumed = Train(spec_, initial_, set, options_, checkpoint);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->resumed_epochs, 2);
  EXPECT_EQ(resumed->model, undisturbed->model);
}

TEST_F(PrivateTrainingTest, RefusesWhatWouldTellMore) {
  const SyntheticSet data(4, 32);
  const auto refuses = [&](auto change, const char* why) {
    ModelSpec spec = spec_;
    TrainOptions options = options_;
    TrainingSet set = data.set;
    Bytes initial = initial_;
    set.patients = {0, 1, 2, 2};
    change(spec, options, set, initial);
    const auto result = Train(spec, initial, set, options);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << why << ": " << result.status();
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(why));
  };
  refuses(
      [](auto& spec, auto&, auto&, auto& initial) {
        spec = ModelSpec();
        initial = MakeInitialModel(spec)->model;
      },
      "an architecture without them, such as resnet18_gn");
  refuses([](auto&, auto& o, auto&, auto&) { o.positive_weight = 0; }, "fixed positive_weight");
  refuses([](auto&, auto& o, auto&, auto&) { o.privacy->key = nullptr; }, "a key of 32 bytes");
  refuses([](auto&, auto& o, auto&, auto&) { o.privacy->noise_multiplier = 0; }, "noise_multiplier");
  refuses([](auto&, auto& o, auto&, auto&) { o.privacy->clip_norm = std::nan(""); }, "clip_norm");
  refuses([](auto&, auto&, auto& s, auto&) { s.patients.pop_back(); }, "4 images, the patients of 3");
  refuses([](auto&, auto&, auto& s, auto&) { s.patients = {0, 1, 3, 3}; }, "without a gap");
  refuses([](auto&, auto&, auto& s, auto&) { s.patients = {0, 1, 2, 4'000'000'000}; }, "patient 4000000000");
}

TEST_F(PrivateTrainingTest, AResNetWithGroupNormalisationLearns) {
  const SyntheticSet data(12);
  TrainingSet set = data.set;
  for (uint32_t i = 0; i < 12; ++i) {
    set.patients.push_back(i);
  }
  ModelSpec spec;
  spec.architecture = "resnet18_gn";
  spec.seed = 7;
  TrainOptions options = options_;
  options.epochs = 8;
  options.optimizer.lr = 0.2;
  options.privacy->noise_multiplier = 0.01;  // no privacy to speak of: does the sum of clipped gradients teach?
  const auto result = Train(spec, MakeInitialModel(spec)->model, set, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->loss_last_epoch, 0.7 * result->loss_first_epoch);
}

// ---- the attacker ----

// The p with P(at most `successes` of `trials`) = 0.025: Clopper and Pearson's upper bound of a rate, 97.5% sure.
double UpperRate(size_t successes, size_t trials) {
  double low = static_cast<double>(successes) / static_cast<double>(trials), high = 1;
  for (int i = 0; i < 60; ++i) {
    const double p = (low + high) / 2;
    double below = 0;
    for (size_t k = 0; k <= successes; ++k) {
      const double n = static_cast<double>(trials), j = static_cast<double>(k);
      below += std::exp(std::lgamma(n + 1) - std::lgamma(j + 1) - std::lgamma(n - j + 1) + j * std::log(p) +
                        (n - j) * std::log1p(-p));
    }
    (below > 0.025 ? low : high) = p;
  }
  return high;
}

// What a test that says "the canary was there" above `threshold` proves: epsilon is at least this, 95% sure
// (Jagielski, Ullman, Oprea 2020).
double ProvenEpsilon(const std::vector<double>& with, const std::vector<double>& without, double threshold,
                     double delta) {
  const auto above = [&](const std::vector<double>& values) {
    return static_cast<size_t>(
        std::count_if(values.begin(), values.end(), [&](double value) { return value > threshold; }));
  };
  const double false_positives = UpperRate(above(without), without.size());
  const double false_negatives = UpperRate(with.size() - above(with), with.size());
  return std::max({0.0, std::log(std::max((1 - false_negatives - delta) / false_positives, 1.0)),
                   std::log(std::max((1 - false_positives - delta) / false_negatives, 1.0))});
}

// A patient whose gradient is as long as the bound allows and points where no other does, looked for in the trained
// model by somebody who knows everything but the key. The proven epsilon must stay below what is claimed for the
// removal of the patient, and must not be nothing: else the attack, or the noise, is not what it should be.
TEST_F(PrivateTrainingTest, ACanaryShowsLessThanIsClaimed) {
  constexpr size_t kHalf = 500;
  constexpr double kDelta = 1e-5;
  struct Setting {
    int batch_size, epochs;
    double noise_multiplier, at_least;
  };
  for (const Setting& setting : {Setting{1000, 1, 1.0, 0.6}, Setting{1000, 6, 2.5, 0.6}, Setting{3, 4, 1.5, 0.3}}) {
    options_.batch_size = setting.batch_size;
    options_.epochs = setting.epochs;
    options_.privacy->noise_multiplier = setting.noise_multiplier;
    const auto mechanism = privacy::DpSgd(6, static_cast<uint64_t>(setting.batch_size),
                                          static_cast<uint64_t>(setting.epochs), setting.noise_multiplier);
    const double claimed = privacy::PldEpsilon(*mechanism, kDelta).value();
    uint64_t key = 1000;
    const auto scores = [&](bool canary) {
      std::vector<std::vector<uint8_t>> pixels;
      const TrainingSet set = Greys(pixels, 6, canary ? 255 : 128);
      std::vector<double> values;
      for (size_t run = 0; run < 2 * kHalf; ++run) {
        options_.privacy->key = Key(key++);
        double along = 0;  // the canary's gradient is the same in every pixel
        for (const float weight : Weights(set)) {
          along += weight;
        }
        values.push_back(along);
      }
      return values;
    };
    const std::vector<double> with = scores(true), without = scores(false);
    const auto half = [](const std::vector<double>& values, size_t which) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(which * kHalf);
      return std::vector<double>(first, first + kHalf);
    };
    // The threshold is chosen on one half and tried on the other.
    double threshold = 0, best = -1;
    for (const double candidate : half(with, 0)) {
      const double proven = ProvenEpsilon(half(with, 0), half(without, 0), candidate, kDelta);
      if (proven > best) {
        best = proven;
        threshold = candidate;
      }
    }
    const double proven = ProvenEpsilon(half(with, 1), half(without, 1), threshold, kDelta);
    EXPECT_LT(proven, claimed);
    EXPECT_GT(proven, setting.at_least) << "claimed " << claimed;
  }
}

}  // namespace
}  // namespace cloister::models
