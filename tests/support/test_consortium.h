#pragma once
// SPDX-License-Identifier: Apache-2.0
// A consortium for tests, in memory: a CA, sites "site-01".., a coordinator and an operator, each with a signing and a
// TLS identity. Valid from 2026-01-01 for ten years; use kTestNow as the time.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "protocols/base/ids.h"
#include "protocols/crypto/pki.h"
#include "protocols/crypto/signer.h"

namespace cloister::testing {

inline const absl::Time kTestStart = absl::FromCivil(absl::CivilDay(2026, 1, 1), absl::UTCTimeZone());
inline const absl::Time kTestNow = kTestStart + absl::Hours(24 * 100);

struct TlsIdentity {
  Bytes certificate_pem;
  crypto::SecretBytes key_pem;
};

class TestConsortium {
 public:
  explicit TestConsortium(const std::string& name = "Test consortium")
      : ca_(crypto::CreateAuthority(name, kTestStart, absl::Hours(24 * 3650)).value()) {}

  const crypto::CertificateAuthority& authority() const { return ca_; }
  const crypto::Certificate& ca() const { return ca_.certificate; }

  // "site-01" for 1.
  static SiteId SiteName(int number) { return SiteId::Parse(fmt::format("site-{:02}", number)).value(); }

  // The same signer for the same id and role, made on first use.
  const crypto::Signer& SignerOf(const std::string& id, crypto::Role role) {
    auto found = signers_.find({id, role});
    if (found != signers_.end()) return found->second;
    const crypto::SecretBytes key = crypto::GenerateSigningKeyPem();
    return signers_.emplace(std::pair(id, role), crypto::Signer::Create(key, Issue(key, id, role)).value())
        .first->second;
  }
  const crypto::Signer& site(int number) { return SignerOf(SiteName(number).value(), crypto::Role::kSite); }
  const crypto::Signer& site(const SiteId& id) { return SignerOf(id.value(), crypto::Role::kSite); }
  const crypto::Signer& coordinator() { return SignerOf("coordinator", crypto::Role::kCoordinator); }
  const crypto::Signer& an_operator() { return SignerOf("operator", crypto::Role::kOperator); }

  // A new P-256 identity for mutual TLS on localhost.
  TlsIdentity Tls(const std::string& id, crypto::Role role) {
    crypto::SecretBytes key = crypto::GenerateTlsKeyPem();
    return {Issue(key, id, role).ToPem(), std::move(key)};
  }

  crypto::Certificate Issue(const crypto::SecretBytes& key_pem, const std::string& id, crypto::Role role,
                            int validity_days = 3000) {
    crypto::IssueOptions options;
    options.not_before = kTestStart;
    options.validity_days = validity_days;
    return crypto::IssueCertificate(ca_, crypto::CreateRequest(key_pem, id, role).value(), options).value();
  }

 private:
  crypto::CertificateAuthority ca_;
  std::map<std::pair<std::string, crypto::Role>, crypto::Signer> signers_;
};

}  // namespace cloister::testing
