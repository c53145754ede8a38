// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/signer.h"

#include <fmt/format.h>

#include <utility>

namespace cloister::crypto {

absl::StatusOr<Signer> Signer::Create(const SecretBytes& key_pem, Certificate certificate) {
  CLOISTER_ASSIGN_OR_RETURN(Ed25519Key key, Ed25519Key::FromPem(key_pem));
  if (certificate.key_kind() != KeyKind::kSigning || certificate.public_key() != key.public_key()) {
    return absl::InvalidArgumentError(
        fmt::format("the certificate of '{}' is not for this signing key: were two enrolments mixed up?",
                    certificate.subject_id()));
  }
  Signer signer;
  signer.key_ = std::make_shared<const Ed25519Key>(std::move(key));
  signer.certificate_ = std::make_shared<const Certificate>(std::move(certificate));
  return signer;
}

absl::StatusOr<std::string> VerifySignature(ByteView certificate_der, const Certificate& ca, ByteView domain,
                                            ByteView message, ByteView signature, Role expected_role, absl::Time time) {
  CLOISTER_ASSIGN_OR_RETURN(const Certificate certificate, Certificate::FromDer(certificate_der));
  return VerifySignature(certificate, ca, domain, message, signature, expected_role, time);
}

absl::StatusOr<std::string> VerifySignature(const Certificate& certificate, const Certificate& ca, ByteView domain,
                                            ByteView message, ByteView signature, Role expected_role, absl::Time time) {
  if (certificate.key_kind() != KeyKind::kSigning) {
    return absl::InvalidArgumentError(
        fmt::format("the certificate of '{}' is for TLS, not for signing", certificate.subject_id()));
  }
  CLOISTER_RETURN_IF_ERROR(VerifyChain(certificate, ca, time, expected_role));
  if (absl::Status held = VerifyEd25519(certificate.public_key(), domain, message, signature); !held.ok()) {
    return Annotate(held, fmt::format("signature of '{}'", certificate.subject_id()));
  }
  return certificate.subject_id();
}

}  // namespace cloister::crypto
