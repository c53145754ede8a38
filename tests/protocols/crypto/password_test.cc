// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/password.h"

#include <gtest/gtest.h>

namespace cloister::crypto {
namespace {

TEST(PasswordTest, OnlyTheRightOneMatches) {
  const std::string hash = HashPassword("correct horse battery");
  EXPECT_TRUE(CheckPassword("correct horse battery", hash));
  EXPECT_FALSE(CheckPassword("correct horse batterz", hash));
  EXPECT_FALSE(CheckPassword("", hash));
  EXPECT_NE(HashPassword("correct horse battery"), hash);  // a fresh salt
}

// RFC 7914 section 12, third vector cut to our 32 bytes: P = "pleaseletmein", S = "SodiumChloride", N = 2^14, r = 8, p
// = 1.
TEST(PasswordTest, KnownAnswer) {
  const std::string hash =
      "scrypt:14:8:1:536f6469756d43686c6f72696465:7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2";
  EXPECT_TRUE(CheckPassword("pleaseletmein", hash));
  EXPECT_FALSE(CheckPassword("Pleaseletmein", hash));
}

TEST(PasswordTest, RefusesWhatIsNotAHash) {
  const std::string good = HashPassword("x");
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(CheckPassword("x", good.substr(0, size))) << size;
  }
  EXPECT_FALSE(CheckPassword("x", "plain text"));
  EXPECT_FALSE(CheckPassword("x", "scrypt:99:8:1:00:00"));
  const std::string digits = good.substr(good.find(':', 10));
  EXPECT_FALSE(CheckPassword("x", "scrypt:24:64:16" + digits)) << "would take 128 GiB";
}

}  // namespace
}  // namespace cloister::crypto
