// SPDX-License-Identifier: Apache-2.0
// Windowing, fitting, bad images, and the digest that names a configuration.

#include "models/preprocess/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace cloister::models {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

GrayImage Gradient(int rows, int columns, float low = 0, float high = 1) {
  GrayImage image{rows, columns, {}};
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      image.pixels.push_back(low + (high - low) * static_cast<float>(column) / static_cast<float>(columns - 1));
    }
  }
  return image;
}

PreprocessConfig Config(int side, Fit fit = Fit::kLetterbox) {
  PreprocessConfig config;
  config.rows = config.columns = side;
  config.window = Window::kMinMax;
  config.fit = fit;
  return config;
}

uint8_t At(const std::vector<uint8_t>& image, int columns, int row, int column) {
  return image[static_cast<size_t>(row * columns + column)];
}

TEST(PreprocessTest, MapsTheFullRangeToBlackAndWhite) {
  const auto out = Preprocess(Gradient(32, 32, -1000, 3000), Config(32));
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(At(*out, 32, 5, 0), 0);
  EXPECT_EQ(At(*out, 32, 5, 31), 255);
  EXPECT_NEAR(At(*out, 32, 5, 16), 132, 1);  // 16 / 31 of 255
}

TEST(PreprocessTest, IsTheSameForEveryLinearGreyScale) {
  const auto a = Preprocess(Gradient(40, 50), Config(32));
  const auto b = Preprocess(Gradient(40, 50, 100, 4195), Config(32));
  ASSERT_TRUE(a.ok() && b.ok());
  for (size_t i = 0; i < a->size(); ++i) {
    EXPECT_NEAR((*a)[i], (*b)[i], 1) << i;  // float rounding may fall on either side of a half
  }
}

TEST(PreprocessTest, PercentilesIgnoreAFewBrightPixels) {
  GrayImage image = Gradient(64, 64);
  image.pixels[0] = 1000;  // a burnt-in marker
  PreprocessConfig config = Config(64);
  config.window = Window::kPercentile;
  const auto out = Preprocess(image, config);
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0], 255);
  EXPECT_NEAR(At(*out, 64, 30, 32), 130, 4);
}

TEST(PreprocessTest, PercentilesOfAnAlmostBlankFilmFallBackToTheFullRange) {
  GrayImage image{64, 64, std::vector<float>(64 * 64, 7)};
  image.pixels[100] = 9;
  PreprocessConfig config = Config(64);
  config.window = Window::kPercentile;
  const auto out = Preprocess(image, config);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ((*out)[100], 255);
  EXPECT_EQ((*out)[0], 0);
}

TEST(PreprocessTest, LetterboxKeepsTheAspect) {
  GrayImage image = Gradient(20, 40);
  for (float& pixel : image.pixels) {
    pixel += 5;  // so that the black borders can be told from the film
  }
  image.pixels[0] = 0;
  const auto out = Preprocess(image, Config(40));
  ASSERT_TRUE(out.ok());
  for (int column = 0; column < 40; ++column) {
    EXPECT_EQ(At(*out, 40, 9, column), 0);
    EXPECT_EQ(At(*out, 40, 30, column), 0);
    EXPECT_GT(At(*out, 40, 20, column), 200);
  }
}

TEST(PreprocessTest, CropKeepsTheMiddleAndStretchKeepsAll) {
  GrayImage image = Gradient(20, 60);
  const auto cropped = Preprocess(image, Config(20, Fit::kCrop));
  const auto stretched = Preprocess(image, Config(20, Fit::kStretch));
  ASSERT_TRUE(cropped.ok() && stretched.ok());
  EXPECT_NEAR(At(*cropped, 20, 10, 0), 86, 2);  // the first third is gone
  EXPECT_NEAR(At(*cropped, 20, 10, 19), 169, 2);
  EXPECT_LT(At(*stretched, 20, 10, 0), 10);
  EXPECT_GT(At(*stretched, 20, 10, 19), 245);
}

TEST(PreprocessTest, ThreeChannelsRepeatTheGrey) {
  PreprocessConfig config = Config(16);
  config.channels = 3;
  const auto out = Preprocess(Gradient(16, 16), config);
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out->size(), 3u * 16 * 16);
  EXPECT_TRUE(std::equal(out->begin(), out->begin() + 256, out->begin() + 256));
  EXPECT_TRUE(std::equal(out->begin(), out->begin() + 256, out->begin() + 512));
}

