// SPDX-License-Identifier: Apache-2.0
// Training through its door: the same bytes again, after an interruption too; learning; small, one-class and hostile
// data.

#include "models/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "models/predictor.h"
#include "protocols/base/file.h"
#include "protocols/update/model_state.h"
#include "tests/models/train/synthetic_set.h"
#include "tests/support/temp_dir.h"

namespace cloister::models {
namespace {

using ::testing::HasSubstr;
using testing::SyntheticSet;

class TrainerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    SetComputeThreads(1);
    initial_ = new Bytes(MakeInitialModel(Spec())->model);
  }
  static void TearDownTestSuite() {
    delete initial_;
    initial_ = nullptr;
  }

  static ModelSpec Spec() {
    ModelSpec spec;
    spec.seed = 7;
    return spec;
  }
  static TrainOptions Options(int epochs = 3) {
    TrainOptions options;
    options.epochs = epochs;
    options.batch_size = 4;
    options.seed = 11;
    options.augment = true;
    options.optimizer.kind = OptimizerKind::kAdamW;
    options.optimizer.lr = 1e-3;
    return options;
  }

  static Bytes* initial_;
};

Bytes* TrainerTest::initial_ = nullptr;

TEST_F(TrainerTest, TheSameArgumentsGiveTheSameBytes) {
  const SyntheticSet data(10);
  const auto a = Train(Spec(), *initial_, data.set, Options());
  const auto b = Train(Spec(), *initial_, data.set, Options());
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->model, b->model);
  EXPECT_EQ(a->loss_sum, b->loss_sum);
  EXPECT_EQ(a->samples, 10);
  EXPECT_EQ(a->batches, 3);
  EXPECT_NE(a->model, *initial_);
  TrainOptions other = Options();
  other.seed = 12;
  EXPECT_NE(a->model, Train(Spec(), *initial_, data.set, other)->model);
}

TEST_F(TrainerTest, TwoThreadsRepeatThemselvesToo) {
  SetComputeThreads(2);
  const SyntheticSet data(8);
  const auto a = Train(Spec(), *initial_, data.set, Options(2));
  const auto b = Train(Spec(), *initial_, data.set, Options(2));
  SetComputeThreads(1);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->model, b->model);
}

TEST_F(TrainerTest, AnInterruptedTrainingGoesOnToTheSameBytes) {
  const SyntheticSet data(10);
  for (OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    TrainOptions options = Options(3);
    options.optimizer.kind = kind;
    const auto undisturbed = Train(Spec(), *initial_, data.set, options);
    ASSERT_TRUE(undisturbed.ok()) << undisturbed.status();

    const cloister::testing::TempDir dir;
    const std::filesystem::path checkpoint = dir.path() / "checkpoint";
    const auto interrupt = [](const TrainProgress& progress) {
      if (progress.epoch == 3 && progress.batch == 2) {
        throw std::runtime_error("interrupted");
      }
    };
    EXPECT_FALSE(Train(Spec(), *initial_, data.set, options, checkpoint, interrupt).ok());
    const auto resumed = Train(Spec(), *initial_, data.set, options, checkpoint);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(resumed->resumed_epochs, 2);
    EXPECT_EQ(resumed->model, undisturbed->model);
    EXPECT_EQ(resumed->loss_sum, undisturbed->loss_sum);
    EXPECT_EQ(resumed->loss_first_epoch, undisturbed->loss_first_epoch);
  }
}

TEST_F(TrainerTest, AForeignOrDamagedCheckpointIsIgnored) {
  const SyntheticSet data(6);
  const cloister::testing::TempDir dir;
  const std::filesystem::path checkpoint = dir.path() / "checkpoint";
  const auto good = Train(Spec(), *initial_, data.set, Options(2), checkpoint);
  ASSERT_TRUE(good.ok());
  Bytes file = *ReadFile(checkpoint);

  TrainOptions other = Options(2);
  other.seed = 99;
  EXPECT_EQ(Train(Spec(), *initial_, data.set, other, checkpoint)->resumed_epochs, 0);

  file[file.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(checkpoint, file).ok());
  auto again = Train(Spec(), *initial_, data.set, Options(2), checkpoint);
  EXPECT_EQ(again->resumed_epochs, 0);
  EXPECT_EQ(again->model, good->model);
  ASSERT_TRUE(WriteFileAtomically(checkpoint, "").ok());
  EXPECT_EQ(Train(Spec(), *initial_, data.set, Options(2), checkpoint)->resumed_epochs, 0);
}

