// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/pki.h"

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "protocols/base/clock.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/random.h"
#include "protocols/crypto/x509.h"

namespace cloister::crypto {
namespace {

constexpr size_t kMaxRequestBytes = 64 << 10;

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const OpensslPtr<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  Must(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, value.c_str());
}

void SetTimes(X509* certificate, absl::Time not_before, absl::Time not_after) {
  Must(ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(not_before)) != nullptr &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(not_after)) != nullptr,
       "ASN1_TIME_set");
}

// A certificate with everything but extensions and signature.
X509Ptr NewCertificate(const Subject& subject, const X509_NAME* issuer, EVP_PKEY* key) {
  X509Ptr certificate(X509_new());
  Must(certificate != nullptr, "X509_new");
  Bytes serial = RandomBytes(16);
  serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);  // positive, and always 16 bytes
  const OpensslPtr<BIGNUM, BN_free> number(BN_bin2bn(Uchars(serial), static_cast<int>(serial.size()), nullptr));
  const auto name = MakeSubject(subject);
  Must(X509_set_version(certificate.get(), X509_VERSION_3) == 1 && number != nullptr &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
           X509_set_subject_name(certificate.get(), name.get()) == 1 &&
           X509_set_issuer_name(certificate.get(), issuer == nullptr ? name.get() : issuer) == 1 &&
           X509_set_pubkey(certificate.get(), key) == 1,
       "X509 fields");
  return certificate;
}

struct ParsedRequest {
  RequestPtr request;
  RequestFacts facts;
};

absl::StatusOr<ParsedRequest> ParseRequest(ByteView pem) {
  if (pem.size() > kMaxRequestBytes) return absl::InvalidArgumentError("a certificate request larger than 64 KiB");
  const BioPtr bio = ReadOnlyBio(pem);
  ParsedRequest parsed;
  parsed.request.reset(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (parsed.request == nullptr) return absl::InvalidArgumentError("not a certificate request in PEM");
  CLOISTER_ASSIGN_OR_RETURN(const Subject subject, ReadSubject(X509_REQ_get_subject_name(parsed.request.get())));
  if (subject.role == Role::kAuthority) return absl::InvalidArgumentError("nobody can enrol as the authority");
  EVP_PKEY* key = X509_REQ_get0_pubkey(parsed.request.get());
  CLOISTER_ASSIGN_OR_RETURN(parsed.facts.key_kind, KindOf(key));
  const bool holds = X509_REQ_verify(parsed.request.get(), key) == 1;
  ERR_clear_error();
  if (!holds) {
    return absl::InvalidArgumentError(
        fmt::format("the request of '{}' is not signed by its own key: it was altered on the way", subject.id));
  }
  parsed.facts.subject_id = subject.id;
  parsed.facts.role = subject.role;
  parsed.facts.key_fingerprint = Sha256(PublicKeyDer(key));
  return parsed;
}

bool OnlyHas(std::string_view text, std::string_view allowed_punctuation) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           allowed_punctuation.find(c) != std::string_view::npos;
  });
}

absl::StatusOr<std::string> AlternativeNames(const IssueOptions& options) {
  std::vector<std::string> dns = options.dns_names;
  std::vector<std::string> ip = options.ip_addresses;
  if (std::find(dns.begin(), dns.end(), "localhost") == dns.end()) dns.push_back("localhost");
  if (std::find(ip.begin(), ip.end(), "127.0.0.1") == ip.end()) ip.push_back("127.0.0.1");
  std::string names;
  for (const std::string& name : dns) {
    if (name.size() > 253 || !OnlyHas(name, ".-")) {
      return absl::InvalidArgumentError(fmt::format("'{}' is not a DNS name", name));
    }
    names += (names.empty() ? "DNS:" : ",DNS:") + name;
  }
  for (const std::string& address : ip) {
    const OpensslPtr<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> parsed(
        OnlyHas(address, ".:") ? a2i_IPADDRESS(address.c_str()) : nullptr);
    if (parsed == nullptr) return absl::InvalidArgumentError(fmt::format("'{}' is not an IP address", address));
    names += ",IP:" + address;
  }
  return names;
}

}  // namespace

SecretBytes GenerateTlsKeyPem() {
  const PkeyPtr key(EVP_EC_gen("P-256"));
  Must(key != nullptr, "P-256 key generation");
  return WritePrivateKey(key.get());
}

SecretBytes GenerateSigningKeyPem() {
  const PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  Must(key != nullptr, "Ed25519 key generation");
  return WritePrivateKey(key.get());
}

