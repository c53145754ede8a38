// SPDX-License-Identifier: Apache-2.0
#include "protocols/audit/chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "protocols/crypto/hash.h"

namespace cloister::audit {
namespace {

using ::testing::HasSubstr;

Event EventOf(int i) {
  Event event;
  event.time = absl::FromUnixMillis(1772352930125 + i);
  event.actor = "site-a";
  event.action = "egress";
  event.subject = "job-" + std::to_string(i);
  event.size_bytes = static_cast<uint64_t>(i);
  event.digest = crypto::Sha256(std::to_string(i));
  return event;
}

std::vector<Record> Chain(int size, int salt = 0) {
  std::vector<Record> records;
  Head head;
  for (int i = 1; i <= size; ++i) {
    records.push_back(NextRecord(head, EventOf(i + salt)).value());
    head = {records.back().sequence, records.back().hash};
  }
  return records;
}

std::optional<Break> Verify(const std::vector<Record>& records, std::optional<Head> remembered = std::nullopt) {
  ChainVerifier verifier(remembered);
  for (const Record& record : records) verifier.Add(record);
  return verifier.Finish();
}

Head HeadOf(const std::vector<Record>& records, size_t sequence) {
  return {sequence, records[sequence - 1].hash};
}

// Pins the format: SHA-256 of u64 length | "cloister/audit" | 32 zero bytes | u64 length | the record.
TEST(ChainTest, FirstHashIsAsDocumented) {
  const Event event = EventOf(1);
  CanonicalWriter record;
  record.U64(1).U64(1772352930126).Blob("site-a").Blob("egress").Blob("job-1").Blob("").U64(1).Put(crypto::Sha256("1"));
  record.Blob("");
  CanonicalWriter all;
  all.Blob("cloister/audit").Fixed(Bytes(32, '\0')).Blob(record.bytes());
  EXPECT_EQ(Chain(1)[0].hash, crypto::Sha256(all.bytes()));
}

TEST(ChainTest, WholeChainsVerify) {
  for (const int size : {0, 1, 2, 50}) {
    const std::vector<Record> records = Chain(size);
    EXPECT_FALSE(Verify(records));
    EXPECT_FALSE(Verify(records, Head()));
    for (int i = 1; i <= size; ++i) EXPECT_FALSE(Verify(records, HeadOf(records, i)));
  }
}

TEST(ChainTest, TimeIsKeptToTheMillisecondSoThatAStoredRecordVerifies) {
  Event event = EventOf(1);
  event.time += absl::Nanoseconds(999999);
  const Record record = NextRecord(Head(), event).value();
  EXPECT_EQ(record.event.time, EventOf(1).time);
  EXPECT_EQ(record.hash, Chain(1)[0].hash);
}

TEST(ChainTest, EveryAlteredFieldIsFoundAtItsRecord) {
  const std::vector<std::function<void(Record&)>> alterations = {
      [](Record& r) { r.event.time += absl::Milliseconds(1); },
      [](Record& r) { r.event.actor += "x"; },
      [](Record& r) { r.event.action += "x"; },
      [](Record& r) { r.event.subject += "x"; },
      [](Record& r) { r.event.type += "x"; },
      [](Record& r) { ++r.event.size_bytes; },
      [](Record& r) { r.event.digest = Digest(); },
      [](Record& r) { r.event.detail = "{}"; },
      [](Record& r) { r.previous = crypto::Sha256("no"); },
      [](Record& r) { r.hash = crypto::Sha256("no"); },
  };
  for (size_t at = 0; at < 8; ++at) {
    for (const auto& alter : alterations) {
      std::vector<Record> records = Chain(8);
      alter(records[at]);
      const std::optional<Break> found = Verify(records);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->kind, BreakKind::kAltered);
      EXPECT_EQ(found->sequence, at + 1);
    }
  }
}

TEST(ChainTest, AReplacedRecordIsNamedThoughItsOwnHashFits) {
  for (size_t at = 0; at < 7; ++at) {
    std::vector<Record> records = Chain(8);
    records[at].event.size_bytes += 100;
    records[at].hash = ChainHash(records[at].previous, records[at].sequence, records[at].event);
    const std::optional<Break> found = Verify(records);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->kind, BreakKind::kUnlinked);
    EXPECT_EQ(found->sequence, at + 1);
  }
}

