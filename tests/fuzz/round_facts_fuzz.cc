// SPDX-License-Identifier: Apache-2.0
// The facts of an experiment as the coordinator reads them back after a restart.
#include "coordinator/rounds/events.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const absl::StatusOr<coordinator::Fact> fact = coordinator::DecodeFact(Bytes(input));
  if (!fact.ok()) return;
  const std::string json = coordinator::EncodeFact(*fact);
  const absl::StatusOr<coordinator::Fact> again = coordinator::DecodeFact(json);
  Require(again.ok(), "a fact that was read can be stored again");
  RequireSame(coordinator::EncodeFact(*again), json, "and is the same");
}

std::vector<Bytes> Seeds() {
  const SiteId site = *SiteId::Parse("site-a");
  const coordinator::SumKey sum{plan::SumKind::kTrain, 3, 1};
  const std::vector<coordinator::Event> events = {
      coordinator::SiteKnown{site},
      coordinator::SiteRefused{site, wire::RefusalReason::kNoCohort},
      coordinator::BaselineDone{site, true},
      coordinator::SumAnswered{sum, wire::SumPhase::kMask, site, true},
      coordinator::SiteFailed{site, sum, wire::FailureReason::kDiskFull},
      coordinator::SiteFailed{site, sum, wire::FailureReason::kBadShare, site},
      coordinator::ReleaseAnswered{site, wire::ReleaseState::kActive},
      coordinator::PhaseClosed{sum, wire::SumPhase::kShare, {site}},
      coordinator::SumBroken{sum, "why", site},
      coordinator::SumFinished{sum, "note"},
      coordinator::SumFinished{sum, "note", coordinator::RefusedAggregate{"why", Digest(), Digest()}},
      coordinator::Decided{{"round-3"}, "note"},
      coordinator::Published{*ReleaseId::Parse("release-1")},
      coordinator::AbortRequested{"reason"},
      coordinator::Tick{},
  };
  std::vector<Bytes> seeds;
  for (const coordinator::Event& event : events) {
    seeds.push_back(coordinator::EncodeFact({absl::FromUnixMillis(1'767'225'600'123), event}));
  }
  return seeds;
}

}  // namespace cloister::fuzz