absl::StatusOr<CertificateAuthority> CreateAuthority(const std::string& name, absl::Time not_before,
                                                     absl::Duration validity) {
  const Subject subject{name, Role::kAuthority};
  CLOISTER_RETURN_IF_ERROR(CheckSubject(subject));
  if (validity <= absl::ZeroDuration()) return absl::InvalidArgumentError("a CA is valid for more than no time");
  CertificateAuthority ca;
  ca.key_pem = GenerateTlsKeyPem();
  const PkeyPtr key = ReadPrivateKey(ca.key_pem);
  const X509Ptr x509 = NewCertificate(subject, nullptr, key.get());
  SetTimes(x509.get(), not_before, not_before + validity);
  AddExtension(x509.get(), x509.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  AddExtension(x509.get(), x509.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(x509.get(), x509.get(), NID_subject_key_identifier, "hash");
  Must(X509_sign(x509.get(), key.get(), Sha256Method()) > 0, "X509_sign");
  CLOISTER_ASSIGN_OR_RETURN(ca.certificate, Certificate::FromDer(DerOf(x509.get())));
  return ca;
}

absl::StatusOr<CertificateAuthority> LoadAuthority(ByteView certificate_pem, const SecretBytes& key_pem) {
  CertificateAuthority ca;
  CLOISTER_ASSIGN_OR_RETURN(ca.certificate, Certificate::FromPem(certificate_pem));
  const X509Ptr x509 = ParseX509(ca.certificate.der());
  if (ca.certificate.role() != Role::kAuthority || X509_check_ca(x509.get()) != 1) {
    return absl::InvalidArgumentError(
        fmt::format("the certificate of '{}' is not that of a CA", ca.certificate.subject_id()));
  }
  const PkeyPtr key = ReadPrivateKey(key_pem);
  const bool matches = key != nullptr && X509_check_private_key(x509.get(), key.get()) == 1;
  ERR_clear_error();
  if (!matches) {
    return absl::InvalidArgumentError(fmt::format("not the private key of the CA '{}'", ca.certificate.subject_id()));
  }
  ca.key_pem = key_pem.Clone();
  return ca;
}

absl::StatusOr<Bytes> CreateRequest(const SecretBytes& key_pem, const std::string& id, Role role) {
  const Subject subject{id, role};
  if (role == Role::kAuthority) return absl::InvalidArgumentError("nobody can enrol as the authority");
  CLOISTER_RETURN_IF_ERROR(CheckSubject(subject));
  const PkeyPtr key = ReadPrivateKey(key_pem);
  if (key == nullptr) return absl::InvalidArgumentError("not a private key in PEM");
  CLOISTER_ASSIGN_OR_RETURN(const KeyKind kind, KindOf(key.get()));
  const RequestPtr request(X509_REQ_new());
  const auto name = MakeSubject(subject);
  Must(request != nullptr && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
           X509_REQ_set_subject_name(request.get(), name.get()) == 1 &&
           X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
           X509_REQ_sign(request.get(), key.get(), kind == KeyKind::kSigning ? nullptr : Sha256Method()) > 0,
       "X509_REQ");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  Must(bio != nullptr && PEM_write_bio_X509_REQ(bio.get(), request.get()) == 1, "PEM_write_bio_X509_REQ");
  return ContentOf(bio.get());
}

absl::StatusOr<RequestFacts> ReadRequest(ByteView request_pem) {
  CLOISTER_ASSIGN_OR_RETURN(ParsedRequest parsed, ParseRequest(request_pem));
  return parsed.facts;
}

absl::StatusOr<Certificate> IssueCertificate(const CertificateAuthority& ca, ByteView request_pem,
                                             const IssueOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const ParsedRequest parsed, ParseRequest(request_pem));
  const RequestFacts& facts = parsed.facts;
  if (options.validity_days < 1 || options.validity_days > 3660) {
    return absl::InvalidArgumentError(
        fmt::format("a certificate is valid for 1 to 3660 days, not {}", options.validity_days));
  }
  if (options.not_before < ca.certificate.not_before() || options.not_before >= ca.certificate.not_after()) {
    return absl::FailedPreconditionError(fmt::format(
        "the CA '{}' is valid from {} to {}, so not at {}", ca.certificate.subject_id(),
        FormatUtc(ca.certificate.not_before()), FormatUtc(ca.certificate.not_after()), FormatUtc(options.not_before)));
  }
  const bool serves = facts.role == Role::kCoordinator && facts.key_kind == KeyKind::kTls;
  if (!serves && !(options.dns_names.empty() && options.ip_addresses.empty())) {
    return absl::InvalidArgumentError("host names belong in a coordinator's TLS certificate only");
  }
  const X509Ptr issuer = ParseX509(ca.certificate.der());
  const PkeyPtr ca_key = ReadPrivateKey(ca.key_pem);
  if (issuer == nullptr || ca_key == nullptr)
    return absl::InvalidArgumentError("the CA's certificate or key is damaged");

  const X509Ptr x509 = NewCertificate({facts.subject_id, facts.role}, X509_get_subject_name(issuer.get()),
                                      X509_REQ_get0_pubkey(parsed.request.get()));
  const absl::Time not_after = options.not_before + absl::Hours(24) * options.validity_days;
  SetTimes(x509.get(), options.not_before, std::min(not_after, ca.certificate.not_after()));
  AddExtension(x509.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(x509.get(), issuer.get(), NID_key_usage, "critical,digitalSignature");
  AddExtension(x509.get(), issuer.get(), NID_subject_key_identifier, "hash");
  AddExtension(x509.get(), issuer.get(), NID_authority_key_identifier, "keyid");
  if (facts.key_kind == KeyKind::kTls) {
    AddExtension(x509.get(), issuer.get(), NID_ext_key_usage, serves ? "serverAuth,clientAuth" : "clientAuth");
  }
  if (serves) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string names, AlternativeNames(options));
    AddExtension(x509.get(), issuer.get(), NID_subject_alt_name, names);
  }
  Must(X509_sign(x509.get(), ca_key.get(), Sha256Method()) > 0, "X509_sign");
  return Certificate::FromDer(DerOf(x509.get()));
}

}  // namespace cloister::crypto
