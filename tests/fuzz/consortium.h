#pragma once
// SPDX-License-Identifier: Apache-2.0
// A CA and its sites, with the same keys in every process: an input that ends one must end the next one too.

#include <absl/time/time.h>

#include "protocols/crypto/pki.h"
#include "protocols/crypto/signer.h"

namespace cloister::fuzz {

inline const absl::Time kStart = absl::FromUnixSeconds(1'767'225'600);  // 2026-01-01
inline const absl::Time kNow = kStart + absl::Hours(24 * 100);

class FuzzConsortium {
 public:
  static constexpr int kSites = 4;

  FuzzConsortium();

  const crypto::CertificateAuthority& authority() const { return authority_; }
  const crypto::Certificate& ca() const { return authority_.certificate; }
  // 1 to kSites: "site-01" and on.
  const crypto::Signer& site(int number) const { return sites_[static_cast<size_t>(number - 1)]; }

 private:
  crypto::CertificateAuthority authority_;
  std::vector<crypto::Signer> sites_;
};

// Made on first use.
const FuzzConsortium& Consortium();

}  // namespace cloister::fuzz
