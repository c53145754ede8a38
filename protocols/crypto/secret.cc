// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/secret.h"

#include <openssl/crypto.h>

#include <cstring>
#include <utility>

#include "protocols/crypto/openssl.h"

namespace cloister::crypto {

SecretBytes::SecretBytes(size_t size) : data_(size == 0 ? nullptr : new uint8_t[size]()), size_(size) {}

SecretBytes SecretBytes::CopyOf(ByteView bytes) {
  SecretBytes secret(bytes.size());
  if (!bytes.empty()) std::memcpy(secret.data(), bytes.data(), bytes.size());
  return secret;
}

SecretBytes SecretBytes::TakeFrom(Bytes& bytes) {
  SecretBytes secret = CopyOf(bytes);
  WipeMemory(bytes.data(), bytes.size());
  bytes.clear();
  return secret;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this == &other) return *this;
  Wipe();
  data_ = std::move(other.data_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

SecretBytes SecretBytes::Slice(size_t offset, size_t size) const {
  Must(offset <= size_ && size <= size_ - offset, "a slice outside its secret");
  return CopyOf(view().substr(offset, size));
}

void SecretBytes::Wipe() {
  if (data_ != nullptr) WipeMemory(data_.get(), size_);
  data_.reset();
  size_ = 0;
}

bool operator==(const SecretBytes& a, const SecretBytes& b) {
  return ConstantTimeEqual(a.view(), b.view());
}

void WipeMemory(void* data, size_t size) {
  if (size > 0) OPENSSL_cleanse(data, size);
}

bool ConstantTimeEqual(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  return a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace cloister::crypto
