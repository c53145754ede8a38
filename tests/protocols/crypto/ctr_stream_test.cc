// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/ctr_stream.h"

#include <gtest/gtest.h>

#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/crypto/random.h"

namespace cloister::crypto {
namespace {

Bytes Hex(std::string_view text) {
  return HexDecode(text).value();
}

// Both engines, where this processor has two.
class CtrStreamTest : public ::testing::TestWithParam<CtrEngine> {
 protected:
  static CtrStream Stream(const SecretBytes& key) { return CtrStream::Create(key, GetParam()).value(); }
  static Bytes Keystream(const SecretBytes& key, uint64_t offset, size_t size) {
    CtrStream stream = Stream(key);
    stream.Seek(offset);
    Bytes bytes(size, '\0');
    stream.Fill(reinterpret_cast<uint8_t*>(bytes.data()), size);
    return bytes;
  }
};

Bytes Xor(Bytes a, const Bytes& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<char>(a[i] ^ b[i]);
  return a;
}

INSTANTIATE_TEST_SUITE_P(Engines, CtrStreamTest, ::testing::Values(CtrEngine::kFastest, CtrEngine::kOpenssl),
                         [](const auto& info) { return info.param == CtrEngine::kFastest ? "Fastest" : "Openssl"; });

TEST_P(CtrStreamTest, Sp80038a) {
  // The vectors start at counter fcfdfeff: with a 96-bit nonce that is byte 16 * 0xfcfdfeff.
  const uint64_t start = uint64_t{16} * 0xfcfdfeff;
  const std::string nonce = "f0f1f2f3f4f5f6f7f8f9fafb";
  const Bytes plain = Hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
  const auto encrypted = [&](const std::string& key) {
    return HexEncode(Xor(plain, Keystream(SecretBytes::CopyOf(Hex(key + nonce)), start, plain.size())));
  };
  EXPECT_EQ(encrypted("2b7e151628aed2a6abf7158809cf4f3c"),
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff");
  EXPECT_EQ(encrypted("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5");
}

TEST_P(CtrStreamTest, AnySeekEqualsReadingFromTheStart) {
  const SecretBytes key = RandomSecret(28);
  const Bytes whole = Keystream(key, 0, 4096);
  for (size_t offset : {0, 1, 15, 16, 17, 100, 1000, 4000, 4095}) {
    EXPECT_EQ(Keystream(key, offset, 4096 - offset), whole.substr(offset)) << offset;
  }
  CtrStream stream = Stream(key);
  Bytes pieces;
  for (size_t size : {1, 2, 3, 16, 5, 31, 64, 7, 0, 513, 600}) {
    Bytes piece(size, '\0');
    stream.Fill(reinterpret_cast<uint8_t*>(piece.data()), size);
    pieces += piece;
  }
  EXPECT_EQ(pieces, whole.substr(0, pieces.size()));
}

TEST_P(CtrStreamTest, EveryEngineMakesTheSameBytes) {
  for (const size_t key_bytes : {size_t{28}, size_t{44}}) {
    const SecretBytes key = RandomSecret(key_bytes);
    for (const uint64_t offset : {uint64_t{0}, uint64_t{7}, (uint64_t{1} << 32) - 3000, CtrStream::kMaxBytes - 70000}) {
      CtrStream openssl = CtrStream::Create(key, CtrEngine::kOpenssl).value();
      openssl.Seek(offset);
      Bytes wanted(70000, '\0');
      openssl.Fill(reinterpret_cast<uint8_t*>(wanted.data()), wanted.size());
      EXPECT_TRUE(Keystream(key, offset, wanted.size()) == wanted) << offset;
    }
  }
}

template <typename T>
void AddsAndSubtracts(CtrStream stream, CtrStream oracle) {
  for (const size_t first : {size_t{0}, size_t{1}, size_t{3}, size_t{1000}}) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, size_t{5}, size_t{127}, size_t{128}, size_t{5000}}) {
      std::vector<T> keystream(count);
      oracle.Seek(first * sizeof(T));
      oracle.Fill(reinterpret_cast<uint8_t*>(keystream.data()), count * sizeof(T));
      std::vector<T> values(count + 2, static_cast<T>(0x0123456789abcdefULL));
      std::vector<T> wanted = values;
      for (size_t i = 0; i < count; ++i) wanted[i + 1] += keystream[i];
      stream.Seek(first * sizeof(T));
      stream.Add(absl::MakeSpan(values).subspan(1, count));  // not aligned to more than an element
      EXPECT_EQ(values, wanted) << first << " " << count;
      EXPECT_EQ(stream.position(), (first + count) * sizeof(T));
      stream.Seek(first * sizeof(T));
      stream.Subtract(absl::MakeSpan(values).subspan(1, count));
      EXPECT_EQ(values, std::vector<T>(count + 2, static_cast<T>(0x0123456789abcdefULL)));
    }
  }
}

TEST_P(CtrStreamTest, AddsAndSubtractsElements) {
  const SecretBytes key = RandomSecret(28);
  AddsAndSubtracts<uint32_t>(Stream(key), Stream(key));
  AddsAndSubtracts<uint64_t>(Stream(key), Stream(key));
}

TEST_P(CtrStreamTest, TheLastBlockIsReadableAndNothingAfterIt) {
  const SecretBytes key = RandomSecret(28);
  EXPECT_EQ(Keystream(key, CtrStream::kMaxBytes - 16, 16).substr(3), Keystream(key, CtrStream::kMaxBytes - 13, 13));
  EXPECT_DEATH(Keystream(key, CtrStream::kMaxBytes - 15, 16), "past its end");
  for (const size_t size : {0, 12, 27, 29, 43, 45}) {
    EXPECT_EQ(CtrStream::Create(SecretBytes(size), GetParam()).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace cloister::crypto
