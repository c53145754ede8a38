#pragma once
// SPDX-License-Identifier: Apache-2.0
// X.509 certificates as values: who (CN), in which role (OU), until when, with which key. One consortium CA, no
// intermediates. Making them is pki.h.

#include <absl/time/time.h>

#include <memory>
#include <string>
#include <string_view>

#include "protocols/base/bytes.h"

namespace cloister::crypto {

enum class Role { kAuthority, kSite, kCoordinator, kOperator };
enum class KeyKind { kTls, kSigning };  // P-256, Ed25519

// "authority", "site", "coordinator", "operator".
std::string_view RoleName(Role role);
// INVALID_ARGUMENT: none of the above.
absl::StatusOr<Role> ParseRole(std::string_view name);

class Certificate;
absl::Status VerifyChain(const Certificate& certificate, const Certificate& ca, absl::Time time, Role role);

// Immutable and cheap to copy. Thread-safe.
class Certificate {
 public:
  // INVALID_ARGUMENT: not one certificate, not in DER (the one encoding it has), a subject without exactly one
  // identifier CN and one known OU, or a key that is neither P-256 nor Ed25519. Nothing is verified yet.
  static absl::StatusOr<Certificate> FromDer(ByteView der);
  static absl::StatusOr<Certificate> FromPem(ByteView pem);

  const Bytes& der() const { return der_; }
  Bytes ToPem() const;
  Digest fingerprint() const;  // SHA-256 of the DER

  const std::string& subject_id() const { return subject_id_; }  // for a CA: its name
  Role role() const { return role_; }
  KeyKind key_kind() const { return key_kind_; }
  absl::Time not_before() const { return not_before_; }
  absl::Time not_after() const { return not_after_; }
  const std::string& serial_hex() const { return serial_hex_; }
  // Ed25519: the 32 raw bytes. P-256: the DER SubjectPublicKeyInfo.
  const Bytes& public_key() const { return public_key_; }

 private:
  friend absl::Status VerifyChain(const Certificate& certificate, const Certificate& ca, absl::Time time, Role role);
  struct Parsed;

  Bytes der_;
  std::shared_ptr<const Parsed> parsed_;  // parsing costs more than verifying; null in a default-made certificate
  std::string subject_id_;
  Role role_ = Role::kSite;
  KeyKind key_kind_ = KeyKind::kTls;
  absl::Time not_before_;
  absl::Time not_after_;
  std::string serial_hex_;
  Bytes public_key_;
};

// Issued by `ca`, valid at `time`, and for `role`. Every failure is UNAUTHENTICATED, with a message that names the
// subject, tells the four cases apart (foreign CA, not yet valid, expired, wrong role) and says what to do about it.
absl::Status VerifyChain(const Certificate& certificate, const Certificate& ca, absl::Time time, Role role);

}  // namespace cloister::crypto