TEST(ChainTest, MissingRecordsAreNamed) {
  for (size_t from = 0; from < 7; ++from) {
    for (size_t count = 1; from + count < 8; ++count) {
      std::vector<Record> records = Chain(8);
      records.erase(records.begin() + from, records.begin() + from + count);
      const std::optional<Break> found = Verify(records);
      ASSERT_TRUE(found);
      EXPECT_EQ(found->kind, BreakKind::kGap);
      EXPECT_EQ(found->sequence, from + 1);
      if (count == 3) {
        EXPECT_THAT(found->message, HasSubstr(" to " + std::to_string(from + 3) + " are missing"));
      }
    }
  }
}

TEST(ChainTest, ReorderedAndRepeatedRecordsAreNamed) {
  std::vector<Record> repeated = Chain(4);
  repeated.insert(repeated.begin() + 2, repeated[1]);
  EXPECT_EQ(Verify(repeated)->kind, BreakKind::kReordered);
  EXPECT_EQ(Verify(repeated)->sequence, 3u);
  std::vector<Record> back = Chain(4);
  back.push_back(back[0]);
  EXPECT_EQ(Verify(back)->kind, BreakKind::kReordered);
  // Renumbered after a swap: the hashes no longer fit.
  std::vector<Record> swapped = Chain(4);
  std::swap(swapped[1].event, swapped[2].event);
  EXPECT_EQ(Verify(swapped)->kind, BreakKind::kAltered);
  EXPECT_EQ(Verify(swapped)->sequence, 2u);
}

TEST(ChainTest, ACutTailIsFoundOnlyWithARememberedHead) {
  const std::vector<Record> records = Chain(8);
  for (size_t keep = 0; keep < 8; ++keep) {
    const std::vector<Record> cut(records.begin(), records.begin() + keep);
    EXPECT_FALSE(Verify(cut));
    const std::optional<Break> found = Verify(cut, HeadOf(records, 8));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->kind, BreakKind::kTruncated);
    EXPECT_EQ(found->sequence, keep + 1);
  }
}

TEST(ChainTest, ARewrittenHistoryIsFoundWithARememberedHead) {
  const std::vector<Record> real = Chain(8);
  const std::vector<Record> forged = Chain(8, 1);
  EXPECT_FALSE(Verify(forged));
  const std::optional<Break> found = Verify(forged, HeadOf(real, 5));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, BreakKind::kRewritten);
  EXPECT_EQ(found->sequence, 5u);
}

TEST(ChainTest, ARemovedHeadIsFound) {
  std::vector<Record> records = Chain(4);
  records.erase(records.begin());
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].sequence = i + 1;
    records[i].hash = ChainHash(records[i].previous, i + 1, records[i].event);
  }
  EXPECT_EQ(Verify(records)->kind, BreakKind::kUnlinked);
  EXPECT_EQ(Verify(records)->sequence, 1u);
}

TEST(ChainTest, TheFirstBreakIsKept) {
  std::vector<Record> records = Chain(8);
  records[2].event.actor = "x";
  records[5].event.actor = "x";
  ChainVerifier verifier;
  size_t good = 0;
  for (const Record& record : records) good += verifier.Add(record) ? 1 : 0;
  EXPECT_EQ(good, 2u);
  EXPECT_EQ(verifier.head().sequence, 2u);
  EXPECT_EQ(verifier.Finish()->sequence, 3u);
}

TEST(ChainTest, BadEventsDoNotEnterAChain) {
  Event event = EventOf(1);
  event.actor = "two\nlines";
  EXPECT_EQ(NextRecord(Head(), event).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::audit
