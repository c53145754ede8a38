// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/x25519.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include "protocols/crypto/aead.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/crypto/openssl.h"
#include "protocols/crypto/random.h"

namespace cloister::crypto {
namespace {

SecretBytes BoxKey(const SecretBytes& shared, ByteView ephemeral, ByteView recipient) {
  const Bytes info = CanonicalWriter().Blob("cloister/box/1").Fixed(ephemeral).Fixed(recipient).Take();
  return Hkdf({}, shared, info, kAeadKeyBytes);
}

// Each box has its own key, so the nonce may be fixed.
const Bytes kBoxNonce(kAeadNonceBytes, '\0');

}  // namespace

absl::StatusOr<X25519KeyPair> X25519KeyPair::FromSeed(SecretBytes seed) {
  if (seed.size() != kX25519Bytes) {
    return absl::InvalidArgumentError(fmt::format("an X25519 private key has 32 bytes, not {}", seed.size()));
  }
  const PkeyPtr key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, seed.data(), seed.size()));
  Must(key != nullptr, "X25519 private key");
  X25519KeyPair pair;
  pair.public_key_.assign(kX25519Bytes, '\0');
  size_t size = kX25519Bytes;
  Must(EVP_PKEY_get_raw_public_key(key.get(), Uchars(pair.public_key_), &size) == 1, "X25519 public key");
  pair.seed_ = std::move(seed);
  return pair;
}

absl::StatusOr<SecretBytes> X25519KeyPair::Derive(ByteView peer_public_key) const {
  if (peer_public_key.size() != kX25519Bytes) {
    return absl::InvalidArgumentError(fmt::format("an X25519 public key has 32 bytes, not {}", peer_public_key.size()));
  }
  const PkeyPtr key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, seed_.data(), seed_.size()));
  const PkeyPtr peer(
      EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, Uchars(peer_public_key), peer_public_key.size()));
  const PkeyContextPtr context(key == nullptr ? nullptr : EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  Must(peer != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
           EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1,
       "X25519 derivation");
  SecretBytes shared(kX25519Bytes);
  size_t size = shared.size();
  const bool derived = EVP_PKEY_derive(context.get(), shared.data(), &size) == 1;
  ERR_clear_error();
  if (!derived || size != kX25519Bytes || shared == SecretBytes(kX25519Bytes)) {
    return absl::InvalidArgumentError("an X25519 public key of low order");
  }
  return shared;
}

absl::StatusOr<Bytes> SealTo(ByteView recipient_public_key, ByteView associated, ByteView plain) {
  CLOISTER_ASSIGN_OR_RETURN(const X25519KeyPair ephemeral, X25519KeyPair::FromSeed(RandomSecret(kX25519Bytes)));
  CLOISTER_ASSIGN_OR_RETURN(const SecretBytes shared, ephemeral.Derive(recipient_public_key));
  const SecretBytes key = BoxKey(shared, ephemeral.public_key(), recipient_public_key);
  CLOISTER_ASSIGN_OR_RETURN(const Bytes sealed, Seal(key, kBoxNonce, associated, plain));
  return ephemeral.public_key() + sealed;
}

absl::StatusOr<SecretBytes> OpenSealed(const X25519KeyPair& recipient, ByteView associated, ByteView sealed) {
  const absl::Status damaged = absl::DataLossError("sealed bytes do not open: damaged, or sealed to another key");
  if (sealed.size() < kX25519Bytes) return damaged;
  const ByteView ephemeral = sealed.substr(0, kX25519Bytes);
  const absl::StatusOr<SecretBytes> shared = recipient.Derive(ephemeral);
  if (!shared.ok()) return damaged;
  const SecretBytes key = BoxKey(*shared, ephemeral, recipient.public_key());
  return Open(key, kBoxNonce, associated, sealed.substr(kX25519Bytes));
}

}  // namespace cloister::crypto
