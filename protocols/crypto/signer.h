#pragma once
// SPDX-License-Identifier: Apache-2.0
// Who signs: an Ed25519 key with the certificate that says whose it is.

#include <functional>
#include <memory>

#include "protocols/crypto/certificate.h"
#include "protocols/crypto/ed25519.h"

namespace cloister::crypto {

// Cheap to copy (copies share the key), thread-safe.
class Signer {
 public:
  // INVALID_ARGUMENT: not an Ed25519 key or certificate, or the certificate is for another key.
  static absl::StatusOr<Signer> Create(const SecretBytes& key_pem, Certificate certificate);

  const Certificate& certificate() const { return *certificate_; }
  const std::string& id() const { return certificate_->subject_id(); }
  // 64 bytes, the same for the same input.
  Bytes Sign(ByteView domain, ByteView message) const { return key_->Sign(domain, message); }

 private:
  std::shared_ptr<const Ed25519Key> key_;
  std::shared_ptr<const Certificate> certificate_;
};

// The signer to use now: a certificate may be renewed under a running program.
using CurrentSigner = std::function<Signer()>;

// The id of the signer, once the chain (VerifyChain) and the signature hold. UNAUTHENTICATED: either does not;
// INVALID_ARGUMENT: not a signing certificate.
absl::StatusOr<std::string> VerifySignature(ByteView certificate_der, const Certificate& ca, ByteView domain,
                                            ByteView message, ByteView signature, Role expected_role, absl::Time time);
absl::StatusOr<std::string> VerifySignature(const Certificate& certificate, const Certificate& ca, ByteView domain,
                                            ByteView message, ByteView signature, Role expected_role, absl::Time time);

}  // namespace cloister::crypto
