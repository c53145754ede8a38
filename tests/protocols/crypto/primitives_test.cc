// SPDX-License-Identifier: Apache-2.0
// Known answers: RFC 5869, RFC 7748, RFC 8032, SP 800-38A, SP 800-38D, FIPS 180-4.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "protocols/crypto/aead.h"
#include "protocols/crypto/ed25519.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/crypto/random.h"
#include "protocols/crypto/seeded_stream.h"
#include "protocols/crypto/x25519.h"

namespace cloister::crypto {
namespace {

Bytes Hex(std::string_view hex) {
  return HexDecode(hex).value();
}
SecretBytes Secret(std::string_view hex) {
  return SecretBytes::CopyOf(Hex(hex));
}
Bytes Counting(int from, int to) {
  Bytes bytes;
  for (int i = from; i <= to; ++i) bytes.push_back(static_cast<char>(i));
  return bytes;
}

TEST(HkdfTest, Rfc5869) {
  EXPECT_EQ(
      HexEncode(Hkdf(Counting(0x00, 0x0c), SecretBytes::CopyOf(Bytes(22, 0x0b)), Counting(0xf0, 0xf9), 42).view()),
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(
      HexEncode(Hkdf(Counting(0x60, 0xaf), SecretBytes::CopyOf(Counting(0x00, 0x4f)), Counting(0xb0, 0xff), 82).view()),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
      "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(HexEncode(Hkdf({}, SecretBytes::CopyOf(Bytes(22, 0x0b)), {}, 42).view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(X25519Test, Rfc7748) {
  const auto pair = X25519KeyPair::FromSeed(Secret("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"));
  EXPECT_EQ(HexEncode(pair->Derive(Hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))->view()),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  const auto alice =
      X25519KeyPair::FromSeed(Secret("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const auto bob = X25519KeyPair::FromSeed(Secret("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  EXPECT_EQ(HexEncode(alice->public_key()), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(HexEncode(bob->public_key()), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const std::string shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  EXPECT_EQ(HexEncode(alice->Derive(bob->public_key())->view()), shared);
  EXPECT_EQ(HexEncode(bob->Derive(alice->public_key())->view()), shared);
}

TEST(X25519Test, RefusesLowOrderAndWrongSizes) {
  const auto pair = X25519KeyPair::FromSeed(RandomSecret(32));
  // The points of small order of RFC 7748 section 6.1 and its security considerations.
  for (const char* low : {"0000000000000000000000000000000000000000000000000000000000000000",
                          "0100000000000000000000000000000000000000000000000000000000000000",
                          "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                          "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    EXPECT_EQ(pair->Derive(Hex(low)).status().code(), absl::StatusCode::kInvalidArgument) << low;
  }
  for (size_t size : {0, 1, 31, 33, 64}) {
    EXPECT_FALSE(pair->Derive(Bytes(size, 'x')).ok());
    EXPECT_FALSE(X25519KeyPair::FromSeed(SecretBytes(size)).ok());
  }
}

TEST(Ed25519Test, Rfc8032) {
  struct Case {
    const char *seed, *public_key, *message, *signature;
  };
  for (const Case& c : {
           Case{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5"
                "f059"
                "5bbe24655141438e7a100b"},
           Case{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2e"
                "aeb4"
                "302aeeb00d291612bb0c00"},
       }) {
    const auto key = Ed25519Key::FromSeed(Secret(c.seed));
    EXPECT_EQ(HexEncode(key->public_key()), c.public_key);
    EXPECT_EQ(HexEncode(key->SignWithoutDomain(Hex(c.message))), c.signature);
    EXPECT_TRUE(VerifyEd25519WithoutDomain(key->public_key(), Hex(c.message), Hex(c.signature)).ok());
  }
}

TEST(Ed25519Test, EveryFlippedBitAndEveryOtherDomainFails) {
  const auto key = Ed25519Key::FromSeed(RandomSecret(32));
  const Bytes signature = key->Sign("test/domain", "message");
  EXPECT_TRUE(VerifyEd25519(key->public_key(), "test/domain", "message", signature).ok());
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    Bytes flipped = signature;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(VerifyEd25519(key->public_key(), "test/domain", "message", flipped).code(),
              absl::StatusCode::kUnauthenticated)
        << bit;
  }
  for (size_t size = 0; size < 100; ++size) {
    if (size == signature.size()) continue;
    Bytes cut = signature;
    cut.resize(size);
    EXPECT_FALSE(VerifyEd25519(key->public_key(), "test/domain", "message", cut).ok()) << size;
  }
  // Moving a character from the message to the domain is another signature.
  EXPECT_FALSE(VerifyEd25519(key->public_key(), "test/domainm", "essage", signature).ok());
  EXPECT_FALSE(VerifyEd25519(key->public_key(), "test/other", "message", signature).ok());
  EXPECT_FALSE(VerifyEd25519(key->public_key(), "", "message", signature).ok());
}

TEST(SeededStreamTest, SameSeedAndLabelSameBytes) {
  const SecretBytes seed = RandomSecret(32);
  SeededStream a(seed, "a");
  SeededStream again(seed, "a");
  SeededStream b(seed, "b");
  const uint64_t first = a.NextU64();
  EXPECT_EQ(first, again.NextU64());
  EXPECT_NE(first, b.NextU64());
  for (int i = 0; i < 1000; ++i) {
    const double unit = a.NextUnit();
    EXPECT_GE(unit, 0.0);
    EXPECT_LT(unit, 1.0);
  }
}

TEST(AeadTest, Sp80038d) {
  const Bytes sealed =
      Seal(Secret("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"), Hex("cafebabefacedbaddecaf888"),
           Hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
           Hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
               "a6b525b16aedf5aa0de657ba637b39"))
          .value();
  EXPECT_EQ(
      HexEncode(sealed),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a"
      "0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
}

TEST(AeadTest, EveryFlippedBitAndEveryTruncationFails) {
  const SecretBytes key = RandomSecret(32);
  const Bytes sealed = SealWithRandomNonce(key, "associated", "plain text").value();
  EXPECT_EQ(OpenWithNonce(key, "associated", sealed)->view(), "plain text");
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes flipped = sealed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(OpenWithNonce(key, "associated", flipped).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(OpenWithNonce(key, "associated", sealed.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_FALSE(OpenWithNonce(key, "associateD", sealed).ok());
  EXPECT_FALSE(OpenWithNonce(RandomSecret(32), "associated", sealed).ok());
  EXPECT_EQ(OpenWithNonce(SecretBytes(16), "associated", sealed).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SealToTest, OnlyTheRecipientOpensIt) {
  const auto recipient = X25519KeyPair::FromSeed(RandomSecret(32));
  const auto other = X25519KeyPair::FromSeed(RandomSecret(32));
  const Bytes sealed = SealTo(recipient->public_key(), "context", "model").value();
  EXPECT_EQ(sealed.size(), 5u + 48);
  EXPECT_EQ(OpenSealed(*recipient, "context", sealed)->view(), "model");
  EXPECT_EQ(OpenSealed(*other, "context", sealed).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenSealed(*recipient, "other", sealed).status().code(), absl::StatusCode::kDataLoss);
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes flipped = sealed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    // X25519 ignores the top bit of a public key; the box key does not.
    EXPECT_EQ(OpenSealed(*recipient, "context", flipped).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(OpenSealed(*recipient, "context", sealed.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(SealTo(Bytes(32, '\0'), "context", "model").ok());
}

TEST(SecretBytesTest, IsWipedOmittedAndComparedInFull) {
  SecretBytes secret = SecretBytes::CopyOf("hush");
  std::ostringstream printed;
  printed << secret;
  EXPECT_EQ(printed.str(), "(omitted)");
  EXPECT_EQ(secret, secret.Clone());
  EXPECT_NE(secret, SecretBytes::CopyOf("husk"));
  EXPECT_NE(secret, SecretBytes::CopyOf("hus"));
  EXPECT_EQ(secret.Slice(1, 2).view(), "us");
  SecretBytes moved = std::move(secret);
  EXPECT_TRUE(secret.empty());  // NOLINT: a moved-from secret is empty by contract
  EXPECT_EQ(moved.view(), "hush");
  moved.Wipe();
  EXPECT_TRUE(moved.empty());
  Bytes source = "from";
  EXPECT_EQ(SecretBytes::TakeFrom(source).view(), "from");
  EXPECT_TRUE(source.empty());
}

TEST(RandomTest, DoesNotRepeat) {
  EXPECT_NE(RandomBytes(32), RandomBytes(32));
  EXPECT_NE(RandomSecret(32), RandomSecret(32));
  EXPECT_TRUE(RandomBytes(0).empty());
}

}  // namespace
}  // namespace cloister::crypto