TEST_F(TrainerTest, LearnsATinySetAndThePredictorSeesIt) {
  const SyntheticSet data(16);
  TrainOptions options = Options(8);
  options.augment = false;
  const auto result = Train(Spec(), *initial_, data.set, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->loss_last_epoch, result->loss_first_epoch);
  EXPECT_LT(result->loss_last_epoch, 0.2);
  const auto predictor = Predictor::Create(Spec(), result->model);
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const auto scores = (*predictor)->Predict({1, 32, 32, data.set.images});
  ASSERT_TRUE(scores.ok()) << scores.status();
  for (size_t i = 0; i < scores->size(); ++i) {
    EXPECT_EQ((*scores)[i] > 0.5, data.set.labels[i] > 0.5) << i << ": " << (*scores)[i];
  }
}

TEST_F(TrainerTest, AStrongProximalTermStaysNearTheStart) {
  const SyntheticSet data(4);
  TrainOptions options = Options(8);
  options.optimizer = OptimizerOptions();
  options.optimizer.lr = 1e-3;
  options.optimizer.momentum = 0;
  const auto distance = [&](double mu) {
    options.proximal_mu = mu;
    const auto result = Train(Spec(), *initial_, data.set, options);
    EXPECT_TRUE(result.ok()) << result.status();
    const auto from = *update::ParseModelState(*initial_);
    const auto to = *update::ParseModelState(result->model);
    double sum = 0;
    for (const update::Tensor& tensor : from.layout.tensors()) {
      if (tensor.name.find("running_") == std::string::npos) {  // statistics are not pulled back
        for (uint64_t i = tensor.offset; i < tensor.offset + tensor.elements; ++i) {
          sum += std::pow(to.values[i] - from.values[i], 2);
        }
      }
    }
    return sum;
  };
  EXPECT_LT(distance(500), 0.8 * distance(0));
}

TEST_F(TrainerTest, SmallAndOneClassSetsTrain) {
  for (size_t images : {2, 3, 5, 9}) {  // batches of 4: a rest of one joins the batch before
    const SyntheticSet data(images);
    const auto result = Train(Spec(), *initial_, data.set, Options(1));
    EXPECT_TRUE(result.ok()) << images << ": " << result.status();
  }
  SyntheticSet one_class(6);
  for (float label : {0.0F, 1.0F}) {
    one_class.set.labels.assign(6, label);
    TrainOptions options = Options(1);
    options.positive_weight = 0;
    const auto result = Train(Spec(), *initial_, one_class.set, options);
    EXPECT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(std::isfinite(result->loss_sum));
  }
}

TEST_F(TrainerTest, RefusesTooFewImages) {
  for (size_t images : {0, 1}) {
    const SyntheticSet data(images);
    EXPECT_EQ(Train(Spec(), *initial_, data.set, Options()).status().code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST_F(TrainerTest, ADivergingTrainingIsAStatus) {
  const SyntheticSet data(8);
  TrainOptions options = Options(20);
  options.optimizer = OptimizerOptions();
  options.optimizer.lr = 100;
  options.optimizer.weight_decay = 10;
  const auto result = Train(Spec(), *initial_, data.set, options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kOutOfRange) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("not finite"));
}

TEST_F(TrainerTest, RefusesBadArguments) {
  const SyntheticSet data(4);
  const auto refuses = [&](auto change, const char* why) {
    ModelSpec spec = Spec();
    TrainOptions options = Options();
    TrainingSet set = data.set;
    Bytes initial = *initial_;
    change(spec, options, set, initial);
    const auto result = Train(spec, initial, set, options);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument) << why;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(why));
  };
  refuses([](auto&, auto& o, auto&, auto&) { o.epochs = 0; }, "epochs");
  refuses([](auto&, auto& o, auto&, auto&) { o.batch_size = 1; }, "batch_size");
  refuses([](auto&, auto& o, auto&, auto&) { o.optimizer.lr = std::nan(""); }, "optimizer.lr");
  refuses([](auto&, auto& o, auto&, auto&) { o.optimizer.momentum = 1; }, "momentum");
  refuses([](auto&, auto& o, auto&, auto&) { o.proximal_mu = -1; }, "proximal_mu");
  refuses([](auto&, auto&, auto& s, auto&) { s.labels.pop_back(); }, "3 labels");
  refuses([](auto&, auto&, auto& s, auto&) { s.labels[0] = 2; }, "label");
  refuses([](auto&, auto&, auto& s, auto&) { s.rows = 0; }, "rows");
  refuses([](auto& spec, auto&, auto&, auto&) { spec.input_channels = 3; }, "channels");
  refuses([](auto& spec, auto&, auto&, auto&) { spec.architecture = "resnet34"; }, "is missing");
  refuses([](auto& spec, auto&, auto&, auto&) { spec.architecture = "vgg"; }, "unknown 'vgg'");
  refuses([](auto&, auto&, auto&, auto& initial) { initial.resize(initial.size() / 2); }, "");
  refuses([](auto&, auto&, auto&, auto& initial) { initial.clear(); }, "");
}

