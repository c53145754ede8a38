// SPDX-License-Identifier: Apache-2.0
// Every decoder against truncated, altered and random bytes: a Status, never a crash, and one encoding per message.
#include "protocols/secagg/messages.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

// Decodes and encodes again; the error when it does not decode.
using Codec = std::function<absl::StatusOr<Bytes>(ByteView)>;

template <typename T>
Codec CodecOf(absl::StatusOr<T> (*decode)(ByteView)) {
  return [decode](ByteView bytes) -> absl::StatusOr<Bytes> {
    CLOISTER_ASSIGN_OR_RETURN(const T message, decode(bytes));
    return Encode(message);
  };
}

struct Sample {
  std::string name;
  Bytes bytes;
  Codec codec;
};

// Real messages of a sum of four with a dropout, so that every kind of field is there.
std::vector<Sample> Samples() {
  TestSum sum(4);
  std::vector<Sample> samples;
  const SiteId first = SiteNumber(1);
  samples.push_back({"advert", sum.ReplyOf(1), CodecOf(DecodeAdvert)});
  sum.Answer({1, 2, 3, 4});
  EXPECT_TRUE(sum.server().Close().ok());
  samples.push_back({"roster", sum.server().MessagesFor(first).back(), CodecOf(DecodeRoster)});
  samples.push_back({"shares", sum.ReplyOf(1), CodecOf(DecodeShares)});
  samples.push_back({"share root", DecodeShares(samples.back().bytes)->root, CodecOf(DecodeShareRoot)});
  sum.Answer({1, 2, 3, 4});
  EXPECT_TRUE(sum.server().Close().ok());
  samples.push_back({"share delivery", sum.server().MessagesFor(first).back(), CodecOf(DecodeShareDelivery)});
  samples.push_back({"masked commit", sum.ReplyOf(1), CodecOf(DecodeMaskedCommit)});
  sum.Answer({1, 2, 3});
  EXPECT_TRUE(sum.server().Close().ok());
  samples.push_back({"survivor list", sum.server().MessagesFor(first).back(), CodecOf(DecodeSurvivorList)});
  samples.push_back({"consistency", sum.ReplyOf(1), CodecOf(DecodeConsistency)});
  sum.Answer({1, 2, 3});
  EXPECT_TRUE(sum.server().Close().ok());
  samples.push_back({"signature set", sum.server().MessagesFor(first).back(), CodecOf(DecodeSignatureSet)});
  samples.push_back({"unmask", sum.ReplyOf(1), CodecOf(DecodeUnmask)});
  return samples;
}

TEST(MessagesTest, RoundTrip) {
  for (const Sample& sample : Samples()) {
    const auto again = sample.codec(sample.bytes);
    ASSERT_TRUE(again.ok()) << sample.name << again.status();
    EXPECT_EQ(*again, sample.bytes) << sample.name;
  }
}

TEST(MessagesTest, EveryTruncationAndAnyExcessIsRefused) {
  for (const Sample& sample : Samples()) {
    for (size_t size = 0; size < sample.bytes.size(); ++size) {
      ASSERT_FALSE(sample.codec(ByteView(sample.bytes).substr(0, size)).ok()) << sample.name << " " << size;
    }
    EXPECT_EQ(sample.codec(sample.bytes + "x").status().code(), absl::StatusCode::kDataLoss) << sample.name;
  }
}

// What decodes is encoded to the very same bytes: nobody can sign one thing and be read as another.
TEST(MessagesTest, EveryFlippedBitIsRefusedOrAnotherMessage) {
  for (const Sample& sample : Samples()) {
    for (size_t bit = 0; bit < sample.bytes.size() * 8; ++bit) {
      Bytes flipped = sample.bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      const auto again = sample.codec(flipped);
      if (again.ok()) {
        ASSERT_EQ(*again, flipped) << sample.name << " " << bit;
      }
    }
  }
}

TEST(MessagesTest, RandomMutationsNeverCrashADecoder) {
  std::mt19937_64 random(11);
  const std::vector<Sample> samples = Samples();
  for (const Sample& sample : samples) {
    for (int i = 0; i < 3000; ++i) {
      Bytes mutated = sample.bytes;
      for (uint64_t edits = 1 + random() % 6; edits > 0 && !mutated.empty(); --edits) {
        const size_t at = random() % mutated.size();
        switch (random() % 4) {
          case 0:
            mutated[at] = static_cast<char>(random());
            break;
          case 1:
            mutated.erase(at, 1 + random() % 40);
            break;
          case 2:
            mutated.insert(at, Bytes(1 + random() % 40, static_cast<char>(random())));
            break;
          default:  // counts and lengths are little endian: make them huge
            for (size_t j = at; j < std::min(mutated.size(), at + 8); ++j) mutated[j] = '\xff';
        }
      }
      for (const Sample& other : samples) {
        const auto again = other.codec(mutated);
        if (again.ok()) {
          ASSERT_EQ(*again, mutated) << other.name;
        }
      }
      static_cast<void>(TypeOf(mutated));
    }
  }
}

TEST(MessagesTest, TypesAreKnownByTheirFirstByte) {
  EXPECT_EQ(TypeOf("").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(TypeOf(Bytes(1, '\0')).ok());
  EXPECT_FALSE(TypeOf(Bytes(1, '\x0a')).ok());
  for (char type = 1; type <= 9; ++type) {
    ASSERT_TRUE(TypeOf(Bytes(1, type)).ok());
    EXPECT_NE(NameOf(*TypeOf(Bytes(1, type))), "unknown");
  }
}

// The sessions on the same hostile bytes, at every step: refused, and the server goes on as if nothing had come.
TEST(MessagesTest, SessionsSurviveMutatedMessagesAtEveryStep) {
  std::mt19937_64 random(12);
  const auto mutate = [&](Bytes bytes) {
    for (uint64_t edits = 1 + random() % 3; edits > 0; --edits)
      bytes[random() % bytes.size()] ^= char(1 + random() % 255);
    return bytes;
  };
  TestSum sum(3);
  for (int phase = 0; phase < 5; ++phase) {
    for (int i = 1; i <= 3; ++i) {
      if (phase > 0) {
        const std::vector<Bytes> heard = sum.server().MessagesFor(SiteNumber(i));
        for (int trial = 0; trial < 20; ++trial) {
          const Bytes mutated = mutate(heard.back());
          if (mutated == heard.back()) continue;
          TestSite victim(i, sum.params());
          victim.Advertise();
          for (size_t m = 0; m + 1 < heard.size(); ++m) victim.MustDeliver(heard[m]);
          ASSERT_FALSE(victim.Deliver(mutated).ok());
          ASSERT_EQ(victim.session().phase(), ClientPhase::kAborted);
          ASSERT_FALSE(victim.Deliver(heard.back()).ok()) << "an aborted session stays aborted";
        }
      }
      const Bytes reply = sum.ReplyOf(i);
      for (int trial = 0; trial < 20; ++trial) {
        const Bytes mutated = mutate(reply);
        if (mutated == reply) continue;
        ASSERT_FALSE(sum.server().Handle(SiteNumber(i), mutated).ok());
      }
      ASSERT_TRUE(sum.server().Handle(SiteNumber(i), reply).ok());
    }
    ASSERT_TRUE(sum.server().Close().ok());
  }
  EXPECT_EQ(sum.Result(), sum.Oracle());
  EXPECT_TRUE(sum.server().blames().empty());
}

}  // namespace
}  // namespace cloister::secagg
