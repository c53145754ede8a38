// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/pki.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/signer.h"
#include "tests/support/test_consortium.h"

namespace cloister::crypto {
namespace {

using ::cloister::testing::kTestNow;
using ::cloister::testing::kTestStart;
using ::cloister::testing::TestConsortium;
using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

IssueOptions From(absl::Time start, int days = 365) {
  IssueOptions options;
  options.not_before = start;
  options.validity_days = days;
  return options;
}

TEST(PkiTest, ARequestBecomesACertificateThatSaysTheSame) {
  TestConsortium pki;
  for (const SecretBytes& key : {GenerateTlsKeyPem(), GenerateSigningKeyPem()}) {
    const Bytes request = CreateRequest(key, "site-a", Role::kSite).value();
    const RequestFacts facts = ReadRequest(request).value();
    EXPECT_EQ(facts.subject_id, "site-a");
    EXPECT_EQ(facts.role, Role::kSite);
    const Certificate issued = IssueCertificate(pki.authority(), request, From(kTestNow)).value();
    const Certificate read = Certificate::FromPem(issued.ToPem()).value();
    EXPECT_EQ(read.der(), issued.der());
    EXPECT_EQ(read.subject_id(), "site-a");
    EXPECT_EQ(read.role(), Role::kSite);
    EXPECT_EQ(read.key_kind(), facts.key_kind);
    EXPECT_EQ(read.not_before(), kTestNow);
    EXPECT_EQ(read.not_after(), kTestNow + absl::Hours(24 * 365));
    EXPECT_EQ(read.serial_hex().size(), 32u);
    EXPECT_TRUE(VerifyChain(read, pki.ca(), kTestNow, Role::kSite).ok());
  }
}

TEST(PkiTest, OneCertificateHasOneEncoding) {
  TestConsortium pki;
  Bytes longer = pki.site(1).certificate().der();
  ASSERT_EQ(longer.substr(0, 2), "\x30\x82") << "a sequence whose length takes two bytes";
  longer.replace(1, 1, Bytes("\x83\0", 2));  // three
  EXPECT_EQ(Certificate::FromDer(longer).status().code(), kInvalid);
}

TEST(PkiTest, EachWayAChainFailsHasItsOwnWords) {
  TestConsortium pki;
  TestConsortium foreign("Another consortium");
  TestConsortium same_name;  // a CA of the same name, with another key
  const SecretBytes key = GenerateSigningKeyPem();
  const Certificate site =
      IssueCertificate(pki.authority(), CreateRequest(key, "site-a", Role::kSite).value(), From(kTestNow)).value();
  const auto message = [&](const Certificate& ca, absl::Time time, Role role) {
    const absl::Status status = VerifyChain(site, ca, time, role);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
    EXPECT_THAT(std::string(status.message()), HasSubstr("site-a"));
    return std::string(status.message());
  };
  EXPECT_THAT(message(foreign.ca(), kTestNow, Role::kSite), HasSubstr("not issued by the CA 'Another consortium'"));
  EXPECT_THAT(message(same_name.ca(), kTestNow, Role::kSite), HasSubstr("not issued by the CA 'Test consortium'"));
  EXPECT_THAT(message(pki.ca(), kTestNow - absl::Seconds(1), Role::kSite), HasSubstr("not valid before"));
  EXPECT_THAT(message(pki.ca(), site.not_after() + absl::Seconds(1), Role::kSite), HasSubstr("expired at"));
  EXPECT_THAT(message(pki.ca(), kTestNow, Role::kCoordinator), HasSubstr("not for the role coordinator"));
  EXPECT_TRUE(VerifyChain(site, pki.ca(), site.not_after(), Role::kSite).ok());
  // An end certificate is no CA, not even for itself.
  EXPECT_THAT(std::string(VerifyChain(site, site, kTestNow, Role::kSite).message()), HasSubstr("not a consortium CA"));
}

TEST(PkiTest, ACertificateEndsWithItsCa) {
  const CertificateAuthority ca = CreateAuthority("Short", kTestStart, absl::Hours(48)).value();
  const Bytes request = CreateRequest(GenerateTlsKeyPem(), "site-a", Role::kSite).value();
  EXPECT_EQ(IssueCertificate(ca, request, From(kTestStart)).value().not_after(), ca.certificate.not_after());
  EXPECT_EQ(IssueCertificate(ca, request, From(kTestStart + absl::Hours(49))).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(PkiTest, OnlyACoordinatorsTlsCertificateNamesHosts) {
  TestConsortium pki;
  IssueOptions options = From(kTestNow);
  options.dns_names = {"cloister.example.org"};
  options.ip_addresses = {"10.0.0.7", "fd00::7"};
  const Bytes request = CreateRequest(GenerateTlsKeyPem(), "coordinator", Role::kCoordinator).value();
  const Certificate issued = IssueCertificate(pki.authority(), request, options).value();
  for (const char* name : {"cloister.example.org", "localhost", "\x7f\x00\x00\x01", "\x0a\x00\x00\x07"}) {
    const size_t size = name[0] < 'a' ? 4 : std::string_view(name).size();
    EXPECT_NE(issued.der().find(std::string(name, size)), std::string::npos);
  }
  for (const char* bad : {"", "a,DNS:evil", "a b", "x\ny", "DNS:x"}) {
    options.dns_names = {bad};
    EXPECT_EQ(IssueCertificate(pki.authority(), request, options).status().code(), kInvalid) << bad;
  }
  options.dns_names = {};
  for (const char* bad : {"", "300.1.1.1", "1.2.3", "1.2.3.4,DNS:evil", "host"}) {
    options.ip_addresses = {bad};
    EXPECT_EQ(IssueCertificate(pki.authority(), request, options).status().code(), kInvalid) << bad;
  }
  options.ip_addresses = {"10.0.0.7"};
  const Bytes site = CreateRequest(GenerateTlsKeyPem(), "site-a", Role::kSite).value();
  EXPECT_EQ(IssueCertificate(pki.authority(), site, options).status().code(), kInvalid);
}

TEST(PkiTest, RefusesBadRequestsAndNames) {
  TestConsortium pki;
  const SecretBytes key = GenerateTlsKeyPem();
  EXPECT_EQ(CreateRequest(key, "Site A", Role::kSite).status().code(), kInvalid);
  EXPECT_EQ(CreateRequest(key, "site-a", Role::kAuthority).status().code(), kInvalid);
  EXPECT_EQ(CreateRequest(SecretBytes::CopyOf("no key"), "site-a", Role::kSite).status().code(), kInvalid);
  EXPECT_EQ(CreateRequest(SecretBytes(), "site-a", Role::kSite).status().code(), kInvalid);
  EXPECT_EQ(CreateAuthority("", kTestNow, absl::Hours(1)).status().code(), kInvalid);
  EXPECT_EQ(CreateAuthority("line\nbreak", kTestNow, absl::Hours(1)).status().code(), kInvalid);
  EXPECT_EQ(CreateAuthority("CA", kTestNow, absl::ZeroDuration()).status().code(), kInvalid);
  EXPECT_EQ(ReadRequest("").status().code(), kInvalid);
  EXPECT_EQ(ReadRequest(pki.ca().ToPem()).status().code(), kInvalid);
  const Bytes request = CreateRequest(key, "site-a", Role::kSite).value();
  EXPECT_EQ(IssueCertificate(pki.authority(), request, From(kTestNow, 0)).status().code(), kInvalid);
  EXPECT_EQ(IssueCertificate(pki.authority(), request, From(kTestNow, 100000)).status().code(), kInvalid);
}

// A request somebody altered on the way must not become a certificate.
TEST(PkiTest, EveryAlteredRequestIsRefused) {
  TestConsortium pki;
  const Bytes pem = CreateRequest(GenerateSigningKeyPem(), "site-a", Role::kSite).value();
  const size_t begin = pem.find('\n') + 1;
  const size_t end = pem.find("-----END");
  for (size_t i = begin; i < end; ++i) {
    Bytes altered = pem;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    if (altered == pem) continue;
    const auto issued = IssueCertificate(pki.authority(), altered, From(kTestNow));
    EXPECT_FALSE(issued.ok()) << i;
  }
}

TEST(PkiTest, LoadsItsFilesAndRefusesMixedOnes) {
  TestConsortium pki;
  TestConsortium other;
  const Bytes pem = pki.ca().ToPem();
  EXPECT_TRUE(LoadAuthority(pem, pki.authority().key_pem).ok());
  EXPECT_EQ(LoadAuthority(pem, other.authority().key_pem).status().code(), kInvalid);
  EXPECT_EQ(LoadAuthority(pki.site(1).certificate().ToPem(), pki.authority().key_pem).status().code(), kInvalid);
  EXPECT_EQ(LoadAuthority("", pki.authority().key_pem).status().code(), kInvalid);
  EXPECT_EQ(LoadAuthority(pem, SecretBytes()).status().code(), kInvalid);
  EXPECT_EQ(Certificate::FromPem(pem + pem).status().code(), kInvalid);
}

TEST(CertificateTest, EveryAlteredByteIsUnreadableOrUnverified) {
  TestConsortium pki;
  const Bytes der = pki.site(1).certificate().der();
  for (size_t i = 0; i < der.size(); ++i) {
    Bytes altered = der;
    altered[i] = static_cast<char>(altered[i] ^ 0x01);
    const auto read = Certificate::FromDer(altered);
    EXPECT_FALSE(read.ok() && VerifyChain(*read, pki.ca(), kTestNow, Role::kSite).ok()) << i;
    EXPECT_FALSE(Certificate::FromDer(der.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(Certificate::FromDer(der + "x").ok());
}

TEST(CertificateTest, RandomMutationsNeverCrash) {
  TestConsortium pki;
  const Bytes der = pki.site(1).certificate().der();
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    Bytes mutated = der;
    for (uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
      mutated[random() % mutated.size()] = static_cast<char>(random());
    }
    const auto read = Certificate::FromDer(mutated);
    if (mutated == der) continue;
    EXPECT_FALSE(read.ok() && VerifyChain(*read, pki.ca(), kTestNow, Role::kSite).ok());
  }
}

TEST(SignerTest, SignaturesNameTheirSigner) {
  TestConsortium pki;
  const Signer& site = pki.site(1);
  const Bytes signature = site.Sign("test/domain", "message");
  const Bytes& der = site.certificate().der();
  EXPECT_EQ(VerifySignature(der, pki.ca(), "test/domain", "message", signature, Role::kSite, kTestNow).value(),
            "site-01");
  constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;
  const auto code = [&](ByteView domain, ByteView message, Role role, absl::Time time) {
    return VerifySignature(der, pki.ca(), domain, message, signature, role, time).status().code();
  };
  EXPECT_EQ(code("test/other", "message", Role::kSite, kTestNow), kUnauthenticated);
  EXPECT_EQ(code("test/domain", "massage", Role::kSite, kTestNow), kUnauthenticated);
  EXPECT_EQ(code("test/domain", "message", Role::kOperator, kTestNow), kUnauthenticated);
  EXPECT_EQ(code("test/domain", "message", Role::kSite, kTestNow + absl::Hours(24 * 4000)), kUnauthenticated);
  const testing::TlsIdentity tls = pki.Tls("site-01", Role::kSite);
  EXPECT_EQ(VerifySignature(Certificate::FromPem(tls.certificate_pem).value(), pki.ca(), "test/domain", "message",
                            signature, Role::kSite, kTestNow)
                .status()
                .code(),
            kInvalid);
}

TEST(SignerTest, WantsTheCertificateOfItsKey) {
  TestConsortium pki;
  const SecretBytes key = GenerateSigningKeyPem();
  EXPECT_EQ(Signer::Create(key, pki.site(1).certificate()).status().code(), kInvalid);
  EXPECT_EQ(Signer::Create(GenerateTlsKeyPem(), pki.site(1).certificate()).status().code(), kInvalid);
  EXPECT_TRUE(Signer::Create(key, pki.Issue(key, "site-09", Role::kSite)).ok());
}

}  // namespace
}  // namespace cloister::crypto
