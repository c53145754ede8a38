// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "protocols/crypto/openssl.h"

namespace cloister::crypto {
namespace {

OSSL_PARAM OctetParam(const char* key, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(key, const_cast<char*>(bytes.data()), bytes.size());
}

}  // namespace

SecretBytes Hkdf(ByteView salt, const SecretBytes& secret, ByteView info, size_t size) {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_HKDF, nullptr);
  const OpensslPtr<EVP_KDF_CTX, EVP_KDF_CTX_free> context(EVP_KDF_CTX_new(kdf));
  Must(context != nullptr, "EVP_KDF_CTX_new");
  char method[] = "SHA2-256";
  OSSL_PARAM params[5] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, method, 0),
                          OctetParam(OSSL_KDF_PARAM_KEY, secret.view()), OctetParam(OSSL_KDF_PARAM_INFO, info),
                          OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
  if (!salt.empty()) params[3] = OctetParam(OSSL_KDF_PARAM_SALT, salt);
  SecretBytes out(size);
  Must(EVP_KDF_derive(context.get(), out.data(), size, params) == 1, "EVP_KDF_derive");
  return out;
}

}  // namespace cloister::crypto
