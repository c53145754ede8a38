// SPDX-License-Identifier: Apache-2.0
// Certificates and requests from strangers, keys from files. What is accepted prints and reads back as itself.
#include "protocols/crypto/certificate.h"

#include "protocols/crypto/pki.h"
#include "protocols/crypto/signer.h"
#include "tests/fuzz/consortium.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

void CheckCertificate(const absl::StatusOr<crypto::Certificate>& certificate) {
  if (!certificate.ok()) return;
  const absl::StatusOr<crypto::Certificate> again = crypto::Certificate::FromPem(certificate->ToPem());
  Require(again.ok(), "a certificate can be written as PEM and read again");
  RequireSame(again->der(), certificate->der(), "one certificate has one fingerprint");
  static_cast<void>(crypto::VerifyChain(*certificate, Consortium().ca(), kNow, crypto::Role::kSite));
  static_cast<void>(crypto::VerifyChain(Consortium().site(1).certificate(), *certificate, kNow, crypto::Role::kSite));
  static_cast<void>(
      crypto::VerifySignature(*certificate, *certificate, "d", "m", Bytes(64, 's'), crypto::Role::kSite, kNow));
}

}  // namespace

void FuzzOne(ByteView input) {
  switch (TakeChoice(input, 4)) {
    case 0:
      return CheckCertificate(crypto::Certificate::FromDer(input));
    case 1:
      return CheckCertificate(crypto::Certificate::FromPem(input));
    case 2:
      if (crypto::ReadRequest(input).ok()) {
        crypto::IssueOptions options;
        options.not_before = kNow;
        static_cast<void>(crypto::IssueCertificate(Consortium().authority(), input, options));
      }
      return;
    default:
      static_cast<void>(crypto::Ed25519Key::FromPem(crypto::SecretBytes::CopyOf(input)));
      static_cast<void>(crypto::CreateRequest(crypto::SecretBytes::CopyOf(input), "site-01", crypto::Role::kSite));
  }
}

std::vector<Bytes> Seeds() {
  const crypto::SecretBytes tls_key = crypto::GenerateTlsKeyPem();
  const crypto::SecretBytes signing_key = crypto::GenerateSigningKeyPem();
  const Bytes tls_request = *crypto::CreateRequest(tls_key, "coordinator", crypto::Role::kCoordinator);
  crypto::IssueOptions options;
  options.not_before = kStart;
  const crypto::Certificate tls = *crypto::IssueCertificate(Consortium().authority(), tls_request, options);
  std::vector<Bytes> seeds = {WithChoice(2, tls_request),
                              WithChoice(2, *crypto::CreateRequest(signing_key, "site-01", crypto::Role::kSite)),
                              WithChoice(3, tls_key.view()), WithChoice(3, signing_key.view())};
  for (const crypto::Certificate& certificate : {tls, Consortium().ca(), Consortium().site(1).certificate()}) {
    seeds.push_back(WithChoice(0, certificate.der()));
    seeds.push_back(WithChoice(1, certificate.ToPem()));
  }
  return seeds;
}

}  // namespace cloister::fuzz
