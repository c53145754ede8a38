#pragma once
// SPDX-License-Identifier: Apache-2.0
// A party's identity as files in one folder: ca.pem, tls.pem, tls.key, signing.pem, signing.key. Keys are made here and
// never leave the folder; what travels is the request, e.g. site.csr (two certificate requests in one file), to the
// consortium CA, and the certificates back (one file with the two certificates and the CA's). Renewing is the same
// again, with the same keys.

#include <filesystem>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/crypto/pki.h"
#include "protocols/crypto/signer.h"
#include "protocols/transport/tls.h"

namespace cloister::transport {

// Makes the keys (mode 0600) unless they are there, and writes the request, whose path it returns: site.csr,
// coordinator.csr or operator.csr. INVALID_ARGUMENT: the id; the codes of writing a file.
absl::StatusOr<std::filesystem::path> RequestIdentity(const std::filesystem::path& folder, const std::string& id,
                                                      crypto::Role role);

struct IdentityRequest {
  std::string id;
  crypto::Role role = crypto::Role::kSite;
  Bytes tls_pem;
  Bytes signing_pem;
  Digest tls_key;  // fingerprints, to be compared by telephone
  Digest signing_key;
};
// The content of a request file. INVALID_ARGUMENT: not one request for TLS and one for signing, for the same id and
// role.
absl::StatusOr<IdentityRequest> ReadIdentityRequest(ByteView text);

struct IdentityCertificates {
  crypto::Certificate tls;
  crypto::Certificate signing;
  crypto::Certificate ca;
};
// One text for the way back.
Bytes JoinCertificates(const IdentityCertificates& certificates);
absl::StatusOr<IdentityCertificates> SplitCertificates(ByteView text);

// Installs what the CA gave back, after checking that it is for the keys in `folder`, valid now, and from one CA; an
// earlier ca.pem there must be the same CA (FAILED_PRECONDITION otherwise, so that nobody is moved into another
// consortium by accident).
absl::StatusOr<IdentityCertificates> InstallIdentity(const std::filesystem::path& folder, ByteView text,
                                                     absl::Time now);

TlsFiles TlsFilesOf(const std::filesystem::path& folder);
// Ready to sign. UNAUTHENTICATED: expired, foreign or of another role (crypto::VerifyChain); NOT_FOUND: not enrolled
// yet.
absl::StatusOr<crypto::Signer> LoadSigner(const std::filesystem::path& folder, crypto::Role role, absl::Time now);
absl::StatusOr<crypto::Certificate> LoadAuthority(const std::filesystem::path& folder);

}  // namespace cloister::transport
