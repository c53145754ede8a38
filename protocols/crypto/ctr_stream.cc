// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/ctr_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "protocols/crypto/ctr_kernel.h"
#include "protocols/crypto/openssl.h"

namespace cloister::crypto {
namespace {

constexpr size_t kBlock = 16;
constexpr size_t kPiece = 8 << 10;  // of keystream that OpenSSL makes at a time: stays in the nearest cache
constexpr std::array<uint8_t, kPiece> kZeros{};

#if defined(__BYTE_ORDER__)
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "keystreams are read in place as little-endian elements");
#endif

template <typename T>
void AddElements(uint8_t* memory, const uint8_t* keystream, size_t size, bool subtract) {
  T* const values = reinterpret_cast<T*>(memory);
  for (size_t i = 0; i < size / sizeof(T); ++i) {
    T element;
    std::memcpy(&element, keystream + i * sizeof(T), sizeof(T));
    values[i] = subtract ? values[i] - element : values[i] + element;
  }
}

// `size`: a multiple of the element's.
void Combine(KeystreamUse use, uint8_t* memory, const uint8_t* keystream, size_t size) {
  switch (use) {
    case KeystreamUse::kStore:
      std::memcpy(memory, keystream, size);
      return;
    case KeystreamUse::kAdd32:
    case KeystreamUse::kSubtract32:
      return AddElements<uint32_t>(memory, keystream, size, use == KeystreamUse::kSubtract32);
    case KeystreamUse::kAdd64:
    case KeystreamUse::kSubtract64:
      return AddElements<uint64_t>(memory, keystream, size, use == KeystreamUse::kSubtract64);
  }
}

}  // namespace

// One of the two: OpenSSL's context, or the kernel's key schedule.
struct CtrStream::State {
  CipherContextPtr context;
  std::array<uint8_t, kNonceBytes> nonce{};
  uint64_t context_position = 0;
  CtrSchedule schedule;

  ~State() { WipeMemory(nonce.data(), nonce.size()); }

  void Apply(KeystreamUse use, uint64_t position, uint8_t* memory, size_t size) {
    context != nullptr ? ApplyOpenssl(use, position, memory, size) : ApplyKernel(use, position, memory, size);
  }

  void ApplyKernel(KeystreamUse use, uint64_t position, uint8_t* memory, size_t size) {
    const auto block = static_cast<uint32_t>(position / kBlock);
    const size_t head = std::min<size_t>(size, (kBlock - position % kBlock) % kBlock);
    if (head > 0) PartOfBlock(use, block, position % kBlock, memory, head);
    const size_t blocks = (size - head) / kBlock;
    const uint32_t first = block + (position % kBlock > 0 ? 1 : 0);
    ApplyCtrKernel(schedule, first, use, memory + head, blocks);
    const size_t done = head + blocks * kBlock;
    if (done < size) PartOfBlock(use, first + static_cast<uint32_t>(blocks), 0, memory + done, size - done);
  }
  void PartOfBlock(KeystreamUse use, uint32_t block, size_t from, uint8_t* memory, size_t size) {
    std::array<uint8_t, kBlock> keystream;
    ApplyCtrKernel(schedule, block, KeystreamUse::kStore, keystream.data(), 1);
    Combine(use, memory, keystream.data() + from, size);
    WipeMemory(keystream.data(), keystream.size());
  }

