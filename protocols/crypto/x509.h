#pragma once
// SPDX-License-Identifier: Apache-2.0
// For the .cc files of this folder only: what certificates and requests have in common.

#include <absl/time/time.h>

#include <string>

#include "protocols/crypto/certificate.h"
#include "protocols/crypto/openssl.h"

namespace cloister::crypto {

struct Subject {
  std::string id;
  Role role = Role::kSite;
};

// Exactly one CN and one OU, in that or the other order, and nothing else. INVALID_ARGUMENT.
absl::StatusOr<Subject> ReadSubject(const X509_NAME* name);
OpensslPtr<X509_NAME, X509_NAME_free> MakeSubject(const Subject& subject);
// An identifier, or for the authority 1 to 64 printable ASCII characters. INVALID_ARGUMENT.
absl::Status CheckSubject(const Subject& subject);

// INVALID_ARGUMENT: neither P-256 nor Ed25519.
absl::StatusOr<KeyKind> KindOf(const EVP_PKEY* key);
Bytes PublicKeyDer(const EVP_PKEY* key);
// As Certificate::public_key.
Bytes PublicKeyOf(const EVP_PKEY* key, KeyKind kind);

// Null: not exactly one DER certificate.
X509Ptr ParseX509(ByteView der);
Bytes DerOf(X509* certificate);
absl::Time TimeOf(const ASN1_TIME* time);

}  // namespace cloister::crypto
