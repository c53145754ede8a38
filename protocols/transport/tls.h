#pragma once
// SPDX-License-Identifier: Apache-2.0
// Mutual TLS of a federation: everybody shows a certificate of the consortium CA, and who somebody is comes from that
// certificate and from nowhere else. Files are watched, so a renewed certificate is used for new connections without a
// restart.

#include <absl/time/time.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "protocols/base/status.h"
#include "protocols/crypto/certificate.h"

namespace cloister::transport {

struct TlsFiles {
  std::filesystem::path ca;           // the consortium CA's certificate, PEM
  std::filesystem::path certificate;  // our own, P-256, PEM
  std::filesystem::path key;          // its key, PKCS#8 PEM
};

// Our own identity as it stands on the disk now. Say what to do: UNAUTHENTICATED expired, not yet valid, foreign CA or
// wrong role; NOT_FOUND or PERMISSION_DENIED a file; INVALID_ARGUMENT not what it should be. Called before dialling and
// before listening, because the text of a failed handshake helps nobody.
absl::StatusOr<crypto::Certificate> CheckOwnCertificate(const TlsFiles& files, crypto::Role role, absl::Time now);

// Refuses every peer without a certificate of the CA. The files are read again every `reread`. Codes as
// CheckOwnCertificate.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files, absl::Time now,
                                                                   absl::Duration reread = absl::Seconds(5));
// Verifies the server's certificate and name against the CA, and shows our own.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const TlsFiles& files);

struct Peer {
  std::string id;  // a site id for Role::kSite
  crypto::Role role = crypto::Role::kSite;
  absl::Time certificate_expires;
  Digest certificate;  // fingerprint
};

// Who is calling. A servicer holds one of these: IdentifyByCertificate, or a fake in tests without TLS.
// UNAUTHENTICATED: no certificate, or it has expired since the connection was made.
using IdentifyPeer = std::function<absl::StatusOr<Peer>(const grpc::ServerContextBase& context)>;

// `now` gives the time at each call.
IdentifyPeer IdentifyByCertificate(std::function<absl::Time()> now = [] { return absl::Now(); });

// PERMISSION_DENIED unless the caller has this role; the message names both.
absl::Status RequireRole(const Peer& peer, crypto::Role role);

}  // namespace cloister::transport
