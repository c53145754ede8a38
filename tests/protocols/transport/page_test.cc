// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::transport {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHostile[] = "<script>alert(\"1\")</script>&'";

TEST(EscapeTest, LeavesNothingThatMeansSomething) {
  EXPECT_EQ(EscapeHtml(kHostile), "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;");
  EXPECT_EQ(EscapeUrl("a b/肺?&"), "a%20b%2F%E8%82%BA%3F%26");
}

TEST(PageTest, EscapesWhateverIsText) {
  Page page;
  page.title = page.product = page.path = page.user = page.csrf = kHostile;
  page.navigation = {{kHostile, kHostile}};
  page.html = parts::Card(kHostile, "") + parts::Chip(kHostile, Tone::kGood) + parts::Progress(1, 2, kHostile) +
              parts::Figures({{kHostile, kHostile}}) + parts::Facts({{kHostile, ""}}) +
              parts::Table({{kHostile}}, {{""}}, "") + parts::Table({}, {}, kHostile) +
              parts::PostButton(kHostile, kHostile, kHostile, Tone::kBad, {{kHostile, kHostile}}) +
              parts::Hash(kHostile) + parts::Link(kHostile, kHostile) + parts::Muted(kHostile);
  EXPECT_THAT(RenderPage(page), Not(HasSubstr("<script>alert")));
  EXPECT_THAT(RenderLogin({kHostile, "en", kHostile, kHostile, kHostile}), Not(HasSubstr("<script>alert")));
}

TEST(PageTest, SpeaksTheReadersLanguage) {
  Page page;
  page.title = "T";
  page.language = "zh";
  page.user = "anna";
  page.path = "/releases/7";
  page.navigation = {{"Home", "/"}, {"Releases", "/releases"}};
  const std::string html = RenderPage(page);
  EXPECT_THAT(html, HasSubstr("lang=\"zh-CN\""));
  EXPECT_THAT(html, HasSubstr("退出"));
  EXPECT_THAT(html, HasSubstr("href=\"/releases/7?lang=en\""));
  EXPECT_THAT(html, HasSubstr("<a href=\"/releases\" aria-current=\"page\">"));
  EXPECT_THAT(html, HasSubstr("<a href=\"/\">Home"));
}

TEST(PartsTest, AChipReadsWithoutItsColour) {
  const std::string good = parts::Chip("passed", Tone::kGood);
  const std::string bad = parts::Chip("passed", Tone::kBad);
  EXPECT_NE(good.substr(good.find("<path")), bad.substr(bad.find("<path")));  // another icon, not only another class
}

TEST(PartsTest, ProgressStaysInItsTrack) {
  EXPECT_THAT(parts::Progress(5, 0, "x"), HasSubstr("width:0.0%"));
  EXPECT_THAT(parts::Progress(9, 3, "x"), HasSubstr("width:100.0%"));
  EXPECT_THAT(parts::Progress(-1, 3, "x"), HasSubstr("width:0.0%"));
  EXPECT_THAT(parts::Progress(1, 3, "x"), HasSubstr("1 / 3"));
}

}  // namespace
}  // namespace cloister::transport