TEST_F(TrainerTest, AMapIsNotAnImageLabel) {
  ModelSpec spec = Spec();
  spec.architecture = "unet_small";
  const auto initial = MakeInitialModel(spec);
  ASSERT_TRUE(initial.ok());
  const SyntheticSet data(4);
  const auto result = Train(spec, initial->model, data.set, Options(1));
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("one logit per image"));
  const auto predictor = *Predictor::Create(spec, initial->model);
  EXPECT_FALSE(predictor->Predict({1, 32, 32, data.set.images}).ok());
}

TEST_F(TrainerTest, ReportsProgress) {
  const SyntheticSet data(10);
  std::vector<TrainProgress> seen;
  ASSERT_TRUE(
      Train(Spec(), *initial_, data.set, Options(2), {}, [&](const TrainProgress& p) { seen.push_back(p); }).ok());
  ASSERT_EQ(seen.size(), 6u);
  EXPECT_EQ(seen[0].epoch, 1);
  EXPECT_EQ(seen[0].batch, 1);
  EXPECT_GT(seen[0].eta_seconds, 0);
  EXPECT_EQ(seen[5].epoch, 2);
  EXPECT_EQ(seen[5].batch, 3);
  EXPECT_EQ(seen[5].eta_seconds, 0);
  EXPECT_GT(seen[5].images_per_second, 0);
}

TEST(PredictorTest, AnImageScoresTheSameAloneAndInABatch) {
  SetComputeThreads(1);
  ModelSpec spec;
  const Bytes model = MakeInitialModel(spec)->model;
  const auto predictor = *Predictor::Create(spec, model);
  const SyntheticSet data(40);  // more than one internal batch
  const auto together = *predictor->Predict({1, 32, 32, data.set.images});
  ASSERT_EQ(together.size(), 40u);
  for (size_t i : {0, 31, 32, 39}) {
    const auto alone = *predictor->Predict({1, 32, 32, {data.set.images[i]}});
    EXPECT_NEAR(alone[0], together[i], 1e-5) << i;  // float rounding of another blocking
  }
  EXPECT_TRUE(predictor->Predict({1, 32, 32, {}})->empty());
}

TEST(PredictorTest, RefusesBadImagesAndWeights) {
  ModelSpec spec;
  const auto initial = MakeInitialModel(spec);
  const auto predictor = *Predictor::Create(spec, initial->model);
  const std::vector<uint8_t> pixels(3 * 64 * 64);
  EXPECT_FALSE(predictor->Predict({3, 32, 32, {pixels.data()}}).ok());
  EXPECT_FALSE(predictor->Predict({1, 0, 32, {pixels.data()}}).ok());
  EXPECT_FALSE(predictor->Predict({1, 1 << 20, 1 << 20, {pixels.data()}}).ok());
  EXPECT_FALSE(Predictor::Create(spec, "").ok());
  EXPECT_FALSE(Predictor::Create(spec, initial->model.substr(0, 1000)).ok());
}

}  // namespace
}  // namespace cloister::models
