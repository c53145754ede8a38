// SPDX-License-Identifier: Apache-2.0
// Forms, cookies, sessions, the failure limit and the users file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "protocols/base/file.h"
#include "protocols/crypto/password.h"
#include "protocols/transport/http_form.h"
#include "protocols/transport/http_server.h"
#include "protocols/transport/http_session.h"
#include "tests/support/temp_dir.h"

namespace cloister::transport {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(ParseFormTest, DecodesAndKeepsTheFirst) {
  EXPECT_THAT(ParseForm("a=1&b=x%20y+z&c&=9&a=2&d=%E8%82%BA&e=%zz%4"),
              ElementsAre(Pair("a", "1"), Pair("b", "x y z"), Pair("c", ""), Pair("d", "肺"), Pair("e", "%zz%4")));
  EXPECT_TRUE(ParseForm("").empty());
}

TEST(FindCookieTest, FindsOneByItsWholeName) {
  const std::string header = "xcloister_80=no; cloister_80=yes; other=1";
  EXPECT_EQ(FindCookie(header, "cloister_80"), "yes");
  EXPECT_EQ(FindCookie(header, "cloister_8"), "");
  EXPECT_EQ(FindCookie("", "a"), "");
}

TEST(PreferredLanguageTest, TakesTheFirstItKnows) {
  EXPECT_EQ(PreferredLanguage("zh-CN,zh;q=0.9,en;q=0.8"), "zh");
  EXPECT_EQ(PreferredLanguage("de-DE, en;q=0.5, zh;q=0.1"), "en");
  EXPECT_EQ(PreferredLanguage(""), "en");
}

TEST(SafePathTest, StaysOnThisServer) {
  EXPECT_EQ(SafePath("/releases?x=1"), "/releases?x=1");
  for (const char* bad : {"", "https://evil.example/", "//evil.example/", "/\\evil.example", "/\t/evil.example/",
                          "/\t\\evil.example", "/a\r\nSet-Cookie: x"}) {
    EXPECT_EQ(SafePath(bad), "/") << bad;
  }
}

TEST(HttpSessionsTest, EndWithTimeOrOnRequest) {
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  HttpSessions sessions(absl::Hours(1));
  const std::string first = sessions.Begin("anna", start);
  const std::string second = sessions.Begin("anna", start);
  EXPECT_NE(first, second);
  EXPECT_EQ(sessions.Find(first, start)->user, "anna");
  EXPECT_NE(sessions.Find(first, start)->csrf, sessions.Find(second, start)->csrf);
  EXPECT_FALSE(sessions.Find(first, start + absl::Hours(2)).has_value());
  EXPECT_FALSE(sessions.Find("", start).has_value());
  sessions.End(first);
  EXPECT_FALSE(sessions.Find(first, start).has_value());
  EXPECT_TRUE(sessions.Find(second, start).has_value());
}

TEST(FailureLimitTest, MakesWaitAndForgets) {
  const absl::Time start = absl::FromUnixSeconds(1'000'000);
  FailureLimit limit(3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limit.Wait("user anna", start), absl::ZeroDuration());
    limit.Failed("user anna", start);
  }
  EXPECT_EQ(limit.Wait("user anna", start), absl::Minutes(5));
  EXPECT_EQ(limit.Wait("user bert", start), absl::ZeroDuration());
  EXPECT_EQ(limit.Wait("user anna", start + absl::Minutes(5)), absl::ZeroDuration());
  limit.Succeeded("user anna");
  EXPECT_EQ(limit.Wait("user anna", start), absl::ZeroDuration());
}

TEST(UsersTest, AreWrittenAndRead) {
  const cloister::testing::TempDir dir;
  const auto path = dir.path() / "users";
  ASSERT_TRUE(WriteUser(path, "anna", "correct horse").ok());
  ASSERT_TRUE(WriteUser(path, "bert", "battery staple").ok());
  ASSERT_TRUE(WriteUser(path, "anna", "another password").ok());
  const auto users = ReadUsers(path);
  ASSERT_TRUE(users.ok()) << users.status();
  EXPECT_EQ(users->size(), 2u);
  EXPECT_TRUE(crypto::CheckPassword("another password", users->at("anna")));
  struct stat facts = {};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);

  EXPECT_TRUE(absl::IsInvalidArgument(WriteUser(path, "carla", "short")));
  EXPECT_TRUE(absl::IsInvalidArgument(WriteUser(path, "Carla:x", "long enough password")));
  EXPECT_TRUE(absl::IsNotFound(ReadUsers(dir.path() / "none").status()));
  ASSERT_TRUE(WriteFileAtomically(path, "anna:x\nnonsense\n").ok());
  EXPECT_THAT(std::string(ReadUsers(path).status().message()), HasSubstr("users:2"));
}

}  // namespace
}  // namespace cloister::transport
