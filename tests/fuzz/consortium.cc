// SPDX-License-Identifier: Apache-2.0
// OpenSSL 3 has no other way for a program to give its random numbers.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tests/fuzz/consortium.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <random>

#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

int FixedBytes(unsigned char* out, int size) {
  static std::mt19937_64 generator(1);
  for (int i = 0; i < size; ++i) out[i] = static_cast<unsigned char>(generator());
  return 1;
}

crypto::CertificateAuthority MakeAuthority() {
  static const RAND_METHOD kFixed = {nullptr, FixedBytes, nullptr, nullptr, FixedBytes, nullptr};
  Require(RAND_set_rand_method(&kFixed) == 1, "OpenSSL takes our random numbers");
  return *crypto::CreateAuthority("fuzz", kStart, absl::Hours(24 * 3650));
}

}  // namespace

FuzzConsortium::FuzzConsortium() : authority_(MakeAuthority()) {
  crypto::IssueOptions options;
  options.not_before = kStart;
  options.validity_days = 3000;
  for (int number = 1; number <= kSites; ++number) {
    const crypto::SecretBytes key = crypto::GenerateSigningKeyPem();
    const Bytes request = *crypto::CreateRequest(key, fmt::format("site-{:02}", number), crypto::Role::kSite);
    sites_.push_back(*crypto::Signer::Create(key, *crypto::IssueCertificate(authority_, request, options)));
  }
}

const FuzzConsortium& Consortium() {
  static const FuzzConsortium consortium;
  return consortium;
}

}  // namespace cloister::fuzz
