#pragma once
// SPDX-License-Identifier: Apache-2.0
// A consortium's certificates on the disk of a test.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "protocols/base/file.h"
#include "protocols/crypto/pki.h"
#include "protocols/crypto/signer.h"

namespace cloister::testing {

struct PartyFiles {
  std::filesystem::path ca;
  std::filesystem::path certificate;
  std::filesystem::path key;
};

class TestPki {
 public:
  explicit TestPki(std::filesystem::path folder, const std::string& name = "test-consortium",
                   absl::Duration validity = absl::Hours(24 * 30))
      : folder_(std::move(folder)),
        now_(absl::Now()),
        ca_(*crypto::CreateAuthority(name, now_ - absl::Hours(24 * 400), absl::Hours(24 * 400) + validity)) {
    EXPECT_TRUE(MakeDirectories(folder_).ok());
    EXPECT_TRUE(WriteFileAtomically(CaFile(), ca_.certificate.ToPem()).ok());
  }

  std::filesystem::path CaFile() const { return folder_ / "ca.pem"; }
  const crypto::Certificate& ca() const { return ca_.certificate; }

  // TLS files of a party. `start`: when its 10 days of validity begin, relative to now.
  PartyFiles Issue(const std::string& id, crypto::Role role, absl::Duration start = -absl::Hours(1),
                   const std::vector<std::string>& dns_names = {}) const {
    const crypto::SecretBytes key = crypto::GenerateTlsKeyPem();
    const PartyFiles files{CaFile(), folder_ / (id + ".crt"), folder_ / (id + ".key")};
    EXPECT_TRUE(WriteFileAtomically(files.key, key.view(), 0600).ok());
    EXPECT_TRUE(WriteFileAtomically(files.certificate, Certify(key, id, role, start, dns_names).ToPem()).ok());
    return files;
  }

  // signing.key and signing.pem in `folder`.
  void IssueSigningFiles(const std::string& id, crypto::Role role, const std::filesystem::path& folder) const {
    const crypto::SecretBytes key = crypto::GenerateSigningKeyPem();
    EXPECT_TRUE(WriteFileAtomically(folder / "signing.key", key.view(), 0600).ok());
    EXPECT_TRUE(WriteFileAtomically(folder / "signing.pem", Certify(key, id, role, -absl::Hours(1), {}).ToPem()).ok());
  }

  crypto::Signer IssueSigner(const std::string& id, crypto::Role role) const {
    const crypto::SecretBytes key = crypto::GenerateSigningKeyPem();
    return *crypto::Signer::Create(key, Certify(key, id, role, -absl::Hours(1), {}));
  }

 private:
  crypto::Certificate Certify(const crypto::SecretBytes& key, const std::string& id, crypto::Role role,
                              absl::Duration start, const std::vector<std::string>& dns_names) const {
    crypto::IssueOptions options;
    options.not_before = now_ + start;
    options.validity_days = 10;
    options.dns_names = dns_names;
    const auto certificate = crypto::IssueCertificate(ca_, *crypto::CreateRequest(key, id, role), options);
    EXPECT_TRUE(certificate.ok()) << certificate.status();
    return *certificate;
  }

  const std::filesystem::path folder_;
  const absl::Time now_;
  const crypto::CertificateAuthority ca_;
};

}  // namespace cloister::testing