  void ApplyOpenssl(KeystreamUse use, uint64_t position, uint8_t* memory, size_t size) {
    std::array<uint8_t, kPiece> keystream;
    if (position != context_position) {
      std::array<uint8_t, kBlock> iv{};
      std::copy(nonce.begin(), nonce.end(), iv.begin());
      const auto block = static_cast<uint32_t>(position / kBlock);
      for (size_t i = 0; i < 4; ++i) iv[15 - i] = static_cast<uint8_t>(block >> (8 * i));
      Must(EVP_EncryptInit_ex2(context.get(), nullptr, nullptr, iv.data(), nullptr) == 1, "EVP_EncryptInit");
      Encrypt(keystream.data(), position % kBlock);
    }
    for (size_t done = 0; done < size;) {
      const size_t now = std::min(kPiece, size - done);
      Encrypt(keystream.data(), now);
      Combine(use, memory + done, keystream.data(), now);
      done += now;
    }
    context_position = position + size;
    WipeMemory(keystream.data(), std::min(size, kPiece));
  }
  void Encrypt(uint8_t* out, size_t size) {
    int written = 0;
    Must(EVP_EncryptUpdate(context.get(), out, &written, kZeros.data(), static_cast<int>(size)) == 1,
         "EVP_EncryptUpdate");
  }
};

CtrStream::CtrStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
CtrStream::~CtrStream() = default;
CtrStream::CtrStream(CtrStream&&) noexcept = default;
CtrStream& CtrStream::operator=(CtrStream&&) noexcept = default;

absl::StatusOr<CtrStream> CtrStream::Create(const SecretBytes& key_and_nonce, CtrEngine engine) {
  const size_t key_bytes = key_and_nonce.size() - std::min(key_and_nonce.size(), kNonceBytes);
  if (key_bytes != 16 && key_bytes != 32) {
    return absl::InvalidArgumentError(
        fmt::format("a keystream takes a key and nonce of 28 or 44 bytes, not {}", key_and_nonce.size()));
  }
  auto state = std::make_unique<State>();
  const uint8_t* nonce = key_and_nonce.data() + key_bytes;
  if (engine == CtrEngine::kFastest && HasCtrKernel()) {
    ExpandCtrKey(key_and_nonce.data(), key_bytes, nonce, state->schedule);
    return CtrStream(std::move(state));
  }
  std::copy(nonce, nonce + kNonceBytes, state->nonce.begin());
  state->context.reset(EVP_CIPHER_CTX_new());
  std::array<uint8_t, kBlock> iv{};
  std::copy(nonce, nonce + kNonceBytes, iv.begin());
  Must(state->context != nullptr &&
           EVP_EncryptInit_ex2(state->context.get(), key_bytes == 16 ? Aes128Ctr() : Aes256Ctr(), key_and_nonce.data(),
                               iv.data(), nullptr) == 1,
       "EVP_EncryptInit");
  return CtrStream(std::move(state));
}

std::string_view CtrStream::FastestEngine() {
  return HasCtrKernel() ? "VAES-512" : "OpenSSL";
}

void CtrStream::Seek(uint64_t offset) {
  Must(offset <= kMaxBytes, "a keystream position past its end");
  position_ = offset;
}

void CtrStream::Apply(KeystreamUse use, uint8_t* memory, size_t size) {
  Must(size <= kMaxBytes - position_, "a keystream read past its end");
  state_->Apply(use, position_, memory, size);
  position_ += size;
}

void CtrStream::Fill(uint8_t* out, size_t size) {
  Apply(KeystreamUse::kStore, out, size);
}

void CtrStream::Add(absl::Span<uint32_t> values) {
  Apply(KeystreamUse::kAdd32, reinterpret_cast<uint8_t*>(values.data()), 4 * values.size());
}

void CtrStream::Add(absl::Span<uint64_t> values) {
  Apply(KeystreamUse::kAdd64, reinterpret_cast<uint8_t*>(values.data()), 8 * values.size());
}

void CtrStream::Subtract(absl::Span<uint32_t> values) {
  Apply(KeystreamUse::kSubtract32, reinterpret_cast<uint8_t*>(values.data()), 4 * values.size());
}

void CtrStream::Subtract(absl::Span<uint64_t> values) {
  Apply(KeystreamUse::kSubtract64, reinterpret_cast<uint8_t*>(values.data()), 8 * values.size());
}

}  // namespace cloister::crypto
