// SPDX-License-Identifier: Apache-2.0
// The capture page: size, determinism, and texts that do not fit.

#include "models/preprocess/capture_page.h"

#include <gtest/gtest.h>

#include <cmath>

namespace cloister::models {
namespace {

GrayImage Film() {
  GrayImage film{300, 200, {}};
  for (int i = 0; i < 300 * 200; ++i) {
    film.pixels.push_back(static_cast<float>(i % 200) / 200);
  }
  return film;
}

TEST(CapturePageTest, HasItsSizeAndIsDeterministic) {
  CaptureContent content;
  content.title = "Chest pneumonia";
  content.score = 0.83;
  content.operating_point = 0.41;
  content.lines = {"Model 1.0.0.1", "2026-03-01"};
  const auto page = RenderCapturePage(Film(), content);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->rows, 800);
  EXPECT_EQ(page->columns, 1024);
  EXPECT_EQ(page->pixels.size(), 800u * 1024 * 3);
  EXPECT_EQ(page->pixels, RenderCapturePage(Film(), content)->pixels);
  content.score = 0.2;
  EXPECT_NE(page->pixels, RenderCapturePage(Film(), content)->pixels);
}

TEST(CapturePageTest, SurvivesEveryText) {
  CaptureContent content;
  content.title = std::string(3000, 'W');
  content.positive_text = "\xE8\x82\xBA\xE7\x82\x8E \x01\x02 \xFF";
  content.lines.assign(200, "a line that is much longer than the card and so has to be broken into several lines");
  content.lines.push_back("");
  content.score = content.operating_point = 1;
  EXPECT_TRUE(RenderCapturePage(Film(), content).ok());
  content.score = content.operating_point = 0;
  EXPECT_TRUE(RenderCapturePage(Film(), content).ok());
}

TEST(CapturePageTest, RefusesWhatIsNoProbability) {
  for (double bad : {-0.1, 1.1, std::nan("")}) {
    CaptureContent content;
    content.score = bad;
    EXPECT_EQ(RenderCapturePage(Film(), content).status().code(), absl::StatusCode::kInvalidArgument);
    content.score = 0.5;
    content.operating_point = bad;
    EXPECT_EQ(RenderCapturePage(Film(), content).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(RenderCapturePage({0, 0, {}}, {}).ok());
}

}  // namespace
}  // namespace cloister::models
