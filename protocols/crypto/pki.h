#pragma once
// SPDX-License-Identifier: Apache-2.0
// Making keys, certificate requests and certificates: the consortium CA and what a party needs to enrol. Nothing here
// touches a disk; write key PEMs with mode 0600.

#include <vector>

#include "protocols/crypto/certificate.h"
#include "protocols/crypto/secret.h"

namespace cloister::crypto {

struct CertificateAuthority {
  Certificate certificate;
  SecretBytes key_pem;  // P-256
};

// A self-signed P-256 CA that may issue end certificates only (path length 0). `name` is shown to people: 1 to 64
// printable ASCII characters. INVALID_ARGUMENT: the name or a validity that is not positive.
absl::StatusOr<CertificateAuthority> CreateAuthority(const std::string& name, absl::Time not_before,
                                                     absl::Duration validity);
// From the two files. INVALID_ARGUMENT: not a CA certificate, or not its key.
absl::StatusOr<CertificateAuthority> LoadAuthority(ByteView certificate_pem, const SecretBytes& key_pem);

// PKCS#8 PEM.
SecretBytes GenerateTlsKeyPem();      // P-256, for mutual TLS
SecretBytes GenerateSigningKeyPem();  // Ed25519, for everything that is signed

// A PKCS#10 request (PEM) with CN = id and OU = role, signed by the key. INVALID_ARGUMENT: a bad id, the authority's
// role, or not a key of ours.
absl::StatusOr<Bytes> CreateRequest(const SecretBytes& key_pem, const std::string& id, Role role);

struct RequestFacts {
  std::string subject_id;
  Role role = Role::kSite;
  KeyKind key_kind = KeyKind::kTls;
  Digest key_fingerprint;  // SHA-256 of the public key (DER): what two people compare by telephone
};
// INVALID_ARGUMENT: not a request, not ours in shape, or its own signature does not hold.
absl::StatusOr<RequestFacts> ReadRequest(ByteView request_pem);

struct IssueOptions {
  absl::Time not_before;
  int validity_days = 365;
  // Coordinator TLS certificates only; "localhost" and "127.0.0.1" are always added.
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
};
// An end certificate (CA:FALSE) for the request's subject and key, ending no later than the CA's own.
// INVALID_ARGUMENT: a bad request or option. FAILED_PRECONDITION: the CA is not valid then.
absl::StatusOr<Certificate> IssueCertificate(const CertificateAuthority& ca, ByteView request_pem,
                                             const IssueOptions& options);

}  // namespace cloister::crypto
