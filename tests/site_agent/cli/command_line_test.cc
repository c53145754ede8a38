// SPDX-License-Identifier: Apache-2.0
// The command line itself, and the first steps of a site: usage, configuration, init, enroll, portal-user.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "protocols/crypto/password.h"
#include "protocols/transport/http_server.h"
#include "protocols/transport/identity.h"
#include "site_agent/cli/text.h"
#include "site_agent/policy/policy.h"
#include "tests/site_agent/cli/cli_site.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

unsigned ModeOf(const std::filesystem::path& path) {
  struct stat facts = {};
  EXPECT_EQ(stat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 0777;
}

TEST_F(CliSite, EveryCommandHasHelpWithExamples) {
  const std::vector<std::vector<std::string>> all = {
      {"init"},         {"enroll"},      {"run"},         {"doctor"},         {"cohort"},          {"approve"},
      {"decline"},      {"experiments"}, {"releases"},    {"sign"},           {"rollback"},        {"report"},
      {"audit"},        {"status"},      {"portal-user"}, {"cohort", "show"}, {"cohort", "build"}, {"audit", "verify"},
      {"audit", "show"}};
  for (std::vector<std::string> command : all) {
    command.push_back("--help");
    const Shown shown = Run(command, "", false);
    EXPECT_EQ(shown.status, kDone) << command[0];
    EXPECT_THAT(shown.out, HasSubstr("Examples:\n  cloister-site " + command[0])) << command[0];
    EXPECT_EQ(shown.err, "") << command[0];
  }
  const Shown top = Run({"--help"}, "", false);
  EXPECT_EQ(top.status, kDone);
  EXPECT_THAT(top.out, HasSubstr("Exit status: 0 done"));
  EXPECT_THAT(Run({"--version"}, "", false).out, StartsWith("cloister-site "));
}

TEST_F(CliSite, AWrongCommandLineIsOneLineAndStatus2) {
  const std::vector<std::vector<std::string>> wrong = {{"frobnicate"},
                                                       {"status", "--jason"},
                                                       {"sign", "--release", "r"},
                                                       {"sign", "--release", "r", "--name", "x", "--decision", "maybe"},
                                                       {"init"},
                                                       {"approve"},
                                                       {"audit", "show", "--last", "none"},
                                                       {"enroll", "--renew", "--install", "f"}};
  for (const std::vector<std::string>& command : wrong) {
    const Shown shown = Run(command, "", false);
    EXPECT_EQ(shown.status, kUsage) << command[0];
    EXPECT_THAT(shown.err, StartsWith("cloister-site: ")) << command[0];
    EXPECT_EQ(std::count(shown.err.begin(), shown.err.end(), '\n'), 1) << shown.err;
    EXPECT_THAT(shown.err, HasSubstr("--help"));
  }
  EXPECT_EQ(Run({}, "", false).status, kUsage);
  const Shown group = Run({"audit"}, "", false);
  EXPECT_EQ(group.status, kUsage);
  EXPECT_THAT(group.err, HasSubstr("verify"));
}

TEST_F(CliSite, SaysWhereAConfigurationIsLookedFor) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::create_directory(File("empty"));
  std::filesystem::current_path(File("empty"));
  const Shown shown = Run({"status"}, "", false);
  std::filesystem::current_path(before);
  if (std::filesystem::exists("/etc/cloister/site.yaml")) {
    GTEST_SKIP() << "this machine is a Cloister site";
  }
  EXPECT_EQ(shown.status, kFailed);
  EXPECT_THAT(shown.err, HasSubstr("cloister-site init --site ID"));

  const Shown named = Run({"status", "--config", File("nowhere.yaml").string()}, "", false);
  EXPECT_EQ(named.status, kFailed);
  EXPECT_THAT(named.err, HasSubstr("nowhere.yaml"));
}

