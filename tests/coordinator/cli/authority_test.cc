// SPDX-License-Identifier: Apache-2.0
// From an empty folder to installed certificates, as people type it.
#include "coordinator/cli/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "protocols/base/file.h"
#include "protocols/transport/identity.h"
#include "tests/coordinator/cli/cli_run.h"
#include "tests/support/temp_dir.h"

namespace cloister::coordinator {
namespace {

using ::testing::HasSubstr;

class AuthorityTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (dir_.path() / name).string(); }
  void Init() { ASSERT_EQ(RunCli({"ca", "init", "--folder", Path("ca"), "--name", "Test consortium"}).code, 0); }
  void Enroll(const std::string& id, const std::string& role, const std::string& folder) {
    const CliResult result = RunCli({"enroll", "--id", id, "--role", role, "--folder", Path(folder)});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, Path(folder + "/" + role + ".csr\n"));
  }
  CliResult Approve(const std::string& request, std::vector<std::string> more, const std::string& input = "") {
    std::vector<std::string> arguments = {"ca", "approve", Path(request), "--folder", Path("ca")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunCli(arguments, input);
  }

  cloister::testing::TempDir dir_;
};

TEST_F(AuthorityTest, FromNothingToAnInstalledOperator) {
  Init();
  struct stat facts = {};
  ASSERT_EQ(stat(Path("ca/ca.key").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  Enroll("olga", "operator", "op");
  const CliResult approved = Approve("op/operator.csr", {}, "y\n");
  ASSERT_EQ(approved.code, 0) << approved.err;
  EXPECT_EQ(approved.out, Path("op/olga.certificates.pem\n"));
  // The operator sees the same fingerprints as the applicant.
  const auto request = transport::ReadIdentityRequest(*ReadFile(Path("op/operator.csr")));
  EXPECT_THAT(approved.err, HasSubstr(SpokenFingerprint(request->tls_key)));
  EXPECT_THAT(approved.err, HasSubstr("Request of olga, role operator"));

  const CliResult installed = RunCli({"enroll", "--folder", Path("op"), "--install", Path("op/olga.certificates.pem")});
  ASSERT_EQ(installed.code, 0) << installed.err;
  EXPECT_THAT(installed.out, HasSubstr("olga is operator of \"Test consortium\""));
  EXPECT_TRUE(transport::LoadSigner(Path("op"), crypto::Role::kOperator, absl::Now()).ok());

  const auto shown = nlohmann::json::parse(RunCli({"--json", "ca", "show", "--folder", Path("ca")}).out);
  EXPECT_EQ(shown["name"], "Test consortium");
  ASSERT_EQ(shown["issued"].size(), 1u);
  EXPECT_EQ(shown["issued"][0]["id"], "olga");
}

TEST_F(AuthorityTest, ANoIssuesNothing) {
  Init();
  Enroll("olga", "operator", "op");
  for (const char* answer : {"n\n", "", "maybe\n"}) {
    EXPECT_EQ(Approve("op/operator.csr", {}, answer).code, 1);
  }
  EXPECT_FALSE(std::filesystem::exists(Path("op/olga.certificates.pem")));
}

TEST_F(AuthorityTest, ACoordinatorNeedsTheNamesThatSitesDial) {
  Init();
  Enroll("hub", "coordinator", "hub");
  const CliResult without = Approve("hub/coordinator.csr", {"--yes"});
  EXPECT_EQ(without.code, kExitUsage);
  EXPECT_THAT(without.err, HasSubstr("--host"));
  EXPECT_EQ(
      Approve("hub/coordinator.csr", {"--yes", "--host", "localhost", "--host", "10.0.0.5", "--host", "::1"}).code, 0);
  Enroll("olga", "operator", "op");
  EXPECT_EQ(Approve("op/operator.csr", {"--yes", "--host", "localhost"}).code, kExitUsage);
}

TEST_F(AuthorityTest, NobodyTakesOverAnIdUnnoticed) {
  Init();
  Enroll("olga", "operator", "op");
  ASSERT_EQ(Approve("op/operator.csr", {"--yes"}).code, 0);
  ASSERT_EQ(Approve("op/operator.csr", {"--yes"}).code, 0) << "a renewal with the same keys is fine";
  Enroll("olga", "operator", "impostor");
  const CliResult refused = Approve("impostor/operator.csr", {"--yes"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--replace"));
  EXPECT_EQ(Approve("impostor/operator.csr", {"--yes", "--replace"}).code, 0);
}

TEST_F(AuthorityTest, SaysWhatIsWrongInOneLine) {
  EXPECT_EQ(RunCli({"ca", "show", "--folder", Path("ca")}).code, 5);
  Init();
  EXPECT_EQ(RunCli({"ca", "init", "--folder", Path("ca")}).code, 1);  // never overwritten
  EXPECT_EQ(Approve("nowhere.csr", {"--yes"}).code, 5);
  ASSERT_TRUE(WriteFileAtomically(Path("junk.csr"), "junk").ok());
  const CliResult junk = Approve("junk.csr", {"--yes"});
  EXPECT_EQ(junk.code, kExitUsage);
  EXPECT_THAT(junk.err, HasSubstr("junk.csr"));
  EXPECT_EQ(RunCli({"enroll", "--id", "site-a", "--role", "site", "--folder", Path("x")}).code, kExitUsage);
  EXPECT_EQ(RunCli({"enroll", "--id", "No Good", "--folder", Path("x")}).code, kExitUsage);
  EXPECT_EQ(RunCli({"enroll", "--folder", Path("x")}).code, kExitUsage);
  for (const CliResult& result : {junk, RunCli({"experiment", "list", "--config", Path("none.yaml")})}) {
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST(CommandLineTest, HelpsAndRefuses) {
  EXPECT_EQ(RunCli({"--help"}).code, 0);
  EXPECT_THAT(RunCli({"--help"}).out, HasSubstr("Exit status"));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{{"ca", "init"},
                                                                                       {"ca", "approve"},
                                                                                       {"ca", "show"},
                                                                                       {"enroll"},
                                                                                       {"experiment", "submit"},
                                                                                       {"experiment", "list"},
                                                                                       {"experiment", "status"},
                                                                                       {"experiment", "watch"},
                                                                                       {"experiment", "abort"},
                                                                                       {"release", "list"},
                                                                                       {"release", "show"},
                                                                                       {"site", "list"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    EXPECT_THAT(RunCli(arguments).out, HasSubstr("Examples:")) << command.back();
  }
  EXPECT_EQ(RunCli({}).code, kExitUsage);
  EXPECT_EQ(RunCli({"frobnicate"}).code, kExitUsage);
  EXPECT_THAT(RunCli({"experiment", "submitt"}).err, HasSubstr("no command 'submitt'; there are: submit, list"));
  EXPECT_EQ(RunCli({"ca", "init", "--years", "0"}).code, kExitUsage);
}

}  // namespace
}  // namespace cloister::coordinator
