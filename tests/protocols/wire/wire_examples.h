#pragma once
// SPDX-License-Identifier: Apache-2.0
// Valid values of every kind, for tests to send round and to break.

#include <string>
#include <vector>

#include "protocols/wire/operator_messages.h"

namespace cloister::wire {

template <typename IdType>
IdType MakeId(const std::string& text) {
  return *IdType::Parse(text);
}
inline Digest MakeDigest(char fill) {
  return *Digest::FromBytes(std::string(Digest::kSize, fill));
}
inline SignedDocument MakeDocument(const std::string& text = "{}") {
  return {text, std::string(64, 's'), "certificate"};
}

inline std::vector<WorkItem> AllWorkItems() {
  const JobId job = MakeId<JobId>("job-1");
  SumStep step;
  step.job = job;
  step.kind = SumKind::kValidate;
  step.round = 3;
  step.attempt = 2;
  step.phase = SumPhase::kShare;
  step.message = std::string("\0roster", 7);
  step.models = {
      {"round-3",
       ModelKind::kGlobal,
       MakeDigest('a'),
       44,
       {},
       {},
       SumOrigin{MakeDigest('c'), MakeDigest('d'), 3},
       {SumOrigin{MakeDigest('a'), MakeDigest('e'), 4}, SumOrigin{MakeDigest('a'), MakeDigest('f'), 5}}},
      {"baseline-site-a", ModelKind::kBaseline, MakeDigest('b'), 45, MakeId<SiteId>("site-a"), "sealed", {}}};
  step.deadline_unix_ms = 1767225600000;
  return {ExperimentOffer{job, MakeDocument()},
          BaselineTask{job, {MakeDocument("1"), MakeDocument("2")}},
          step,
          ReleaseOffer{job, MakeDocument()},
          ExperimentClosed{job, "failed", "only 2 sites are left, 3 needed"},
          GraphSeedTask{job, {MakeDocument("1"), MakeDocument("2")}}};
}

inline std::vector<SiteMessage> AllSiteMessages() {
  const JobId job = MakeId<JobId>("job-1");
  return {ExperimentAnswer{job, MakeDocument(), {}},
          ExperimentAnswer{job, {}, RefusalReason::kCohortTooSmall},
          BaselineReady{job, MakeDigest('c'), {{MakeId<SiteId>("site-b"), "sealed"}}},
          BaselineReady{job, {}, {}},
          SumMessage{job, SumKind::kTrain, 1, 1, SumPhase::kMask, "commit", {MakeDigest('d'), MakeDigest('e')}},
          SumMessage{job, SumKind::kTrain, 1, 1, SumPhase::kAdvertise, "advert", {}},
          SiteSummary{job, SumKind::kValidate, 3, {{"round-3", "{\"n\": 40}"}}},
          ReleaseAnswer{MakeId<ReleaseId>("release-1"), ReleaseState::kVerified},
          SiteFailure{job, SumKind::kTrain, 2, 1, FailureReason::kOutOfMemory},
          SiteFailure{job, {}, 0, 0, FailureReason::kPacsUnavailable},
          SiteFailure{job, SumKind::kTrain, 2, 1, FailureReason::kBadShare, MakeId<SiteId>("site-b")},
          GraphReveal{job, MakeDigest('f')}};
}

}  // namespace cloister::wire
