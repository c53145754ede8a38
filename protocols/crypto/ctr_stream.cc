// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/ctr_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "protocols/crypto/openssl.h"

namespace cloister::crypto {
namespace {

constexpr size_t kBlock = 16;
constexpr size_t kPiece = size_t{1} << 30;  // EVP_EncryptUpdate takes an int

}  // namespace

struct CtrStream::State {
  CipherContextPtr context{EVP_CIPHER_CTX_new()};
  std::array<uint8_t, kNonceBytes> nonce{};

  ~State() { WipeMemory(nonce.data(), nonce.size()); }

  void SetCounter(uint32_t counter) {
    std::array<uint8_t, kBlock> iv{};
    std::copy(nonce.begin(), nonce.end(), iv.begin());
    for (int i = 0; i < 4; ++i) iv[15 - i] = static_cast<uint8_t>(counter >> (8 * i));
    Must(EVP_EncryptInit_ex2(context.get(), nullptr, nullptr, iv.data(), nullptr) == 1, "EVP_EncryptInit");
  }
  void Encrypt(uint8_t* out, size_t size) {
    std::memset(out, 0, size);
    for (size_t done = 0; done < size; done += kPiece) {
      const int piece = static_cast<int>(std::min(kPiece, size - done));
      int written = 0;
      Must(EVP_EncryptUpdate(context.get(), out + done, &written, out + done, piece) == 1, "EVP_EncryptUpdate");
    }
  }
};

CtrStream::CtrStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
CtrStream::~CtrStream() = default;
CtrStream::CtrStream(CtrStream&&) noexcept = default;
CtrStream& CtrStream::operator=(CtrStream&&) noexcept = default;

absl::StatusOr<CtrStream> CtrStream::Create(const SecretBytes& key_and_nonce) {
  const EVP_CIPHER* cipher = key_and_nonce.size() == 16 + kNonceBytes   ? Aes128Ctr()
                             : key_and_nonce.size() == 32 + kNonceBytes ? Aes256Ctr()
                                                                        : nullptr;
  if (cipher == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("a keystream takes a key and nonce of 28 or 44 bytes, not {}", key_and_nonce.size()));
  }
  auto state = std::make_unique<State>();
  const uint8_t* nonce = key_and_nonce.data() + key_and_nonce.size() - kNonceBytes;
  std::copy(nonce, nonce + kNonceBytes, state->nonce.begin());
  const std::array<uint8_t, kBlock> no_iv{};
  Must(state->context != nullptr &&
           EVP_EncryptInit_ex2(state->context.get(), cipher, key_and_nonce.data(), no_iv.data(), nullptr) == 1,
       "EVP_EncryptInit");
  state->SetCounter(0);
  return CtrStream(std::move(state));
}

void CtrStream::Seek(uint64_t offset) {
  if (offset == position_) return;
  Must(offset <= kMaxBytes, "a keystream position past its end");
  position_ = offset;
  if (offset == kMaxBytes) return;
  state_->SetCounter(static_cast<uint32_t>(offset / kBlock));
  std::array<uint8_t, kBlock> skipped{};
  state_->Encrypt(skipped.data(), offset % kBlock);
  WipeMemory(skipped.data(), skipped.size());
}

void CtrStream::Fill(uint8_t* out, size_t size) {
  Must(size <= kMaxBytes - position_, "a keystream read past its end");
  state_->Encrypt(out, size);
  position_ += size;
}

}  // namespace cloister::crypto
