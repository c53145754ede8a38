// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/identity.h"

#include <fmt/format.h>

#include <optional>

#include "protocols/base/file.h"
#include "protocols/base/ids.h"
#include "protocols/crypto/hash.h"

namespace cloister::transport {
namespace {

constexpr uint64_t kMaxPemBytes = 64 << 10;

// The PEM blocks of `text`, whatever stands between them.
std::vector<Bytes> PemBlocks(ByteView text) {
  std::vector<Bytes> blocks;
  for (size_t begin = text.find("-----BEGIN "); begin != ByteView::npos; begin = text.find("-----BEGIN ", begin)) {
    const size_t end_line = text.find("-----END ", begin);
    const size_t end = end_line == ByteView::npos ? ByteView::npos : text.find("-----", end_line + 9);
    if (end == ByteView::npos) {
      break;
    }
    blocks.push_back(Bytes(text.substr(begin, end + 5 - begin)) + "\n");
    begin = end;
  }
  return blocks;
}

absl::StatusOr<crypto::SecretBytes> ReadKey(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(Bytes pem, ReadFile(path, kMaxPemBytes));
  return crypto::SecretBytes::TakeFrom(pem);
}

absl::StatusOr<crypto::SecretBytes> ReadOrMakeKey(const std::filesystem::path& path, crypto::SecretBytes (*make)()) {
  auto there = ReadKey(path);
  if (there.ok() || !absl::IsNotFound(there.status())) {
    return there;
  }
  crypto::SecretBytes key = make();
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(path, key.view(), 0600));
  return key;
}

absl::StatusOr<crypto::Certificate> ReadCertificateFile(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes pem, ReadFile(path, kMaxPemBytes));
  auto certificate = crypto::Certificate::FromPem(pem);
  return certificate.ok() ? std::move(certificate)
                          : absl::StatusOr<crypto::Certificate>(Annotate(certificate.status(), path.string()));
}

// As crypto::RequestFacts has it: of the DER SubjectPublicKeyInfo, which for Ed25519 is a fixed beginning (RFC 8410)
// and the key.
Digest KeyFingerprint(const crypto::Certificate& certificate) {
  static const Bytes ed25519("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12);
  return crypto::Sha256(certificate.key_kind() == crypto::KeyKind::kSigning ? ed25519 + certificate.public_key()
                                                                            : certificate.public_key());
}

}  // namespace

absl::StatusOr<std::filesystem::path> RequestIdentity(const std::filesystem::path& folder, const std::string& id,
                                                      crypto::Role role) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(id, "id"));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes tls,
                            ReadOrMakeKey(folder / "tls.key", crypto::GenerateTlsKeyPem));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes signing,
                            ReadOrMakeKey(folder / "signing.key", crypto::GenerateSigningKeyPem));
  CLOISTER_ASSIGN_OR_RETURN(const Bytes tls_request, crypto::CreateRequest(tls, id, role));
  CLOISTER_ASSIGN_OR_RETURN(const Bytes signing_request, crypto::CreateRequest(signing, id, role));
  const std::filesystem::path path = folder / fmt::format("{}.csr", crypto::RoleName(role));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(path, tls_request + signing_request));
  return path;
}

absl::StatusOr<IdentityRequest> ReadIdentityRequest(ByteView text) {
  const std::vector<Bytes> blocks = PemBlocks(text);
  if (text.size() > kMaxPemBytes || blocks.size() != 2) {
    return absl::InvalidArgumentError(fmt::format(
        "{} PEM blocks, not the 2 certificate requests that enrolling writes into one file", blocks.size()));
  }
  std::optional<crypto::RequestFacts> tls, signing;
  IdentityRequest request;
  for (const Bytes& block : blocks) {
    CLOISTER_ASSIGN_OR_RETURN(const crypto::RequestFacts facts, crypto::ReadRequest(block));
    if (facts.key_kind == crypto::KeyKind::kTls) {
      tls = facts;
      request.tls_pem = block;
    } else {
      signing = facts;
      request.signing_pem = block;
    }
  }
  if (!tls || !signing || tls->subject_id != signing->subject_id || tls->role != signing->role) {
    return absl::InvalidArgumentError("not one request for TLS and one for signing, for the same id and role");
  }
  request.id = tls->subject_id;
  request.role = tls->role;
  request.tls_key = tls->key_fingerprint;
  request.signing_key = signing->key_fingerprint;
  return request;
}

