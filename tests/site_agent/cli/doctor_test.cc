// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cli/doctor.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/transport/identity.h"
#include "site_agent/ingest/storage_scp.h"
#include "tests/site_agent/cli/cli_site.h"
#include "tests/support/orthanc.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

class DoctorTest : public CliSite {
 protected:
  // The findings about `subject`, the worst first.
  std::vector<nlohmann::json> About(const std::string& subject) {
    const Shown shown = Run({"doctor", "--json"});
    EXPECT_EQ(shown.err, "");
    std::vector<nlohmann::json> found;
    const nlohmann::json chart = shown.Json();
    EXPECT_EQ(shown.status, chart["healthy"] == true ? kDone : kFailed);
    for (const char* health : {"problem", "note", "ok"}) {
      for (const nlohmann::json& finding : chart["findings"]) {
        if (finding["subject"] == subject && finding["health"] == health) {
          found.push_back(finding);
        }
      }
    }
    EXPECT_FALSE(found.empty()) << subject << " is not in " << shown.out;
    return found;
  }
  std::string Health(const std::string& subject) { return About(subject).front()["health"]; }
};

TEST_F(DoctorTest, ANewSiteIsToldEveryStep) {
  const Shown text = Run({"doctor"});
  EXPECT_EQ(text.status, kFailed);
  EXPECT_THAT(text.out, HasSubstr("-> cloister-site enroll, send site.csr"));
  EXPECT_THAT(text.out, HasSubstr("does not answer"));
  EXPECT_THAT(text.out, HasSubstr("no-such-worker"));
  EXPECT_EQ(Health("configuration"), "ok");
  EXPECT_EQ(Health("policy"), "ok");
  EXPECT_EQ(Health("labels"), "ok");
  EXPECT_EQ(Health("DICOM port"), "ok");
  EXPECT_EQ(Health("portal"), "ok");
  EXPECT_EQ(Health("agent"), "note");
  EXPECT_EQ(Health("worker"), "problem");
  EXPECT_EQ(Health("PACS"), "problem");
}

TEST_F(DoctorTest, AConfigurationWithATypoEndsTheExamination) {
  WriteConfig("portl: {}\n");
  const Shown shown = Run({"doctor", "--json"});
  EXPECT_EQ(shown.status, kFailed);
  ASSERT_EQ(shown.Json()["findings"].size(), 1u);
  EXPECT_THAT(shown.Json()["findings"][0]["text"].get<std::string>(), HasSubstr("site.yaml:9:1"));
}

TEST_F(DoctorTest, CertificatesFromNoneToExpired) {
  EXPECT_THAT(About("certificates")[0]["advice"].get<std::string>(), HasSubstr("cloister-site enroll, send"));
  ASSERT_EQ(Run({"enroll"}).status, kDone);
  EXPECT_THAT(About("certificates")[0]["advice"].get<std::string>(), HasSubstr("enroll --install"));
  EnrolNorth();
  EXPECT_EQ(Health("certificates"), "ok");
  EXPECT_THAT(About("coordinator")[0]["text"].get<std::string>(), HasSubstr("127.0.0.1"));

  chmod(File("certificates/tls.key").c_str(), 0644);
  EXPECT_THAT(About("certificates")[0]["advice"].get<std::string>(), HasSubstr("chmod 600"));
  chmod(File("certificates/tls.key").c_str(), 0600);

  clock_.Advance(absl::Hours(24 * 2880));  // 20 days are left
  EXPECT_EQ(Health("certificates"), "note");
  EXPECT_THAT(About("certificates")[0]["advice"].get<std::string>(), HasSubstr("enroll --renew"));
  clock_.Advance(absl::Hours(24 * 30));
  EXPECT_EQ(Health("certificates"), "problem");
  EXPECT_THAT(About("certificates")[0]["text"].get<std::string>(), HasSubstr("expired"));
  EXPECT_THAT(About("coordinator")[0]["text"].get<std::string>(), HasSubstr("was not tried"));
}

TEST_F(DoctorTest, ForeignAndMixedUpCertificates) {
  EnrolNorth();
  const testing::TestConsortium other("Other consortium");
  Write("certificates/ca.pem", other.ca().ToPem());
  EXPECT_EQ(Health("certificates"), "problem");
  Write("certificates/ca.pem", consortium_.ca().ToPem());
  ASSERT_EQ(Health("certificates"), "ok");
  Write("certificates/signing.key", std::string(crypto::GenerateSigningKeyPem().view()));
  EXPECT_EQ(Health("certificates"), "problem");
  Write("certificates/tls.pem", "not a certificate");
  EXPECT_EQ(Health("certificates"), "problem");
}

