// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "protocols/base/file.h"
#include "protocols/transport/watched_signer.h"
#include "tests/support/temp_dir.h"

namespace cloister::transport {
namespace {

using crypto::Role;
using ::testing::HasSubstr;

class IdentityTest : public ::testing::Test {
 protected:
  crypto::CertificateAuthority MakeCa(const std::string& name) {
    return *crypto::CreateAuthority(name, now_ - absl::Hours(1), absl::Hours(24 * 3650));
  }

  // What `cloister ca approve` does.
  Bytes Approve(const crypto::CertificateAuthority& ca, const std::filesystem::path& request_file, int days = 365) {
    const auto request = ReadIdentityRequest(*ReadFile(request_file));
    EXPECT_TRUE(request.ok()) << request.status();
    crypto::IssueOptions options;
    options.not_before = now_ - absl::Minutes(5);
    options.validity_days = days;
    return JoinCertificates({*crypto::IssueCertificate(ca, request->tls_pem, options),
                             *crypto::IssueCertificate(ca, request->signing_pem, options), ca.certificate});
  }

  const absl::Time now_ = absl::Now();
  cloister::testing::TempDir dir_;
  const std::filesystem::path folder_ = dir_.path() / "site-a";
  const crypto::CertificateAuthority ca_ = MakeCa("test-consortium");
};

TEST_F(IdentityTest, FromARequestToASigner) {
  EXPECT_TRUE(absl::IsNotFound(LoadSigner(folder_, Role::kSite, now_).status()));
  const auto request_file = RequestIdentity(folder_, "site-a", Role::kSite);
  ASSERT_TRUE(request_file.ok()) << request_file.status();
  for (const char* key : {"tls.key", "signing.key"}) {
    struct stat facts = {};
    ASSERT_EQ(stat((folder_ / key).c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600u) << key;
  }
  const auto installed = InstallIdentity(folder_, Approve(ca_, *request_file), now_);
  ASSERT_TRUE(installed.ok()) << installed.status();
  EXPECT_EQ(installed->tls.subject_id(), "site-a");
  EXPECT_TRUE(CheckOwnCertificate(TlsFilesOf(folder_), Role::kSite, now_).ok());
  const auto signer = LoadSigner(folder_, Role::kSite, now_);
  ASSERT_TRUE(signer.ok()) << signer.status();
  EXPECT_EQ(signer->id(), "site-a");
  EXPECT_TRUE(absl::IsUnauthenticated(LoadSigner(folder_, Role::kOperator, now_).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(LoadSigner(folder_, Role::kSite, now_ + absl::Hours(24 * 400)).status()));
}

TEST_F(IdentityTest, RenewingKeepsTheKeys) {
  const auto request_file = *RequestIdentity(folder_, "site-a", Role::kSite);
  ASSERT_TRUE(InstallIdentity(folder_, Approve(ca_, request_file, 10), now_).ok());
  const Bytes key = *ReadFile(folder_ / "tls.key");
  const auto renewal = *RequestIdentity(folder_, "site-a", Role::kSite);
  EXPECT_EQ(*ReadFile(folder_ / "tls.key"), key);
  EXPECT_TRUE(InstallIdentity(folder_, Approve(ca_, renewal, 300), now_).ok());
  EXPECT_TRUE(LoadSigner(folder_, Role::kSite, now_ + absl::Hours(24 * 100)).ok());
}

TEST_F(IdentityTest, ARunningProgramSignsWithTheRenewedCertificate) {
  FakeClock clock(now_);
  EXPECT_TRUE(absl::IsNotFound(WatchedSigner::Create(folder_, Role::kSite, &clock).status()));
  const auto request_file = *RequestIdentity(folder_, "site-a", Role::kSite);
  ASSERT_TRUE(InstallIdentity(folder_, Approve(ca_, request_file, 10), now_).ok());
  const auto signer = WatchedSigner::Create(folder_, Role::kSite, &clock);
  ASSERT_TRUE(signer.ok()) << signer.status();
  const Digest first = (*signer)->Get().certificate().fingerprint();
  EXPECT_EQ((*signer)->Get().certificate().fingerprint(), first);

  ASSERT_TRUE(WriteFileAtomically(folder_ / "signing.pem", "half a certif").ok());
  EXPECT_EQ((*signer)->Get().certificate().fingerprint(), first) << "a half-written file changes nothing";

  ASSERT_TRUE(InstallIdentity(folder_, Approve(ca_, request_file, 300), now_).ok());
  clock.Advance(absl::Hours(24 * 100));  // the first one has expired
  const crypto::Signer renewed = (*signer)->Get();
  EXPECT_GT(renewed.certificate().not_after(), clock.Now());
  const Bytes signature = renewed.Sign("test", "message");
  EXPECT_TRUE(crypto::VerifySignature(renewed.certificate(), ca_.certificate, "test", "message", signature, Role::kSite,
                                      clock.Now())
                  .ok());
}

TEST_F(IdentityTest, ARunningProgramDoesNotBecomeAnotherParty) {
  FakeClock clock(now_);
  ASSERT_TRUE(InstallIdentity(folder_, Approve(ca_, *RequestIdentity(folder_, "site-a", Role::kSite)), now_).ok());
  const auto signer = WatchedSigner::Create(folder_, Role::kSite, &clock);
  ASSERT_TRUE(signer.ok()) << signer.status();
  ASSERT_TRUE(InstallIdentity(folder_, Approve(ca_, *RequestIdentity(folder_, "site-b", Role::kSite)), now_).ok());
  EXPECT_EQ((*signer)->Get().id(), "site-a");
}

TEST_F(IdentityTest, RefusesCertificatesForOtherKeys) {
  RequestIdentity(folder_, "site-a", Role::kSite).IgnoreError();
  const auto other = *RequestIdentity(dir_.path() / "other", "site-a", Role::kSite);
  const auto installed = InstallIdentity(folder_, Approve(ca_, other), now_);
  EXPECT_TRUE(absl::IsInvalidArgument(installed.status()));
  EXPECT_THAT(std::string(installed.status().message()), HasSubstr("not for the key"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tls.pem"));
}

TEST_F(IdentityTest, DoesNotMoveIntoAnotherConsortium) {
  const auto request_file = *RequestIdentity(folder_, "site-a", Role::kSite);
  ASSERT_TRUE(InstallIdentity(folder_, Approve(ca_, request_file), now_).ok());
  const auto moved = InstallIdentity(folder_, Approve(MakeCa("another"), request_file), now_);
  EXPECT_TRUE(absl::IsFailedPrecondition(moved.status()));
  EXPECT_THAT(std::string(moved.status().message()), HasSubstr("test-consortium"));
}

TEST_F(IdentityTest, RefusesFilesThatAreNotWhatTheyShouldBe) {
  const auto request_file = *RequestIdentity(folder_, "site-a", Role::kSite);
  const Bytes request = *ReadFile(request_file);
  EXPECT_FALSE(ReadIdentityRequest("").ok());
  EXPECT_FALSE(ReadIdentityRequest(request + request).ok());
  EXPECT_FALSE(ReadIdentityRequest(request.substr(0, request.size() / 2)).ok());
  const Bytes other = *ReadFile(*RequestIdentity(dir_.path() / "b", "site-b", Role::kSite));
  const size_t middle = request.find("-----BEGIN", 10);
  const size_t other_middle = other.find("-----BEGIN", 10);
  EXPECT_FALSE(ReadIdentityRequest(request.substr(0, middle) + other.substr(other_middle)).ok()) << "two parties";
  EXPECT_FALSE(ReadIdentityRequest(request.substr(0, middle) + request.substr(0, middle)).ok()) << "two for TLS";

  const Bytes approved = Approve(ca_, request_file);
  EXPECT_FALSE(InstallIdentity(folder_, request, now_).ok());
  EXPECT_FALSE(InstallIdentity(folder_, approved.substr(0, approved.size() - 200), now_).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(InstallIdentity(folder_, approved, now_ + absl::Hours(24 * 400)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(RequestIdentity(folder_, "Site A", Role::kSite).status()));
}

}  // namespace
}  // namespace cloister::transport
