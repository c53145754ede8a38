// SPDX-License-Identifier: Apache-2.0
#include "protocols/audit/record.h"

#include <gtest/gtest.h>

#include <set>

#include "protocols/crypto/hash.h"

namespace cloister::audit {
namespace {

Event Good() {
  Event event;
  event.time = absl::FromUnixMillis(1772352930125);
  event.actor = "site-a";
  event.action = "egress";
  event.subject = "job-1";
  event.type = "masked_update";
  event.size_bytes = 44800000;
  event.digest = crypto::Sha256("x");
  event.detail = R"({"round":3})";
  return event;
}

TEST(RecordTest, AcceptsPlainTextInAnyLanguage) {
  Event event = Good();
  EXPECT_TRUE(CheckEvent(event).ok());
  event.actor = "clinician:\xe7\x8e\x8b\xe4\xbc\x9f \xf0\x9f\xa9\xbb";
  event.detail = "";
  EXPECT_TRUE(CheckEvent(event).ok());
}

TEST(RecordTest, RefusesTextThatCouldForgeALine) {
  for (const std::string& text :
       {std::string("a\nb"), std::string("a\0b", 3), std::string("\x1b[2J"), std::string("\x7f"), std::string("\xff"),
        std::string("\xc0\x80"), std::string("\xe0\x80\x80"), std::string("\xed\xa0\x80"),
        std::string("\xf4\x90\x80\x80"), std::string("\xc2"), std::string("\xe4\xbc"), std::string("\xc2\x85"),
        std::string("\x80"), std::string("\xf8\x88\x80\x80\x80"), std::string(1025, 'x')}) {
    for (std::string Event::*field : {&Event::actor, &Event::action, &Event::subject, &Event::type}) {
      Event event = Good();
      event.*field = text;
      EXPECT_EQ(CheckEvent(event).code(), absl::StatusCode::kInvalidArgument) << HexEncode(text.substr(0, 8));
    }
  }
}

TEST(RecordTest, RefusesMissingFieldsBadDetailAndTimes) {
  Event event = Good();
  event.actor = "";
  EXPECT_FALSE(CheckEvent(event).ok());
  event = Good();
  event.action = "";
  EXPECT_FALSE(CheckEvent(event).ok());
  for (const std::string& detail : {std::string("[]"), std::string("{"), std::string("1"), std::string("{}x"),
                                    "{\"a\":\"" + std::string(70000, 'x') + "\"}", std::string(60000, '[')}) {
    event = Good();
    event.detail = detail;
    EXPECT_FALSE(CheckEvent(event).ok());
  }
  for (const absl::Time time : {absl::InfiniteFuture(), absl::InfinitePast(), absl::UnixEpoch() - absl::Seconds(1),
                                absl::FromUnixSeconds(253402300800)}) {
    event = Good();
    event.time = time;
    EXPECT_FALSE(CheckEvent(event).ok());
  }
  event = Good();
  event.size_bytes = uint64_t{1} << 63;
  EXPECT_FALSE(CheckEvent(event).ok());
}

// Moving a character from one field to the next, or changing any of them, changes what is hashed.
TEST(RecordTest, EncodingIsInjective) {
  std::set<Bytes> encodings;
  const Event good = Good();
  encodings.insert(CanonicalEncoding(1, good));
  encodings.insert(CanonicalEncoding(2, good));
  std::vector<Event> variants(8, good);
  variants[0].time += absl::Milliseconds(1);
  variants[1].actor = "site-", variants[1].action = "aegress";
  variants[2].action = "egressj", variants[2].subject = "ob-1";
  variants[3].subject = "job-1m", variants[3].type = "asked_update";
  variants[4].size_bytes += 1;
  variants[5].digest = crypto::Sha256("y");
  variants[6].detail = R"({"round":4})";
  variants[7].type = "";
  for (const Event& event : variants) encodings.insert(CanonicalEncoding(1, event));
  EXPECT_EQ(encodings.size(), 10u);
}

}  // namespace
}  // namespace cloister::audit