TEST_F(DoctorTest, TheCertificateOfAnotherSite) {
  EnrolNorth();
  std::string config = *ReadFile(File("site.yaml"));
  Write("site.yaml", config.replace(config.find("north"), 5, "south"));
  EXPECT_THAT(About("certificates")[0]["text"].get<std::string>(), HasSubstr("for site north, site.yaml says south"));
}

TEST_F(DoctorTest, LabelsAndPolicy) {
  Write("labels.csv", "accession_number,label\nA1,pneumonia\nA1,normal\nA2,normal\n,normal\n");
  EXPECT_EQ(Health("labels"), "note");
  EXPECT_THAT(About("labels")[0]["text"].get<std::string>(), HasSubstr("odd rows"));
  Write("labels.csv", "accession_number,label\nA1,normal\n");
  EXPECT_THAT(About("labels")[0]["advice"].get<std::string>(), HasSubstr("only one class"));
  Write("labels.csv", "number,label\nA1,normal\n");
  EXPECT_EQ(Health("labels"), "problem");
  std::filesystem::remove(File("labels.csv"));
  EXPECT_EQ(Health("labels"), "problem");

  Write("policy.yaml", "allowed_tasks: [chest_pneumonia]\nminimum_site: 3\n");
  EXPECT_EQ(Health("policy"), "problem");
  EXPECT_THAT(About("policy")[0]["text"].get<std::string>(), HasSubstr("policy.yaml:2:1"));
  Write("policy.yaml", "allowed_tasks: [chest_pneumonia, retina]\n");
  EXPECT_THAT(About("policy")[0]["text"].get<std::string>(), HasSubstr("retina is allowed, but has no label file"));
}

TEST_F(DoctorTest, APortThatIsTaken) {
  StorageScpConfig taken;
  taken.ae_title = "OTHER";
  taken.inbox = File("inbox");
  std::filesystem::create_directory(taken.inbox);
  const auto scp = StorageScp::Start(taken, [](const ReceivedInstance&) { return absl::OkStatus(); });
  ASSERT_TRUE(scp.ok()) << scp.status();
  EXPECT_TRUE(absl::IsAlreadyExists(TryPort("0.0.0.0", (*scp)->port())));
  std::string config = *ReadFile(File("site.yaml"));
  const size_t at = config.find("port: ", config.find("NORTH_AI")) + 6;
  config.replace(at, config.find('}', at) - at, std::to_string((*scp)->port()));
  Write("site.yaml", config);
  EXPECT_EQ(Health("DICOM port"), "problem");
}

TEST_F(DoctorTest, APortalWithoutUsers) {
  WriteConfig("portal: {port: " + std::to_string(testing::FreePort()) + "}\n");
  EXPECT_THAT(About("portal")[0]["advice"].get<std::string>(), HasSubstr("cloister-site portal-user"));
  ASSERT_EQ(Run({"portal-user", "wang"}, "correct horse battery\n").status, kDone);
  EXPECT_EQ(Health("portal"), "ok");
}

TEST_F(DoctorTest, APacsThatKnowsUsAndOneThatDoesNot) {
  if (!testing::Orthanc::Installed()) {
    GTEST_SKIP() << "Orthanc is not installed";
  }
  testing::OrthancOptions options;
  options.modalities = {{"NORTH_AI", 11112}};
  auto pacs = testing::Orthanc::Start(options);
  ASSERT_TRUE(pacs.ok()) << pacs.status();
  pacs_port_ = (*pacs)->dicom_port();
  WriteConfig();
  EXPECT_EQ(Health("PACS"), "ok");
  std::string config = *ReadFile(File("site.yaml"));
  Write("site.yaml", config.replace(config.find("NORTH_AI"), 8, "NOBODY"));
  const nlohmann::json refused = About("PACS")[0];
  EXPECT_EQ(refused["health"], "problem");
  EXPECT_THAT(refused["advice"].get<std::string>(), HasSubstr("list AE title NOBODY"));
}

}  // namespace
}  // namespace cloister::site
