#pragma once
// SPDX-License-Identifier: Apache-2.0
// AES-CTR keystreams (SP 800-38A): a nonce of 96 bits and a 32-bit big-endian block counter from 0, seekable by byte.

#include <absl/types/span.h>

#include <memory>
#include <string_view>

#include "protocols/crypto/secret.h"

namespace cloister::crypto {

enum class CtrEngine { kFastest, kOpenssl };
enum class KeystreamUse;

class CtrStream {
 public:
  static constexpr size_t kNonceBytes = 12;
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 36;  // where the 32-bit counter would wrap

  // `key_and_nonce`: 28 bytes (AES-128) or 44 bytes (AES-256). INVALID_ARGUMENT: anything else.
  static absl::StatusOr<CtrStream> Create(const SecretBytes& key_and_nonce, CtrEngine engine = CtrEngine::kFastest);
  ~CtrStream();
  CtrStream(CtrStream&&) noexcept;
  CtrStream& operator=(CtrStream&&) noexcept;

  // What kFastest is on this processor: "VAES-512" or "OpenSSL".
  static std::string_view FastestEngine();

  // The next byte of keystream is the one at `offset`, below kMaxBytes. Cheap when already there.
  void Seek(uint64_t offset);
  // Keystream from the current position, which moves on. Not past kMaxBytes: that is our own bug and ends the process.
  void Fill(uint8_t* out, size_t size);
  // values[i] gains or loses the next element of the keystream, little-endian, modulo 2^32 or 2^64.
  void Add(absl::Span<uint32_t> values);
  void Add(absl::Span<uint64_t> values);
  void Subtract(absl::Span<uint32_t> values);
  void Subtract(absl::Span<uint64_t> values);
  uint64_t position() const { return position_; }

 private:
  struct State;
  explicit CtrStream(std::unique_ptr<State> state);
  void Apply(KeystreamUse use, uint8_t* memory, size_t size);

  std::unique_ptr<State> state_;
  uint64_t position_ = 0;
};

}  // namespace cloister::crypto
