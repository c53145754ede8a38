// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/tls.h"

#include <fmt/format.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <map>
#include <mutex>

#include "protocols/base/clock.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/pki.h"

namespace cloister::transport {
namespace {

constexpr uint64_t kMaxPemBytes = 64 << 10;

absl::StatusOr<crypto::Certificate> ReadCertificate(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes pem, ReadFile(path, kMaxPemBytes));
  auto certificate = crypto::Certificate::FromPem(pem);
  return certificate.ok() ? std::move(certificate)
                          : absl::StatusOr<crypto::Certificate>(Annotate(certificate.status(), path.string()));
}

}  // namespace

absl::StatusOr<crypto::Certificate> CheckOwnCertificate(const TlsFiles& files, crypto::Role role, absl::Time now) {
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Certificate ca, ReadCertificate(files.ca));
  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate own, ReadCertificate(files.certificate));
  CLOISTER_ASSIGN_OR_RETURN(Bytes key_pem, ReadFile(files.key, kMaxPemBytes));
  const crypto::SecretBytes key = crypto::SecretBytes::TakeFrom(key_pem);
  if (own.key_kind() != crypto::KeyKind::kTls) {
    return absl::InvalidArgumentError(
        fmt::format("{}: a certificate for signing; the one for TLS belongs here", files.certificate.string()));
  }
  // A request made with the key shows which public key it has.
  const auto request = crypto::CreateRequest(key, own.subject_id(), own.role());
  if (!request.ok()) {
    return Annotate(request.status(), files.key.string());
  }
  CLOISTER_ASSIGN_OR_RETURN(const crypto::RequestFacts facts, crypto::ReadRequest(*request));
  if (facts.key_fingerprint != crypto::Sha256(own.public_key())) {
    return absl::InvalidArgumentError(
        fmt::format("{} is not the key of {}", files.key.string(), files.certificate.string()));
  }
  if (const absl::Status chain = crypto::VerifyChain(own, ca, now, role); !chain.ok()) {
    return Annotate(chain, files.certificate.string());
  }
  return own;
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files, absl::Time now,
                                                                   absl::Duration reread) {
  CLOISTER_RETURN_IF_ERROR(CheckOwnCertificate(files, crypto::Role::kCoordinator, now).status());
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          files.key.string(), files.certificate.string(), files.ca.string(),
          static_cast<unsigned>(absl::ToInt64Seconds(reread))));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const TlsFiles& files) {
  grpc::SslCredentialsOptions options;
  CLOISTER_ASSIGN_OR_RETURN(options.pem_root_certs, ReadFile(files.ca, kMaxPemBytes));
  CLOISTER_ASSIGN_OR_RETURN(options.pem_cert_chain, ReadFile(files.certificate, kMaxPemBytes));
  CLOISTER_ASSIGN_OR_RETURN(options.pem_private_key, ReadFile(files.key, kMaxPemBytes));
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::SslCredentials(options);
  crypto::WipeMemory(options.pem_private_key.data(), options.pem_private_key.size());
  return credentials;
}

namespace {

absl::StatusOr<Peer> PeerOf(ByteView pem) {
  const auto certificate = crypto::Certificate::FromPem(pem);
  if (!certificate.ok()) {
    return absl::UnauthenticatedError(
        fmt::format("client certificate: {}", std::string(certificate.status().message())));
  }
  if (certificate->key_kind() != crypto::KeyKind::kTls) {
    return absl::UnauthenticatedError("the client certificate is one for signing, not for TLS");
  }
  return Peer{certificate->subject_id(), certificate->role(), certificate->not_after(), certificate->fingerprint()};
}

// The certificates of the peers that call, each parsed once: that takes longer than most calls. Thread-safe.
class KnownPeers {
 public:
  absl::StatusOr<Peer> Find(ByteView pem) {
    {
      std::lock_guard lock(mutex_);
      if (const auto found = peers_.find(pem); found != peers_.end()) {
        return found->second;
      }
    }
    CLOISTER_ASSIGN_OR_RETURN(Peer peer, PeerOf(pem));
    std::lock_guard lock(mutex_);
    if (peers_.size() >= kMost) {
      peers_.clear();
    }
    peers_.emplace(pem, peer);
    return peer;
  }

 private:
  static constexpr size_t kMost = 4096;

  std::mutex mutex_;
  std::map<Bytes, Peer, std::less<>> peers_;  // by PEM; guarded by mutex_
};

}  // namespace

IdentifyPeer IdentifyByCertificate(std::function<absl::Time()> now) {
  return [now = std::move(now),
          known = std::make_shared<KnownPeers>()](const grpc::ServerContextBase& context) -> absl::StatusOr<Peer> {
    const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
    const std::vector<grpc::string_ref> pem =
        auth != nullptr ? auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME) : std::vector<grpc::string_ref>();
    if (pem.size() != 1) {
      return absl::UnauthenticatedError("no client certificate on this connection");
    }
    CLOISTER_ASSIGN_OR_RETURN(Peer peer, known->Find({pem[0].data(), pem[0].size()}));
    // The handshake has verified the chain; but a connection may outlive the certificate it was made with.
    if (peer.certificate_expires < now()) {
      return absl::UnauthenticatedError(fmt::format("the certificate of {} {} expired on {}",
                                                    crypto::RoleName(peer.role), peer.id,
                                                    FormatUtc(peer.certificate_expires)));
    }
    return peer;
  };
}

absl::Status RequireRole(const Peer& peer, crypto::Role role) {
  if (peer.role != role) {
    return absl::PermissionDeniedError(fmt::format("{} has the role {}; this call is for role {}", peer.id,
                                                   crypto::RoleName(peer.role), crypto::RoleName(role)));
  }
  return absl::OkStatus();
}

}  // namespace cloister::transport