TEST_F(CliSite, ATypoInTheConfigurationIsNamedWithItsPlace) {
  WriteConfig("portl: {port: 1}\n");
  for (const char* command : {"status", "releases", "run", "enroll"}) {
    const Shown shown = Run({command});
    EXPECT_EQ(shown.status, kFailed) << command;
    EXPECT_THAT(shown.err, HasSubstr("site.yaml:9:1: ")) << command;
    EXPECT_THAT(shown.err, HasSubstr("portl")) << command;
  }
}

TEST_F(CliSite, InitWritesWhatTheProgramAcceptsAndNeverOverwrites) {
  const std::filesystem::path folder = File("new");
  const Shown made = Run({"init", "--site", "south", "--dir", folder.string()}, "", false);
  ASSERT_EQ(made.status, kDone) << made.err;
  const auto config = ReadSiteConfig(folder / "site.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->site.value(), "south");
  EXPECT_TRUE(ParsePolicy(*ReadFile(folder / "policy.yaml"), "policy.yaml").ok());
  EXPECT_EQ(ModeOf(folder / "data"), 0700u);
  EXPECT_EQ(ModeOf(folder / "certificates"), 0700u);

  ASSERT_TRUE(WriteFileAtomically(folder / "policy.yaml", "mine").ok());
  const Shown again = Run({"init", "--site", "east", "--dir", folder.string()}, "", false);
  EXPECT_EQ(again.status, kFailed);
  EXPECT_THAT(again.err, HasSubstr("nothing was changed"));
  EXPECT_EQ(ReadSiteConfig(folder / "site.yaml")->site.value(), "south");

  std::filesystem::remove(folder / "site.yaml");
  EXPECT_EQ(Run({"init", "--site", "east", "--dir", folder.string()}, "", false).status, kDone);
  EXPECT_EQ(*ReadFile(folder / "policy.yaml"), "mine");
  EXPECT_EQ(Run({"init", "--site", "East Wing", "--dir", File("x").string()}, "", false).status, kFailed);
}

TEST_F(CliSite, EnrolKeepsTheKeysAndShowsFingerprints) {
  const Shown first = Run({"enroll"});
  ASSERT_EQ(first.status, kDone) << first.err;
  EXPECT_EQ(first.out, File("certificates/site.csr").string() + "\n");
  EXPECT_THAT(first.err, HasSubstr("TLS key      "));
  EXPECT_EQ(ModeOf(File("certificates/tls.key")), 0600u);
  EXPECT_EQ(ModeOf(File("certificates/signing.key")), 0600u);
  const Bytes key = *ReadFile(File("certificates/signing.key"));
  const Shown second = Run({"enroll", "--renew"});
  EXPECT_EQ(second.status, kDone);
  EXPECT_EQ(second.err, first.err);
  EXPECT_EQ(*ReadFile(File("certificates/signing.key")), key);

  Write("bundle.pem", Approve(consortium_.authority()));
  const Shown installed = Run({"enroll", "--install", File("bundle.pem").string()});
  EXPECT_EQ(installed.status, kDone) << installed.err;
  EXPECT_THAT(installed.out, HasSubstr("north is site of \"Test consortium\""));
  EXPECT_TRUE(transport::LoadSigner(File("certificates"), crypto::Role::kSite, clock_.Now()).ok());
}

TEST_F(CliSite, InstallRefusesWhatIsNotForThisSite) {
  const auto install = [&](const Bytes& bundle) {
    Write("bundle.pem", bundle);
    return Run({"enroll", "--install", File("bundle.pem").string()});
  };
  ASSERT_EQ(Run({"enroll"}).status, kDone);
  const Bytes good = Approve(consortium_.authority());
  const auto nothing_installed = [&] { return !std::filesystem::exists(File("certificates/tls.pem")); };

  // Expired before it arrived.
  const Shown expired = install(Approve(consortium_.authority(), 30));
  EXPECT_EQ(expired.status, kFailed);
  EXPECT_THAT(expired.err, HasSubstr("expired"));
  EXPECT_TRUE(nothing_installed());

  // Another site's, and another role's.
  for (const auto& [id, role] : std::vector<std::pair<std::string, crypto::Role>>{{"south", crypto::Role::kSite},
                                                                                  {"north", crypto::Role::kOperator}}) {
    const crypto::SecretBytes tls = crypto::GenerateTlsKeyPem();
    const crypto::SecretBytes signing = crypto::GenerateSigningKeyPem();
    const Shown foreign = install(transport::JoinCertificates(
        {consortium_.Issue(tls, id, role), consortium_.Issue(signing, id, role), consortium_.ca()}));
    EXPECT_EQ(foreign.status, kFailed);
    EXPECT_THAT(foreign.err, HasSubstr("but this is site north"));
    EXPECT_TRUE(nothing_installed());
  }

  // Of this site, for other keys.
  const crypto::SecretBytes tls = crypto::GenerateTlsKeyPem();
  const crypto::SecretBytes signing = crypto::GenerateSigningKeyPem();
  const Shown keys = install(
      transport::JoinCertificates({consortium_.Issue(tls, "north", crypto::Role::kSite),
                                   consortium_.Issue(signing, "north", crypto::Role::kSite), consortium_.ca()}));
  EXPECT_EQ(keys.status, kFailed);
  EXPECT_THAT(keys.err, HasSubstr("not for the key"));
  EXPECT_TRUE(nothing_installed());

  // Cut anywhere, and not a bundle at all.
  for (size_t cut = 0; cut + 30 < good.size(); cut += good.size() / 12) {
    EXPECT_EQ(install(good.substr(0, cut)).status, kFailed) << cut;
  }
  EXPECT_EQ(Run({"enroll", "--install", File("nothing.pem").string()}).status, kFailed);
  EXPECT_TRUE(nothing_installed());

  // Another consortium's CA over ours.
  ASSERT_EQ(install(good).status, kDone);
  const testing::TestConsortium other("Other consortium");
  const Shown moved = install(Approve(other.authority()));
  EXPECT_EQ(moved.status, kFailed);
  EXPECT_THAT(moved.err, HasSubstr("another consortium"));
}

TEST_F(CliSite, PortalUserTakesThePasswordFromStdinOrAFile) {
  const Shown added = Run({"portal-user", "wang"}, "correct horse battery\r\nsecond line\n");
  ASSERT_EQ(added.status, kDone) << added.err;
  EXPECT_THAT(added.out, HasSubstr("the portal is off"));
  Write("password", "another long password\n");
  ASSERT_EQ(Run({"portal-user", "li", "--password-file", File("password").string()}).status, kDone);
  const auto users = transport::ReadUsers(File("portal-users"));
  ASSERT_TRUE(users.ok()) << users.status();
  EXPECT_TRUE(crypto::CheckPassword("correct horse battery", users->at("wang")));
  EXPECT_TRUE(crypto::CheckPassword("another long password", users->at("li")));
  EXPECT_EQ(ModeOf(File("portal-users")), 0600u);

  const Shown weak = Run({"portal-user", "wang"}, "short\n");
  EXPECT_EQ(weak.status, kFailed);
  EXPECT_THAT(weak.err, HasSubstr("10 to 256 characters"));
  EXPECT_EQ(Run({"portal-user", "wang"}, "").status, kFailed);
  EXPECT_EQ(Run({"portal-user", "Wang Wu"}, "correct horse battery\n").status, kFailed);
}

TEST(TextTest, NothingPrintableDrivesATerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\n\x7f\xc2\x9b"), "a?[2Jb???");
  EXPECT_EQ(Printable("\xE8\x82\xBA\xE7\x82\x8E"), "\xE8\x82\xBA\xE7\x82\x8E");
}

TEST(TextTest, ColumnsCountChineseAsTwo) {
  EXPECT_EQ(Columns({{"\xE8\x82\xBA", "x"}, {"abc", "y"}, {"d", ""}}), "\xE8\x82\xBA   x\nabc  y\nd\n");
  EXPECT_EQ(DisplayWidth("a\xE8\x82\xBA"), 3u);
}

}  // namespace
}  // namespace cloister::site
