// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/strict_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ErrorOf(const absl::Status& status) {
  return std::string(status.message());
}

TEST(StrictYamlTest, ReadsEveryKindOfValue) {
  auto yaml = StrictYaml::Parse(
      "name: x\nport: 8042\nshare: 0.25\non: true\nwait: 15m\nlist: [a, b]\nmap: {k: v}\n"
      "maps:\n  - {k: 1}\n  - {k: 2}\nkind: red\n",
      "site.yaml");
  ASSERT_TRUE(yaml.ok());
  EXPECT_EQ(yaml->Text("name"), "x");
  EXPECT_EQ(yaml->Int("port", 1, 65535), 8042);
  EXPECT_EQ(yaml->Real("share", 0, 1), 0.25);
  EXPECT_TRUE(yaml->Bool("on"));
  EXPECT_EQ(yaml->DurationMs("wait"), 900'000);
  EXPECT_THAT(yaml->TextList("list"), ElementsAre("a", "b"));
  EXPECT_EQ(yaml->Map("map").Text("k"), "v");
  std::vector<int64_t> numbers;
  for (StrictYaml map : yaml->MapList("maps")) numbers.push_back(map.Int("k", 0, 9));
  EXPECT_THAT(numbers, ElementsAre(1, 2));
  EXPECT_EQ(yaml->OneOf("kind", {"red", "blue"}), "red");
  EXPECT_EQ(yaml->Text("absent", "fallback"), "fallback");
  EXPECT_TRUE(yaml->Finish().ok());
}

TEST(StrictYamlTest, PointsAtAnUnknownKeyAndSuggestsTheNearOne) {
  auto yaml = StrictYaml::Parse("model:\n  arhitecture: resnet18\n", "experiment.yaml");
  ASSERT_TRUE(yaml.ok());
  yaml->Map("model").Text("architecture", "");
  EXPECT_EQ(ErrorOf(yaml->Finish()),
            "experiment.yaml:2:3: unknown key 'arhitecture' (did you mean 'architecture'?); allowed: architecture");
}

TEST(StrictYamlTest, PointsAtAValueThatIsNotAllowed) {
  auto yaml = StrictYaml::Parse("kind: bleu\n", "a.yaml");
  yaml->OneOf("kind", {"red", "blue"});
  EXPECT_EQ(ErrorOf(yaml->Finish()), "a.yaml:1:7: 'kind' cannot be 'bleu' (did you mean 'blue'?); allowed: red, blue");
}

TEST(StrictYamlTest, ReportsTheFirstErrorOfSeveral) {
  auto yaml = StrictYaml::Parse("a: x\nb: y\n", "a.yaml");
  yaml->Int("a", 0, 1);
  yaml->Int("b", 0, 1);
  EXPECT_THAT(ErrorOf(yaml->Finish()), StartsWith("a.yaml:1:4: 'a' must be a whole number"));
}

TEST(StrictYamlTest, RefusesNumbersThatAreNotQuiteNumbers) {
  for (const std::string text : {"1x", "0x10", "1e3", "", "99999999999999999999", "-1", "1.5"}) {
    auto yaml = StrictYaml::Parse("n: \"" + text + "\"\n", "a.yaml");
    yaml->Int("n", 0, 100);
    EXPECT_FALSE(yaml->Finish().ok()) << text;
  }
  for (const std::string text : {"nan", "inf", "1e999", "0.5x", ""}) {
    auto yaml = StrictYaml::Parse("n: \"" + text + "\"\n", "a.yaml");
    yaml->Real("n", 0, 100);
    EXPECT_FALSE(yaml->Finish().ok()) << text;
  }
  for (const std::string text : {"5", "s", "5 s", "-5s", "5d", "99999999999999999999s"}) {
    auto yaml = StrictYaml::Parse("n: \"" + text + "\"\n", "a.yaml");
    yaml->DurationMs("n");
    EXPECT_FALSE(yaml->Finish().ok()) << text;
  }
}

TEST(StrictYamlTest, RefusesWhatIsNotAPlainMapping) {
  for (const std::string text : {"- a\n- b\n", "plain", "", "a: [", "a: b: c", "\t", "? {a: b}\n: c\n", "{{}}"}) {
    EXPECT_FALSE(StrictYaml::Parse(text, "a.yaml").ok() && StrictYaml::Parse(text, "a.yaml")->Finish().ok()) << text;
  }
}

TEST(StrictYamlTest, RefusesWhatIsNotUtf8) {
  EXPECT_TRUE(StrictYaml::Parse("title: \xe8\x82\xba\xe7\x82\x8e\n", "t.yaml").ok());
  EXPECT_EQ(StrictYaml::Parse("title: Lungenentz\xfcndung\n", "t.yaml").status(),
            absl::InvalidArgumentError("t.yaml: the file is not UTF-8 text"));
}

TEST(StrictYamlTest, RefusesDuplicateKeysAtAnyDepth) {
  auto yaml = StrictYaml::Parse("a: {b: 1, b: 2}\n", "a.yaml");
  ASSERT_TRUE(yaml.ok());
  EXPECT_THAT(ErrorOf(yaml->Finish()), HasSubstr("'b' stands here a second time"));
}

TEST(StrictYamlTest, RefusesAliasesThatMakeASmallFileEnormous) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 8; ++j) bomb += ", " + before;
    bomb += "]\n";
  }
  EXPECT_THAT(ErrorOf(StrictYaml::Parse(bomb, "a.yaml").status()), HasSubstr("aliases"));
}

TEST(StrictYamlTest, RefusesDeepNestingAndHugeFiles) {
  EXPECT_FALSE(StrictYaml::Parse("a: " + std::string(100'000, '['), "a.yaml").ok());
  EXPECT_THAT(ErrorOf(StrictYaml::Parse("a: " + std::string(2 << 20, 'x'), "a.yaml").status()), HasSubstr("at most"));
}

}  // namespace
}  // namespace cloister
