// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/ed25519.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include "protocols/crypto/openssl.h"

namespace cloister::crypto {
namespace {

Bytes InDomain(ByteView domain, ByteView message) {
  return CanonicalWriter().Blob(domain).Fixed(message).Take();
}

}  // namespace

absl::StatusOr<Ed25519Key> Ed25519Key::FromSeed(SecretBytes seed) {
  if (seed.size() != 32) {
    return absl::InvalidArgumentError(fmt::format("an Ed25519 private key has 32 bytes, not {}", seed.size()));
  }
  const PkeyPtr key(EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, seed.data(), seed.size()));
  Must(key != nullptr, "Ed25519 private key");
  Ed25519Key result;
  result.public_key_.assign(kEd25519PublicKeyBytes, '\0');
  size_t size = kEd25519PublicKeyBytes;
  Must(EVP_PKEY_get_raw_public_key(key.get(), Uchars(result.public_key_), &size) == 1, "Ed25519 public key");
  result.seed_ = std::move(seed);
  return result;
}

absl::StatusOr<Ed25519Key> Ed25519Key::FromPem(const SecretBytes& pem) {
  const PkeyPtr key = ReadPrivateKey(pem);
  if (key == nullptr || !EVP_PKEY_is_a(key.get(), "ED25519")) {
    return absl::InvalidArgumentError("not an Ed25519 private key in PEM");
  }
  SecretBytes seed(32);
  size_t size = seed.size();
  Must(EVP_PKEY_get_raw_private_key(key.get(), seed.data(), &size) == 1, "Ed25519 raw private key");
  return FromSeed(std::move(seed));
}

Bytes Ed25519Key::Sign(ByteView domain, ByteView message) const {
  return SignWithoutDomain(InDomain(domain, message));
}

Bytes Ed25519Key::SignWithoutDomain(ByteView message) const {
  const PkeyPtr key(EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, seed_.data(), seed_.size()));
  const DigestContextPtr context(EVP_MD_CTX_new());
  Bytes signature(kEd25519SignatureBytes, '\0');
  size_t size = signature.size();
  Must(key != nullptr && context != nullptr &&
           EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, key.get(), nullptr) == 1 &&
           EVP_DigestSign(context.get(), Uchars(signature), &size, Uchars(message), message.size()) == 1,
       "Ed25519 signature");
  return signature;
}

absl::Status VerifyEd25519(ByteView public_key, ByteView domain, ByteView message, ByteView signature) {
  return VerifyEd25519WithoutDomain(public_key, InDomain(domain, message), signature);
}

absl::Status VerifyEd25519WithoutDomain(ByteView public_key, ByteView message, ByteView signature) {
  if (public_key.size() != kEd25519PublicKeyBytes) {
    return absl::InvalidArgumentError(fmt::format("an Ed25519 public key has 32 bytes, not {}", public_key.size()));
  }
  const PkeyPtr key(EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, Uchars(public_key), public_key.size()));
  const DigestContextPtr context(EVP_MD_CTX_new());
  Must(key != nullptr && context != nullptr &&
           EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, key.get(), nullptr) == 1,
       "Ed25519 verification");
  const bool holds =
      signature.size() == kEd25519SignatureBytes &&
      EVP_DigestVerify(context.get(), Uchars(signature), signature.size(), Uchars(message), message.size()) == 1;
  ERR_clear_error();
  if (!holds) return absl::UnauthenticatedError("the signature does not hold");
  return absl::OkStatus();
}

}  // namespace cloister::crypto
