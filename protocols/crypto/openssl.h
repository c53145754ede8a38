#pragma once
// SPDX-License-Identifier: Apache-2.0
// For the .cc files of this folder only: owners of OpenSSL objects and the one way to treat a call that cannot fail
// unless the machine is broken.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

template <auto Free>
struct OpensslFree {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using OpensslPtr = std::unique_ptr<T, OpensslFree<Free>>;

using BioPtr = OpensslPtr<BIO, BIO_free_all>;
using CipherContextPtr = OpensslPtr<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using DigestContextPtr = OpensslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using PkeyPtr = OpensslPtr<EVP_PKEY, EVP_PKEY_free>;
using PkeyContextPtr = OpensslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using X509Ptr = OpensslPtr<X509, X509_free>;
using RequestPtr = OpensslPtr<X509_REQ, X509_REQ_free>;

// Ends the process with the name of what failed: out of memory or no usable provider.
[[noreturn]] void OpensslIsBroken(const char* what);
inline void Must(bool succeeded, const char* what) {
  if (!succeeded) OpensslIsBroken(what);
}

inline const unsigned char* Uchars(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
inline unsigned char* Uchars(Bytes& bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

// Fetched once.
const EVP_CIPHER* Aes128Ctr();
const EVP_CIPHER* Aes256Ctr();
const EVP_CIPHER* Aes256Gcm();
const EVP_MD* Sha256Method();

BioPtr ReadOnlyBio(ByteView bytes);
Bytes ContentOf(BIO* bio);
// PKCS#8 PEM. Null: not a private key.
PkeyPtr ReadPrivateKey(const SecretBytes& pem);
SecretBytes WritePrivateKey(EVP_PKEY* key);

}  // namespace cloister::crypto
