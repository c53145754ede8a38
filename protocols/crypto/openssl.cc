// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/openssl.h"

#include <openssl/err.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>

namespace cloister::crypto {
namespace {

const EVP_CIPHER* FetchCipher(const char* name) {
  const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  Must(cipher != nullptr, name);
  return cipher;
}

}  // namespace

void OpensslIsBroken(const char* what) {
  std::fprintf(stderr, "OpenSSL cannot work on this machine: %s: %s\n", what,
               ERR_reason_error_string(ERR_peek_last_error()));
  std::abort();
}

const EVP_CIPHER* Aes128Ctr() {
  static const EVP_CIPHER* cipher = FetchCipher("AES-128-CTR");
  return cipher;
}

const EVP_CIPHER* Aes256Ctr() {
  static const EVP_CIPHER* cipher = FetchCipher("AES-256-CTR");
  return cipher;
}

const EVP_CIPHER* Aes256Gcm() {
  static const EVP_CIPHER* cipher = FetchCipher("AES-256-GCM");
  return cipher;
}

const EVP_MD* Sha256Method() {
  static const EVP_MD* method = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  Must(method != nullptr, "SHA2-256");
  return method;
}

BioPtr ReadOnlyBio(ByteView bytes) {
  // OpenSSL takes no null, which is where an empty view may begin.
  const char* const begin = bytes.empty() ? "" : bytes.data();
  BioPtr bio(BIO_new_mem_buf(begin, static_cast<int>(std::min<size_t>(bytes.size(), INT_MAX))));
  Must(bio != nullptr, "BIO_new_mem_buf");
  return bio;
}

Bytes ContentOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? Bytes(data, static_cast<size_t>(size)) : Bytes();
}

PkeyPtr ReadPrivateKey(const SecretBytes& pem) {
  const BioPtr bio = ReadOnlyBio(pem.view());
  // An empty pass phrase instead of OpenSSL's prompt on the terminal.
  PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));
  ERR_clear_error();
  return key;
}

SecretBytes WritePrivateKey(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  Must(bio != nullptr && PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
       "PEM_write_bio_PKCS8PrivateKey");
  Bytes pem = ContentOf(bio.get());
  return SecretBytes::TakeFrom(pem);
}

}  // namespace cloister::crypto
