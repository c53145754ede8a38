// SPDX-License-Identifier: Apache-2.0
// A coordinator that wants two sums of the same vectors over different sites: the difference would be a few sites'.
#include <gtest/gtest.h>

#include "tests/protocols/secagg/sum_harness.h"

namespace cloister::secagg {
namespace {

constexpr auto kAborted = absl::StatusCode::kAborted;

// Ten sites of which 1 and 2 conspire with the coordinator: t is 7, and a sum needs seven survivors.
SumParams TenSites() {
  SumParams params = TestParams(7);
  params.colluders = 2;
  return params;
}

absl::Status OpenAttempt(const TestSite& site, uint32_t attempt) {
  ClientInputs inputs = site.Inputs();
  inputs.params.attempt = attempt;
  return ClientSession::Create(std::move(inputs)).status();
}

// Everybody commits to attempt 0, which is then said to be broken; attempt 1 is run among the first seven and released
// by 1 to 5. Attempt 0 would now need the shares of 1, 2 and five more: 6 and 7 beside 8, 9 and 10.
TEST(DifferencingTest, TwoAttemptsOfARoundAreNotBothReleased) {
  TestSum first(10, TenSites());
  for (int phase = 0; phase < 3; ++phase) {
    first.Answer(Attendance::Everybody(10).advertise);
    ASSERT_TRUE(first.server().Close().ok());
  }
  SumParams again = TenSites();
  again.attempt = 1;
  ServerSession second = MakeServer(again, 7);
  for (int i = 1; i <= 7; ++i) {
    first.site(i).params().attempt = 1;
    first.site(i).Start();
    ASSERT_TRUE(second.Handle(SiteNumber(i), first.site(i).Advertise()).ok());
  }
  ASSERT_TRUE(second.Close().ok());
  for (const int last : {7, 7, 5, 5}) {
    for (int i = 1; i <= last; ++i) {
      const Bytes reply = first.site(i).MustDeliver(second.MessagesFor(SiteNumber(i)).back());
      ASSERT_TRUE(second.Handle(SiteNumber(i), reply).ok());
    }
    const absl::Status closed = second.Close();
    ASSERT_TRUE(closed.ok()) << closed;
  }
  EXPECT_TRUE(second.unmasker().ok());

  int helping = 2;  // the conspirators keep no rules
  for (int i = 3; i <= 10; ++i) {
    const absl::Status status = OpenAttempt(first.site(i), 0);
    EXPECT_EQ(status.code(), i <= 7 ? kAborted : absl::StatusCode::kOk) << i << ": " << status;
    helping += status.ok() ? 1 : 0;
  }
  EXPECT_LT(helping, Threshold(10));
}

TEST(DifferencingTest, AnOlderAttemptIsOverOnceALaterOneHasBegun) {
  TestSite site(1, TestParams());
  site.Advertise();
  EXPECT_TRUE(OpenAttempt(site, 0).ok()) << "a restart in the same attempt";
  site.params().attempt = 12;
  site.Start();
  site.Advertise();
  for (const uint32_t older : {0u, 1u, 2u, 11u}) EXPECT_EQ(OpenAttempt(site, older).code(), kAborted) << older;
  EXPECT_TRUE(OpenAttempt(site, 12).ok());
  EXPECT_TRUE(OpenAttempt(site, 13).ok());
  // Other rounds and kinds count for themselves.
  for (const bool other_round : {true, false}) {
    ClientInputs inputs = site.Inputs();
    inputs.params.attempt = 0;
    if (other_round) {
      inputs.params.round = 71;
    } else {
      inputs.params.kind = "validation";
    }
    EXPECT_TRUE(ClientSession::Create(std::move(inputs)).ok());
  }
}

}  // namespace
}  // namespace cloister::secagg