TEST(PreprocessTest, ClaheSpreadsADullFilm) {
  GrayImage image = Gradient(128, 128, 0.45F, 0.55F);
  image.pixels[0] = 0;
  image.pixels[1] = 1;
  const auto spread = [](const std::vector<uint8_t>& out) {
    double sum = 0, squares = 0;
    for (uint8_t pixel : out) {
      sum += pixel;
      squares += double{1} * pixel * pixel;
    }
    const double mean = sum / static_cast<double>(out.size());
    return squares / static_cast<double>(out.size()) - mean * mean;
  };
  PreprocessConfig config = Config(128);
  const auto plain = Preprocess(image, config);
  config.clahe_clip_limit = 10;
  const auto equalized = Preprocess(image, config);
  ASSERT_TRUE(plain.ok() && equalized.ok());
  EXPECT_GT(spread(*equalized), 1.5 * spread(*plain));
}

TEST(PreprocessTest, ExtremeShapesGiveTheAskedSize) {
  for (const auto& [rows, columns] : {std::pair{1, 500}, {500, 1}, {2, 3}, {4000, 9}}) {
    GrayImage image{rows, columns, std::vector<float>(static_cast<size_t>(rows) * columns, 0)};
    image.pixels[0] = 1;
    for (Fit fit : {Fit::kLetterbox, Fit::kCrop, Fit::kStretch}) {
      const auto out = Preprocess(image, Config(24, fit));
      ASSERT_TRUE(out.ok()) << rows << " x " << columns << ": " << out.status();
      EXPECT_EQ(out->size(), 24u * 24);
    }
  }
}

TEST(PreprocessTest, RefusesWhatIsNotAnImage) {
  const auto refuses = [](const GrayImage& image, const char* why) {
    const auto out = Preprocess(image, Config(16));
    EXPECT_EQ(out.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(out.status().message()), HasSubstr(why));
  };
  refuses({0, 0, {}}, "0 x 0");
  refuses({-4, -4, std::vector<float>(16)}, "-4 x -4");
  refuses({4, 4, std::vector<float>(15)}, "15 values");
  refuses({1 << 20, 1 << 20, {}}, "pixels");
  refuses({16, 16, std::vector<float>(256, 3)}, "blank");
  GrayImage image = Gradient(16, 16);
  image.pixels[7] = std::numeric_limits<float>::quiet_NaN();
  refuses(image, "not finite");
  image.pixels[7] = std::numeric_limits<float>::infinity();
  refuses(image, "not finite");
}

TEST(PreprocessTest, SurvivesTheLargestFloats) {
  constexpr float kMost = std::numeric_limits<float>::max();
  const auto out = Preprocess(Gradient(16, 16, -kMost / 64, kMost / 64), Config(16));
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ((*out)[0], 0);
}

TEST(PreprocessTest, RefusesBadConfigurations) {
  const auto refuses = [](auto change) {
    PreprocessConfig config = Config(16);
    change(config);
    EXPECT_EQ(CheckPreprocessConfig(config).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(Preprocess(Gradient(16, 16), config).ok());
  };
  refuses([](auto& c) { c.rows = 7; });
  refuses([](auto& c) { c.columns = 5000; });
  refuses([](auto& c) { c.channels = 2; });
  refuses([](auto& c) { c.low_percentile = -1; });
  refuses([](auto& c) { c.high_percentile = 101; });
  refuses([](auto& c) { c.low_percentile = c.high_percentile; });
  refuses([](auto& c) { c.low_percentile = std::nan(""); });
  refuses([](auto& c) { c.clahe_clip_limit = -1; });
}

TEST(PreprocessTest, EveryFieldChangesTheDigest) {
  std::set<Digest> digests{PreprocessDigest(Config(16))};
  const auto add = [&](auto change) {
    PreprocessConfig config = Config(16);
    change(config);
    EXPECT_TRUE(digests.insert(PreprocessDigest(config)).second);
  };
  add([](auto& c) { c.rows = 17; });
  add([](auto& c) { c.columns = 17; });
  add([](auto& c) { c.channels = 3; });
  add([](auto& c) { c.window = Window::kPercentile; });
  add([](auto& c) { c.low_percentile = 1; });
  add([](auto& c) { c.high_percentile = 99; });
  add([](auto& c) { c.fit = Fit::kCrop; });
  add([](auto& c) { c.fit = Fit::kStretch; });
  add([](auto& c) { c.clahe_clip_limit = 2; });
  EXPECT_EQ(PreprocessDigest(Config(16)), PreprocessDigest(Config(16)));
}

}  // namespace
}  // namespace cloister::models
