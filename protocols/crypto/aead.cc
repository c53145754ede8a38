// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/aead.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/crypto/openssl.h"
#include "protocols/crypto/random.h"

namespace cloister::crypto {
namespace {

constexpr size_t kPiece = size_t{1} << 30;  // EVP_*Update takes an int

absl::Status CheckSizes(const SecretBytes& key, ByteView nonce) {
  if (key.size() != kAeadKeyBytes || nonce.size() != kAeadNonceBytes) {
    return absl::InvalidArgumentError(
        fmt::format("AES-256-GCM takes a key of 32 bytes and a nonce of 12, not {} and {}", key.size(), nonce.size()));
  }
  return absl::OkStatus();
}

// Passes `in` through the cipher; a null `out` means associated data.
void Feed(EVP_CIPHER_CTX* context, unsigned char* out, ByteView in) {
  for (size_t offset = 0; offset < in.size(); offset += kPiece) {
    const ByteView piece = in.substr(offset, kPiece);
    int written = 0;
    Must(EVP_CipherUpdate(context, out == nullptr ? nullptr : out + offset, &written, Uchars(piece),
                          static_cast<int>(piece.size())) == 1,
         "EVP_CipherUpdate");
  }
}

CipherContextPtr Start(const SecretBytes& key, ByteView nonce, ByteView associated, bool encrypt) {
  CipherContextPtr context(EVP_CIPHER_CTX_new());
  Must(context != nullptr &&
           EVP_CipherInit_ex2(context.get(), Aes256Gcm(), key.data(), Uchars(nonce), encrypt ? 1 : 0, nullptr) == 1,
       "EVP_CipherInit");
  Feed(context.get(), nullptr, associated);
  return context;
}

}  // namespace

absl::StatusOr<Bytes> Seal(const SecretBytes& key, ByteView nonce, ByteView associated, ByteView plain) {
  CLOISTER_RETURN_IF_ERROR(CheckSizes(key, nonce));
  const CipherContextPtr context = Start(key, nonce, associated, true);
  Bytes sealed(plain.size() + kAeadTagBytes, '\0');
  Feed(context.get(), Uchars(sealed), plain);
  unsigned char* tag = Uchars(sealed) + plain.size();
  int written = 0;
  Must(EVP_CipherFinal_ex(context.get(), tag, &written) == 1 &&
           EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kAeadTagBytes), tag) == 1,
       "EVP_CipherFinal");
  return sealed;
}

absl::StatusOr<SecretBytes> Open(const SecretBytes& key, ByteView nonce, ByteView associated, ByteView sealed) {
  CLOISTER_RETURN_IF_ERROR(CheckSizes(key, nonce));
  const absl::Status damaged = absl::DataLossError("sealed bytes do not open: damaged, or sealed under another key");
  if (sealed.size() < kAeadTagBytes) return damaged;
  const ByteView cipher = sealed.substr(0, sealed.size() - kAeadTagBytes);
  Bytes tag(sealed.substr(cipher.size()));
  const CipherContextPtr context = Start(key, nonce, associated, false);
  SecretBytes plain(cipher.size());
  Feed(context.get(), plain.data(), cipher);
  Must(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kAeadTagBytes), tag.data()) == 1,
       "EVP_CTRL_AEAD_SET_TAG");
  unsigned char nothing[16];
  int written = 0;
  if (EVP_CipherFinal_ex(context.get(), nothing, &written) != 1) return damaged;
  return plain;
}

absl::StatusOr<Bytes> SealWithRandomNonce(const SecretBytes& key, ByteView associated, ByteView plain) {
  const Bytes nonce = RandomBytes(kAeadNonceBytes);
  CLOISTER_ASSIGN_OR_RETURN(const Bytes sealed, Seal(key, nonce, associated, plain));
  return nonce + sealed;
}

absl::StatusOr<SecretBytes> OpenWithNonce(const SecretBytes& key, ByteView associated, ByteView sealed) {
  if (sealed.size() < kAeadNonceBytes) return absl::DataLossError("sealed bytes do not open: shorter than a nonce");
  return Open(key, sealed.substr(0, kAeadNonceBytes), associated, sealed.substr(kAeadNonceBytes));
}

}  // namespace cloister::crypto