Bytes JoinCertificates(const IdentityCertificates& certificates) {
  return certificates.tls.ToPem() + certificates.signing.ToPem() + certificates.ca.ToPem();
}

absl::StatusOr<IdentityCertificates> SplitCertificates(ByteView text) {
  const std::vector<Bytes> blocks = PemBlocks(text);
  if (text.size() > kMaxPemBytes || blocks.size() != 3) {
    return absl::InvalidArgumentError(
        fmt::format("{} PEM blocks, not the 3 certificates that cloister ca approve writes", blocks.size()));
  }
  std::optional<crypto::Certificate> tls, signing, ca;
  for (const Bytes& block : blocks) {
    CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate certificate, crypto::Certificate::FromPem(block));
    if (certificate.role() == crypto::Role::kAuthority) {
      ca = std::move(certificate);
    } else if (certificate.key_kind() == crypto::KeyKind::kTls) {
      tls = std::move(certificate);
    } else {
      signing = std::move(certificate);
    }
  }
  if (!tls || !signing || !ca || tls->subject_id() != signing->subject_id() || tls->role() != signing->role()) {
    return absl::InvalidArgumentError("not a CA's certificate and one for TLS and one for signing of the same party");
  }
  return IdentityCertificates{*std::move(tls), *std::move(signing), *std::move(ca)};
}

absl::StatusOr<IdentityCertificates> InstallIdentity(const std::filesystem::path& folder, ByteView text,
                                                     absl::Time now) {
  CLOISTER_ASSIGN_OR_RETURN(IdentityCertificates certificates, SplitCertificates(text));
  for (const crypto::Certificate* certificate : {&certificates.tls, &certificates.signing}) {
    CLOISTER_RETURN_IF_ERROR(crypto::VerifyChain(*certificate, certificates.ca, now, certificate->role()));
    const bool tls = certificate->key_kind() == crypto::KeyKind::kTls;
    const std::filesystem::path key_path = folder / (tls ? "tls.key" : "signing.key");
    CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes key, ReadKey(key_path));
    CLOISTER_ASSIGN_OR_RETURN(const Bytes request,
                              crypto::CreateRequest(key, certificate->subject_id(), certificate->role()));
    CLOISTER_ASSIGN_OR_RETURN(const crypto::RequestFacts facts, crypto::ReadRequest(request));
    if (KeyFingerprint(*certificate) != facts.key_fingerprint) {
      return absl::InvalidArgumentError(
          fmt::format("the certificate of {} is not for the key {}; enrol again and have the new "
                      "request approved",
                      certificate->subject_id(), key_path.string()));
    }
  }
  const std::filesystem::path ca_path = folder / "ca.pem";
  const auto ca_there = ReadCertificateFile(ca_path);
  if (ca_there.ok() && ca_there->fingerprint() != certificates.ca.fingerprint()) {
    return absl::FailedPreconditionError(
        fmt::format("{} is the CA of another consortium ({}); to move, remove that file first", ca_path.string(),
                    ca_there->subject_id()));
  }
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(ca_path, certificates.ca.ToPem()));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "signing.pem", certificates.signing.ToPem()));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "tls.pem", certificates.tls.ToPem()));
  return certificates;
}

TlsFiles TlsFilesOf(const std::filesystem::path& folder) {
  return {folder / "ca.pem", folder / "tls.pem", folder / "tls.key"};
}

absl::StatusOr<crypto::Certificate> LoadAuthority(const std::filesystem::path& folder) {
  return ReadCertificateFile(folder / "ca.pem");
}

absl::StatusOr<crypto::Signer> LoadSigner(const std::filesystem::path& folder, crypto::Role role, absl::Time now) {
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Certificate ca, LoadAuthority(folder));
  const std::filesystem::path path = folder / "signing.pem";
  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate certificate, ReadCertificateFile(path));
  if (const absl::Status chain = crypto::VerifyChain(certificate, ca, now, role); !chain.ok()) {
    return Annotate(chain, path.string());
  }
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes key, ReadKey(folder / "signing.key"));
  auto signer = crypto::Signer::Create(key, std::move(certificate));
  return signer.ok() ? std::move(signer) : absl::StatusOr<crypto::Signer>(Annotate(signer.status(), path.string()));
}

}  // namespace cloister::transport
