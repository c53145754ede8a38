// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/certificate.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "protocols/base/clock.h"
#include "protocols/base/ids.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/x509.h"

namespace cloister::crypto {
namespace {

constexpr size_t kMaxCertificateBytes = 64 << 10;

// The value of the only entry of `nid`, or empty when there is none, several, or an odd one.
std::string OnlyEntry(const X509_NAME* name, int nid) {
  const int index = X509_NAME_get_index_by_NID(name, nid, -1);
  if (index < 0 || X509_NAME_get_index_by_NID(name, nid, index) >= 0) return {};
  unsigned char* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (size < 0) return {};
  std::string value(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return value;
}

absl::Status Refuse(const Certificate& certificate, const std::string& why) {
  return absl::UnauthenticatedError(
      fmt::format("certificate of {} '{}' {}", RoleName(certificate.role()), certificate.subject_id(), why));
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kAuthority:
      return "authority";
    case Role::kSite:
      return "site";
    case Role::kCoordinator:
      return "coordinator";
    case Role::kOperator:
      return "operator";
  }
  return "unknown";
}

absl::StatusOr<Role> ParseRole(std::string_view name) {
  for (Role role : {Role::kAuthority, Role::kSite, Role::kCoordinator, Role::kOperator}) {
    if (RoleName(role) == name) return role;
  }
  return absl::InvalidArgumentError("a role (OU) is authority, site, coordinator or operator");
}

absl::Status CheckSubject(const Subject& subject) {
  if (subject.role != Role::kAuthority) return CheckIdentifier(subject.id, "certificate subject");
  const bool printable = std::all_of(subject.id.begin(), subject.id.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (subject.id.empty() || subject.id.size() > 64 || !printable) {
    return absl::InvalidArgumentError("the name of a CA has 1 to 64 printable ASCII characters");
  }
  return absl::OkStatus();
}

absl::StatusOr<Subject> ReadSubject(const X509_NAME* name) {
  if (X509_NAME_entry_count(name) != 2) {
    return absl::InvalidArgumentError("a subject has exactly one CN (the id) and one OU (the role)");
  }
  Subject subject;
  CLOISTER_ASSIGN_OR_RETURN(subject.role, ParseRole(OnlyEntry(name, NID_organizationalUnitName)));
  subject.id = OnlyEntry(name, NID_commonName);
  CLOISTER_RETURN_IF_ERROR(CheckSubject(subject));
  return subject;
}

OpensslPtr<X509_NAME, X509_NAME_free> MakeSubject(const Subject& subject) {
  OpensslPtr<X509_NAME, X509_NAME_free> name(X509_NAME_new());
  const std::string role(RoleName(subject.role));
  Must(name != nullptr &&
           X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8, Uchars(subject.id),
                                      static_cast<int>(subject.id.size()), -1, 0) == 1 &&
           X509_NAME_add_entry_by_NID(name.get(), NID_organizationalUnitName, MBSTRING_UTF8, Uchars(role),
                                      static_cast<int>(role.size()), -1, 0) == 1,
       "X509_NAME");
  return name;
}

absl::StatusOr<KeyKind> KindOf(const EVP_PKEY* key) {
  if (key != nullptr && EVP_PKEY_is_a(key, "ED25519")) return KeyKind::kSigning;
  if (key != nullptr && EVP_PKEY_is_a(key, "EC")) {
    char group[64] = {};
    size_t size = 0;
    if (EVP_PKEY_get_group_name(key, group, sizeof(group), &size) == 1 && std::string_view(group) == "prime256v1") {
      return KeyKind::kTls;
    }
  }
  return absl::InvalidArgumentError("a key is P-256 (for TLS) or Ed25519 (for signing)");
}

Bytes PublicKeyDer(const EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  Must(size > 0, "i2d_PUBKEY");
  Bytes bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

Bytes PublicKeyOf(const EVP_PKEY* key, KeyKind kind) {
  if (kind == KeyKind::kTls) return PublicKeyDer(key);
  Bytes raw(32, '\0');
  size_t size = raw.size();
  Must(EVP_PKEY_get_raw_public_key(key, Uchars(raw), &size) == 1, "Ed25519 public key");
  return raw;
}

X509Ptr ParseX509(ByteView der) {
  if (der.empty() || der.size() > kMaxCertificateBytes) return nullptr;
  const unsigned char* next = Uchars(der);
  X509Ptr certificate(d2i_X509(nullptr, &next, static_cast<long>(der.size())));
  ERR_clear_error();
  if (certificate == nullptr || next != Uchars(der) + der.size()) return nullptr;
  return certificate;
}

Bytes DerOf(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  Must(size > 0, "i2d_X509");
  Bytes bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

struct Certificate::Parsed {
  X509Ptr x509;
};

absl::StatusOr<Certificate> Certificate::FromDer(ByteView der) {
  X509Ptr x509 = ParseX509(der);
  if (x509 == nullptr) return absl::InvalidArgumentError("not an X.509 certificate");
  // OpenSSL reads other encodings too, whose signature holds as well: one certificate would have many fingerprints.
  if (DerOf(x509.get()) != der) return absl::InvalidArgumentError("a certificate that is not in DER");
  CLOISTER_ASSIGN_OR_RETURN(const Subject subject, ReadSubject(X509_get_subject_name(x509.get())));
  const EVP_PKEY* key = X509_get0_pubkey(x509.get());
  Certificate certificate;
  CLOISTER_ASSIGN_OR_RETURN(certificate.key_kind_, KindOf(key));
  certificate.der_ = Bytes(der);
  certificate.subject_id_ = subject.id;
  certificate.role_ = subject.role;
  certificate.not_before_ = TimeOf(X509_get0_notBefore(x509.get()));
  certificate.not_after_ = TimeOf(X509_get0_notAfter(x509.get()));
  certificate.public_key_ = PublicKeyOf(key, certificate.key_kind_);
  const ASN1_INTEGER* serial = X509_get0_serialNumber(x509.get());
  certificate.serial_hex_ = HexEncode(
      {reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)), static_cast<size_t>(ASN1_STRING_length(serial))});
  certificate.parsed_ = std::make_shared<const Parsed>(Parsed{std::move(x509)});
  return certificate;
}

absl::StatusOr<Certificate> Certificate::FromPem(ByteView pem) {
  const BioPtr bio = ReadOnlyBio(pem);
  const X509Ptr first(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  const X509Ptr second(first == nullptr ? nullptr : PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (first == nullptr) return absl::InvalidArgumentError("not an X.509 certificate in PEM");
  if (second != nullptr) return absl::InvalidArgumentError("more than one certificate where one is wanted");
  return FromDer(DerOf(first.get()));
}

Bytes Certificate::ToPem() const {
  const X509Ptr x509 = ParseX509(der_);
  const BioPtr bio(BIO_new(BIO_s_mem()));
  Must(x509 != nullptr && bio != nullptr && PEM_write_bio_X509(bio.get(), x509.get()) == 1, "PEM_write_bio_X509");
  return ContentOf(bio.get());
}

Digest Certificate::fingerprint() const {
  return Sha256(der_);
}

absl::Status VerifyChain(const Certificate& certificate, const Certificate& ca, absl::Time time, Role role) {
  X509* const leaf = certificate.parsed_ == nullptr ? nullptr : certificate.parsed_->x509.get();
  X509* const issuer = ca.parsed_ == nullptr ? nullptr : ca.parsed_->x509.get();
  if (leaf == nullptr || issuer == nullptr || ca.role() != Role::kAuthority || X509_check_ca(issuer) != 1) {
    return absl::UnauthenticatedError(
        "the configured CA certificate is not a consortium CA: configure the ca.pem that the consortium's operator "
        "gave "
        "you");
  }
  const bool issued = X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(issuer)) == 0 &&
                      X509_verify(leaf, X509_get0_pubkey(issuer)) == 1;
  ERR_clear_error();
  if (!issued) {
    return Refuse(certificate,
                  fmt::format("was not issued by the CA '{}' ({}): enrol with this consortium, or configure the ca.pem "
                              "of the consortium that issued it",
                              ca.subject_id(), ca.fingerprint().short_hex()));
  }
  // Reading the flags makes OpenSSL look at the extensions first.
  const uint32_t flags = X509_get_extension_flags(leaf);
  if ((flags & (EXFLAG_CA | EXFLAG_CRITICAL | EXFLAG_INVALID)) != 0) {
    return Refuse(certificate,
                  "is itself a CA or has extensions we do not know: ask for a certificate made by "
                  "'cloister ca approve'");
  }
  if (time < certificate.not_before()) {
    return Refuse(certificate, fmt::format("is not valid before {} (now {}): check this machine's clock, or wait",
                                           FormatUtc(certificate.not_before()), FormatUtc(time)));
  }
  if (time > certificate.not_after()) {
    return Refuse(certificate, fmt::format("expired at {} (now {}): renew it, or check this machine's clock",
                                           FormatUtc(certificate.not_after()), FormatUtc(time)));
  }
  if (time < ca.not_before() || time > ca.not_after()) {
    return absl::UnauthenticatedError(fmt::format(
        "the CA '{}' is valid from {} to {} (now {}): the consortium has to make a new CA, or this machine's "
        "clock is wrong",
        ca.subject_id(), FormatUtc(ca.not_before()), FormatUtc(ca.not_after()), FormatUtc(time)));
  }
  if (certificate.role() != role) {
    return Refuse(certificate, fmt::format("is not for the role {}: use a certificate issued with OU={}",
                                           RoleName(role), RoleName(role)));
  }
  return absl::OkStatus();
}

}  // namespace cloister::crypto
