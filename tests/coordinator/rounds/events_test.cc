// SPDX-License-Identifier: Apache-2.0
#include "coordinator/rounds/events.h"

#include <gtest/gtest.h>

namespace cloister::coordinator {
namespace {

TEST(EventsTest, StoredFactsStayReadable) {
  const SiteId site = *SiteId::Parse("site-a");
  const Fact fact{absl::FromUnixMillis(1760000000123),
                  SumAnswered{{plan::SumKind::kTrain, 3, 1}, wire::SumPhase::kMask, site, false}};
  const std::string text = EncodeFact(fact);
  EXPECT_EQ(text, R"({"enough":false,"event":"sum_answered","phase":3,"site":"site-a",)"
                  R"("sum":{"attempt":1,"kind":"train","round":3},"time_ms":1760000000123})");
  const auto again = DecodeFact(text);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(EncodeFact(*again), text);
}

TEST(EventsTest, DamagedFactsAreDataLoss) {
  for (
      const char* text :
      {"", "[]", "{}", R"({"event":"tick"})", R"({"event":"no_such","time_ms":1})",
       R"({"event":"site_accepted","time_ms":1})", R"({"event":"site_accepted","site":"../x","time_ms":1})",
       R"({"event":"site_accepted","site":7,"time_ms":1})",
       R"({"event":"site_refused","site":"a","reason":99,"time_ms":1})",
       R"({"event":"sum_broken","why":"x","sum":{"kind":"other","round":1,"attempt":0},"time_ms":1})",
       R"({"event":"phase_closed","phase":1,"next":["A B"],"sum":{"kind":"train","round":1,"attempt":0},"time_ms":1})"}) {
    EXPECT_EQ(DecodeFact(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

}  // namespace
}  // namespace cloister::coordinator
