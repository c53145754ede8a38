#pragma once
// SPDX-License-Identifier: Apache-2.0
// Secret bytes: wiped when they go, printed as "(omitted)", compared in constant time, copied only on purpose.

#include <cstdint>
#include <memory>
#include <ostream>

#include "protocols/base/bytes.h"

namespace cloister::crypto {

class SecretBytes {
 public:
  SecretBytes() = default;
  // `size` zero bytes, to be filled through data().
  explicit SecretBytes(size_t size);
  // The caller still has to Wipe() where `bytes` came from.
  static SecretBytes CopyOf(ByteView bytes);
  // Takes the bytes over and wipes the string they came in.
  static SecretBytes TakeFrom(Bytes& bytes);

  ~SecretBytes() { Wipe(); }
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  SecretBytes Clone() const { return CopyOf(view()); }

  ByteView view() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }
  // Bytes [offset, offset + size) as their own secret. Both must lie inside: anything else is our own bug.
  SecretBytes Slice(size_t offset, size_t size) const;
  const uint8_t* data() const { return data_.get(); }
  uint8_t* data() { return data_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Overwrites and releases; empty afterwards.
  void Wipe();

  // Time depends on the sizes only.
  friend bool operator==(const SecretBytes& a, const SecretBytes& b);
  friend bool operator!=(const SecretBytes& a, const SecretBytes& b) { return !(a == b); }
  friend std::ostream& operator<<(std::ostream& out, const SecretBytes&) { return out << "(omitted)"; }

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t size_ = 0;
};

// Overwrites memory in a way the compiler may not remove.
void WipeMemory(void* data, size_t size);

// Equal content? Time depends on the sizes only.
bool ConstantTimeEqual(ByteView a, ByteView b);

}  // namespace cloister::crypto
