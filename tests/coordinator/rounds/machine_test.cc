// SPDX-License-Identifier: Apache-2.0
#include "coordinator/rounds/machine.h"

#include <absl/strings/str_join.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/rounds/transcript.h"

namespace cloister::coordinator {
namespace {

plan::Experiment Plan(int rounds = 1) {
  plan::Experiment experiment;
  experiment.name = "chest";
  experiment.algorithm.rounds = rounds;
  experiment.sites.minimum = 3;
  experiment.sites.maximum = 4;
  experiment.sites.invited = {"a", "b", "c", "d"};
  experiment.sites.invitation_ms = 60'000;
  experiment.sites.deadline_ms = 10'000;
  return experiment;
}

void ExpectTranscript(const plan::Experiment& experiment, const std::string& text) {
  EXPECT_EQ(RunTranscript(experiment, text), text);
}

TEST(MachineTest, RunsAnExperimentToItsRelease) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> work a d
a: nothing (accepted)
d: offer (invited)
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> work a
a: baseline (baseline)
> baseline a
- a: local-only baseline ready, sealed for the others
= baselines: waiting for b, c, d
> baseline b kept
- b: local-only baseline ready, kept at the site
= baselines: waiting for c, d
> baseline c
- c: local-only baseline ready, sealed for the others
= baselines: waiting for d
> baseline d
- d: local-only baseline ready, sealed for the others
- training round 1 starts
= training round 1, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> work a
a: ADVERTISE of training round 1 (working)
> answer a b c d
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> work a
a: nothing (answered)
> close a b c d
= training round 1, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close SHARE of training round 1
= training round 1, SHARE: closing
> close a b c d
= training round 1, MASK: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close MASK of training round 1
= training round 1, MASK: closing
> close a b c d
= training round 1, CONSISTENCY: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close CONSISTENCY of training round 1
= training round 1, CONSISTENCY: closing
> close a b c d
= training round 1, UNMASK: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b
= training round 1, UNMASK: 2 of 4 sites answered; waiting for c, d
> enough c
! close UNMASK of training round 1
= training round 1, UNMASK: closing
> work d
d: nothing (working)
> close a b c d
! finish training round 1
= training round 1: adding up
> finish 400 samples, loss 0.512
- training round 1 done: 4 of 4 sites; 400 samples, loss 0.512
- validation starts
= validation, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
# validation
> summary a
= validation, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> summary b
= validation, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close ADVERTISE of validation
= validation, ADVERTISE: closing
> close a b c d
= validation, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close SHARE of validation
= validation, SHARE: closing
> close a b c d
= validation, MASK: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close MASK of validation
= validation, MASK: closing
> close a b c d
= validation, CONSISTENCY: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close CONSISTENCY of validation
= validation, CONSISTENCY: closing
> close a b c d
= validation, UNMASK: 0 of 4 sites answered; waiting for a, b, c, d
> enough a
! close UNMASK of validation
= validation, UNMASK: closing
> close
! finish validation
= validation: adding up
> finish
- validation done: 4 of 4 sites
= validation: waiting for summaries of c, d
> summary c
= validation: waiting for summaries of d
> summary d
! decide gates
= the gates are being decided
> decide round-2 round-1
- members chosen
- calibration starts
= calibration, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close ADVERTISE of calibration
= calibration, ADVERTISE: closing
> close a b c d
= calibration, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close SHARE of calibration
= calibration, SHARE: closing
> close a b c d
= calibration, MASK: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close MASK of calibration
= calibration, MASK: closing
> close a b c d
= calibration, CONSISTENCY: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close CONSISTENCY of calibration
= calibration, CONSISTENCY: closing
> close a b c d
= calibration, UNMASK: 0 of 4 sites answered; waiting for a, b, c, d
> enough a
! close UNMASK of calibration
= calibration, UNMASK: closing
> close
! finish calibration
= calibration: adding up
> finish
- calibration done: 4 of 4 sites
! publish release
= the release is being signed
> publish chest-1
- released: chest-1
= released: chest-1; not yet answered by a, b, c, d
> work a
a: release chest-1 (done)
> release a OFFERED
= released: chest-1; not yet answered by a, b, c, d
> release a VERIFIED
= released: chest-1; not yet answered by b, c, d
> work a b
a: closed, released: chest-1 (done)
b: release chest-1 (done)
> release b ACTIVE
= released: chest-1; not yet answered by c, d
> release c INVALID
= released: chest-1; not yet answered by d
> release d DECLINED
= released: chest-1
)");
}

TEST(MachineTest, WaitsForEnoughSitesAndForTheOthersToAnswer) {
  ExpectTranscript(Plan(), R"(
> accept stranger
x PERMISSION_DENIED: stranger is not invited
= 0 sites accepted, at least 3 are needed; waiting for 4 sites
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> refuse b NOT_APPROVED
- b waits for approval by the site
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> work b
b: offer (invited)
> wait 59s
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> refuse d TASK_NOT_ALLOWED
- d refuses: TASK_NOT_ALLOWED
- 3 sites take part; each trains alone first
= baselines: waiting for a, b, c
> accept d
x FAILED_PRECONDITION: site_accepted does not fit now: baselines: waiting for a, b, c
= baselines: waiting for a, b, c
> work d
d: nothing (refused)
)");
}

TEST(MachineTest, ARefusalThatMayChangeKeepsTheOfferOpen) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> refuse b OUTSIDE_HOURS
- b cannot take part yet: OUTSIDE_HOURS
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> refuse c COHORT_TOO_SMALL
- c cannot take part yet: COHORT_TOO_SMALL
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> refuse d DECLINED
- d refuses: DECLINED
= 1 site accepted, at least 3 are needed; waiting for 2 sites
> work b c d
b: offer (invited)
c: offer (invited)
d: nothing (refused)
> accept d
x FAILED_PRECONDITION: d has already refused: DECLINED
= 1 site accepted, at least 3 are needed; waiting for 2 sites
# the hours begin, new studies come
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 1 site
> accept c
- c takes part
- 3 sites take part; each trains alone first
= baselines: waiting for a, b, c
)");
}

TEST(MachineTest, FailsAfterTheInvitationWhenTheMinimumIsOutOfReach) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> refuse b DECLINED
- b refuses: DECLINED
= 1 site accepted, at least 3 are needed; waiting for 2 sites
> refuse c TASK_NOT_ALLOWED
- c refuses: TASK_NOT_ALLOWED
= 1 site accepted, at least 3 are needed; waiting for 1 site
> wait 59s
= 1 site accepted, at least 3 are needed; waiting for 1 site
> wait 1s
- failed: 1 site accepted, at least 3 are needed; b refused: DECLINED; c refused: TASK_NOT_ALLOWED; no answer from d
= 1 site accepted, at least 3 are needed; b refused: DECLINED; c refused: TASK_NOT_ALLOWED; no answer from d
> work a b d
a: closed, failed: 1 site accepted, at least 3 are needed; b refused: DECLINED; c refused: TASK_NOT_ALLOWED; no answer from d (done)
b: nothing (refused)
d: closed, failed: 1 site accepted, at least 3 are needed; b refused: DECLINED; c refused: TASK_NOT_ALLOWED; no answer from d (invited)
)");
}

TEST(MachineTest, WaitsForASecondInvitationWhileThereIsHope) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> refuse b NO_COHORT
- b cannot take part yet: NO_COHORT
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> wait 60s
- waiting as long once more: 1 site accepted, at least 3 are needed; b refused: NO_COHORT; no answer from c, d
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> refuse c DECLINED
- c refuses: DECLINED
= 1 site accepted, at least 3 are needed; waiting for 2 sites
> wait 59s
= 1 site accepted, at least 3 are needed; waiting for 2 sites
> wait 1s
- failed: 1 site accepted, at least 3 are needed; b refused: NO_COHORT; c refused: DECLINED; no answer from d
= 1 site accepted, at least 3 are needed; b refused: NO_COHORT; c refused: DECLINED; no answer from d
)");
  ExpectTranscript(Plan(), R"(
> refuse c DECLINED
- c refuses: DECLINED
= 0 sites accepted, at least 3 are needed; waiting for 3 sites
> wait 60s
- waiting as long once more: 0 sites accepted, at least 3 are needed; c refused: DECLINED; no answer from a, b, d
= 0 sites accepted, at least 3 are needed; waiting for 3 sites
# the last hope
> refuse d DECLINED
- d refuses: DECLINED
- failed: 0 sites accepted, at least 3 are needed; c refused: DECLINED; d refused: DECLINED; no answer from a, b
= 0 sites accepted, at least 3 are needed; c refused: DECLINED; d refused: DECLINED; no answer from a, b
)");
}

TEST(MachineTest, StartsAtTheMaximumAndTellsTheOthers) {
  plan::Experiment experiment = Plan();
  experiment.sites.invited.push_back("e");
  ExpectTranscript(experiment, R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 4 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 3 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 2 sites
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> accept e
x FAILED_PRECONDITION: site_accepted does not fit now: baselines: waiting for a, b, c, d
= baselines: waiting for a, b, c, d
> work e
e: closed, closed: it has started without this site; 4 of at most 4 sites take part (invited)
)");
}

TEST(MachineTest, StartsWithoutThoseWhoDoNotAnswer) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> refuse d NOT_APPROVED
- d waits for approval by the site
= 3 sites accepted; waiting for 1 site
> wait 59s
= 3 sites accepted; waiting for 1 site
> wait 1s
- 3 sites take part; each trains alone first
= baselines: waiting for a, b, c
> accept d
x FAILED_PRECONDITION: site_accepted does not fit now: baselines: waiting for a, b, c
= baselines: waiting for a, b, c
> work d
d: closed, closed: it has started without this site; 3 of at most 4 sites take part (invited)
)");
}

TEST(MachineTest, InvitesEverybodyWhoEnrolsWhenThePlanNamesNobody) {
  plan::Experiment experiment = Plan();
  experiment.sites.invited.clear();
  ExpectTranscript(experiment, R"(
> accept a
x PERMISSION_DENIED: a is not invited
= 0 sites accepted, at least 3 are needed; waiting for 0 sites
> known a
- a is invited
= 0 sites accepted, at least 3 are needed; waiting for 1 site
> known a
= 0 sites accepted, at least 3 are needed; waiting for 1 site
> known b
- b is invited
= 0 sites accepted, at least 3 are needed; waiting for 2 sites
> known c
- c is invited
= 0 sites accepted, at least 3 are needed; waiting for 3 sites
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 2 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 1 site
> known d
- d is invited
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> work d
d: offer (invited)
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
)");
}

TEST(MachineTest, TrainsWithoutABaselineThatDoesNotCome) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> baseline a
- a: local-only baseline ready, sealed for the others
= baselines: waiting for b, c, d
> fail b WORKER_CRASHED
- b: no baseline: WORKER_CRASHED
= baselines: waiting for c, d
> baseline d
- d: local-only baseline ready, sealed for the others
= baselines: waiting for c
> wait 10s
- c: no baseline before the deadline
- training round 1 starts
= training round 1, ADVERTISE: 0 of 3 sites answered; waiting for a, b, d
# c is away: its advert is not waited for, but welcome
> work c
c: ADVERTISE of training round 1 (dropped)
> answer a b d
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> baseline c
- c: local-only baseline ready, sealed for the others
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
)");
}

TEST(MachineTest, GoesOnWithoutSitesThatDropOutAtEveryPhase) {
  ExpectTranscript(Plan(2), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> wait 10s
- a: no baseline before the deadline
- b: no baseline before the deadline
- c: no baseline before the deadline
- d: no baseline before the deadline
- training round 1 starts
= training round 1, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
# everybody is away after the baselines, so everybody is waited for
> answer a b c
= training round 1, ADVERTISE: 3 of 4 sites answered; waiting for d
> wait 10s
- training round 1: no answer from d before the deadline
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> close a b c
= training round 1, SHARE: 0 of 3 sites answered; waiting for a, b, c
> answer a b
= training round 1, SHARE: 2 of 3 sites answered; waiting for c
> fail c OUT_OF_MEMORY
- training round 1: c drops out: OUT_OF_MEMORY
! close SHARE of training round 1
= training round 1, SHARE: closing
> broken 2 sites, at least 3 are needed
- training round 1: 2 sites, at least 3 are needed; trying again
- training round 1, attempt 2 starts
= training round 1, attempt 2, ADVERTISE: 0 of 3 sites answered; waiting for a, b, c
> answer a b c
! close ADVERTISE of training round 1, attempt 2
= training round 1, attempt 2, ADVERTISE: closing
> heard d
- d is back
! close ADVERTISE of training round 1, attempt 2
= training round 1, attempt 2, ADVERTISE: closing
> answer d
x ABORTED: training round 1, attempt 2: phase ADVERTISE is over
! close ADVERTISE of training round 1, attempt 2
= training round 1, attempt 2, ADVERTISE: closing
> close a b c d
= training round 1, attempt 2, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close SHARE of training round 1, attempt 2
= training round 1, attempt 2, SHARE: closing
> close a b c d
= training round 1, attempt 2, MASK: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b
= training round 1, attempt 2, MASK: 2 of 4 sites answered; waiting for c, d
> fail d DISK_FULL
- training round 1, attempt 2: d drops out: DISK_FULL
= training round 1, attempt 2, MASK: 2 of 3 sites answered; waiting for c
> stale a
x ABORTED: training round 1, attempt 9 is over; now: training round 1, attempt 2
= training round 1, attempt 2, MASK: 2 of 3 sites answered; waiting for c
> answer c
! close MASK of training round 1, attempt 2
= training round 1, attempt 2, MASK: closing
> work d
d: nothing (dropped)
> close a b c
= training round 1, attempt 2, CONSISTENCY: 0 of 3 sites answered; waiting for a, b, c
> answer a b c
! close CONSISTENCY of training round 1, attempt 2
= training round 1, attempt 2, CONSISTENCY: closing
> close a b c
= training round 1, attempt 2, UNMASK: 0 of 3 sites answered; waiting for a, b, c
> answer a b
= training round 1, attempt 2, UNMASK: 2 of 3 sites answered; waiting for c
> fail c INTERNAL
- training round 1, attempt 2: c drops out: INTERNAL
! close UNMASK of training round 1, attempt 2
= training round 1, attempt 2, UNMASK: closing
> broken only 2 shares
- training round 1, attempt 2: only 2 shares; unmasking had begun, so the round is skipped and the model stays
- training round 2 starts
= training round 2, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
)");
}

// Everybody takes part and the first sum starts.
constexpr char kToTraining[] = R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> wait 10s
- a: no baseline before the deadline
- b: no baseline before the deadline
- c: no baseline before the deadline
- d: no baseline before the deadline
- training round 1 starts
= training round 1, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
)";

// All of `sites` go through a sum until unmasking was asked for and the phase is to be closed.
std::string ToUnmasking(const std::string& sum, const std::vector<std::string>& sites) {
  const std::vector<std::string> phases = {"ADVERTISE", "SHARE", "MASK", "CONSISTENCY", "UNMASK"};
  const std::string names = absl::StrJoin(sites, " ");
  std::string text;
  for (size_t i = 0; i + 1 < phases.size(); ++i) {
    text += fmt::format("> answer {}\n! close {} of {}\n= {}, {}: closing\n", names, phases[i], sum, sum, phases[i]);
    text += fmt::format("> close {}\n= {}, {}: 0 of {} sites answered; waiting for {}\n", names, sum, phases[i + 1],
                        sites.size(), absl::StrJoin(sites, ", "));
  }
  return text + fmt::format("> answer {}\n! close UNMASK of {}\n= {}, UNMASK: closing\n", names, sum, sum);
}

TEST(MachineTest, ARoundThatBreaksWhileUnmaskingIsSkippedAndWhoBrokeItExcluded) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  const std::vector<std::string> left = {"a", "c", "d"};
  ExpectTranscript(Plan(3), kToTraining + ToUnmasking("training round 1", all) + R"(> blame b wrong shares
- training round 1: wrong shares; unmasking had begun, so the round is skipped and the model stays
- b is excluded
- training round 2 starts
= training round 2, ADVERTISE: 0 of 3 sites answered; waiting for a, c, d
> work a b
a: ADVERTISE of training round 2 (working)
b: closed, closed: this site is excluded: training round 1: wrong shares (dropped)
> answer b
x PERMISSION_DENIED: training round 2: b is not expected
= training round 2, ADVERTISE: 0 of 3 sites answered; waiting for a, c, d
)" + ToUnmasking("training round 2", left) +
                                R"(> close
! finish training round 2
= training round 2: adding up
> finish
- training round 2 done: 3 of 3 sites
- training round 3 starts
= training round 3, ADVERTISE: 0 of 3 sites answered; waiting for a, c, d
)" + ToUnmasking("training round 3", left) +
                                R"(> close
! finish training round 3
= training round 3: adding up
> broken a vector is lost
- training round 3: a vector is lost; unmasking had begun, so the round is skipped and the model stays
- validation starts
= validation, ADVERTISE: 0 of 3 sites answered; waiting for a, c, d
)" + ToUnmasking("validation", left) +
                                R"(> broken only 1 share
- failed: validation: only 1 share; unmasking had begun, so these updates must not be summed again
= validation: only 1 share; unmasking had begun, so these updates must not be summed again
)");
}

TEST(MachineTest, SkippedRoundsEndTheExperimentWhenTheyAreTooMany) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  ExpectTranscript(Plan(1), kToTraining + ToUnmasking("training round 1", all) + R"(> broken no
- training round 1: no; unmasking had begun, so the round is skipped and the model stays
- failed: training round 1: no; no round gave a model
= training round 1: no; no round gave a model
)");
  std::string text = kToTraining;
  for (int round = 1; round <= 2; ++round) {
    text += ToUnmasking(fmt::format("training round {}", round), all) + fmt::format(R"(> broken no
- training round {}: no; unmasking had begun, so the round is skipped and the model stays
- training round {} starts
= training round {}, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
)",
                                                                                    round, round + 1, round + 1);
  }
  ExpectTranscript(Plan(9), text + ToUnmasking("training round 3", all) + R"(> broken no
- training round 3: no; unmasking had begun, so the round is skipped and the model stays
- failed: training round 3: no; 3 rounds in a row gave no model
= training round 3: no; 3 rounds in a row gave no model
)");
  // Too few are left.
  plan::Experiment four = Plan(9);
  four.sites.minimum = 4;
  std::string to_training = kToTraining;
  to_training.replace(to_training.find("at least 3"), 10, "at least 4");
  to_training.replace(to_training.find("at least 3"), 10, "at least 4");
  to_training.replace(to_training.find("= 3 sites accepted; "), 20, "= 3 sites accepted, at least 4 are needed; ");
  ExpectTranscript(four, to_training + ToUnmasking("training round 1", all) + R"(> blame d wrong shares
- training round 1: wrong shares; unmasking had begun, so the round is skipped and the model stays
- d is excluded
- failed: training round 1: wrong shares; 3 sites are left, at least 4 are needed
= training round 1: wrong shares; 3 sites are left, at least 4 are needed
)");
}

TEST(MachineTest, ARoundThatBreaksAGuardLeavesTheModel) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  plan::Experiment two = Plan(9);
  two.algorithm.max_skipped_rounds = 2;
  ExpectTranscript(two, kToTraining + ToUnmasking("training round 1", all) + R"(> close
! finish training round 1
= training round 1: adding up
> guard max_update_norm: 7 of 5
- training round 1 done: 4 of 4 sites
- training round 1 is refused by a guard of the plan, max_update_norm: 7 of 5; the model stays
- training round 2 starts
= training round 2, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d; training round 1 was refused by a guard, max_update_norm: 7 of 5
> answer a
= training round 2, ADVERTISE: 1 of 4 sites answered; waiting for b, c, d; training round 1 was refused by a guard, max_update_norm: 7 of 5
> answer b c d
! close ADVERTISE of training round 2
= training round 2, ADVERTISE: closing
> broken try again
- training round 2: try again; trying again
- training round 2, attempt 2 starts
= training round 2, attempt 2, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d; training round 1 was refused by a guard, max_update_norm: 7 of 5
)");
  ExpectTranscript(Plan(1), kToTraining + ToUnmasking("training round 1", all) + R"(> close
! finish training round 1
= training round 1: adding up
> guard min_cosine: -0.9 of 0
- training round 1 done: 4 of 4 sites
- training round 1 is refused by a guard of the plan, min_cosine: -0.9 of 0; the model stays
- failed: training round 1 is refused by a guard of the plan, min_cosine: -0.9 of 0; no round gave a model
= training round 1 is refused by a guard of the plan, min_cosine: -0.9 of 0; no round gave a model
)");
  two.algorithm.max_skipped_rounds = 1;
  ExpectTranscript(two, kToTraining + ToUnmasking("training round 1", all) + R"(> close
! finish training round 1
= training round 1: adding up
> guard max_update_norm: 7 of 5
- training round 1 done: 4 of 4 sites
- training round 1 is refused by a guard of the plan, max_update_norm: 7 of 5; the model stays
- failed: training round 1 is refused by a guard of the plan, max_update_norm: 7 of 5; 1 round in a row gave no model
= training round 1 is refused by a guard of the plan, max_update_norm: 7 of 5; 1 round in a row gave no model
)");
}

constexpr char kRoundOneDone[] = R"(> close
! finish training round 1
= training round 1: adding up
> finish
- training round 1 done: 4 of 4 sites
- training round 2 starts
= training round 2, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
)";

TEST(MachineTest, ARoundWithoutTheSitesTagsIsTakenBackAndTheSumBeginsAgain) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  plan::Experiment experiment = Plan(9);
  experiment.privacy.colluders = 1;
  const std::string text = kToTraining + ToUnmasking("training round 1", all) + kRoundOneDone;
  ExpectTranscript(experiment, text + R"(> fail a TAG_MISMATCH
- training round 2: a drops out: TAG_MISMATCH
= training round 2, ADVERTISE: 0 of 3 sites answered; waiting for b, c, d
> fail a TAG_MISMATCH
= training round 2, ADVERTISE: 0 of 3 sites answered; waiting for b, c, d
> fail b TAG_MISMATCH
- training round 2: b drops out: TAG_MISMATCH
- training round 1: its totals do not have the sites' tags, say a, b; a site or the coordinator lied; the round is taken back and the model before it stays
- training round 2, attempt 2 starts
= training round 2, attempt 2, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d; training round 1 was taken back: its totals do not have the sites' tags
> fail a TAG_MISMATCH
- training round 2, attempt 2: a drops out: TAG_MISMATCH
= training round 2, attempt 2, ADVERTISE: 0 of 3 sites answered; waiting for b, c, d; training round 1 was taken back: its totals do not have the sites' tags
> fail b TAG_MISMATCH
- training round 2, attempt 2: b drops out: TAG_MISMATCH
= training round 2, attempt 2, ADVERTISE: 0 of 2 sites answered; waiting for c, d; training round 1 was taken back: its totals do not have the sites' tags
)");
  // So many rounds may be lost, and no more.
  experiment.algorithm.max_skipped_rounds = 1;
  ExpectTranscript(experiment, text + R"(> fail c TAG_MISMATCH
- training round 2: c drops out: TAG_MISMATCH
= training round 2, ADVERTISE: 0 of 3 sites answered; waiting for a, b, d
> fail d TAG_MISMATCH
- training round 2: d drops out: TAG_MISMATCH
- training round 1: its totals do not have the sites' tags, say c, d; a site or the coordinator lied; the round is taken back and the model before it stays
- failed: training round 1: its totals do not have the sites' tags, say c, d; 1 round in a row gave no model
= training round 1: its totals do not have the sites' tags, say c, d; 1 round in a row gave no model
)");
}

TEST(MachineTest, AModelThatASumHasBegunWithIsNotTakenBack) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  plan::Experiment experiment = Plan(9);
  ExpectTranscript(experiment, kToTraining + ToUnmasking("training round 1", all) + kRoundOneDone + R"(> answer a b c d
! close ADVERTISE of training round 2
= training round 2, ADVERTISE: closing
> close a b c d
= training round 2, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> fail a TAG_MISMATCH
- training round 2: a drops out: TAG_MISMATCH
= training round 2, SHARE: 0 of 3 sites answered; waiting for b, c, d
)");
}

TEST(MachineTest, TheOnlyModelIsTakenBackBeforeItIsValidated) {
  const std::vector<std::string> all = {"a", "b", "c", "d"};
  ExpectTranscript(Plan(1), kToTraining + ToUnmasking("training round 1", all) + R"(> close
! finish training round 1
= training round 1: adding up
> finish
- training round 1 done: 4 of 4 sites
- validation starts
= validation, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> fail b TAG_MISMATCH
- validation: b drops out: TAG_MISMATCH
= validation, ADVERTISE: 0 of 3 sites answered; waiting for a, c, d
> fail c TAG_MISMATCH
- validation: c drops out: TAG_MISMATCH
- training round 1: its totals do not have the sites' tags, say b, c; a site or the coordinator lied; the round is taken back and the model before it stays
- failed: training round 1: its totals do not have the sites' tags, say b, c; no round gave a model
= training round 1: its totals do not have the sites' tags, say b, c; no round gave a model
)");
}

TEST(MachineTest, WhoDealsSharesThatDoNotOpenIsExcludedOnTheWordOfTwo) {
  plan::Experiment experiment = Plan(9);
  const std::string text = std::string(kToTraining) + R"(> answer a b c d
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> close a b c d
= training round 1, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close SHARE of training round 1
= training round 1, SHARE: closing
> close a b c d
= training round 1, MASK: 0 of 4 sites answered; waiting for a, b, c, d
> fail a BAD_SHARE d
- training round 1: a drops out: BAD_SHARE, dealt by d
= training round 1, MASK: 0 of 3 sites answered; waiting for b, c, d
)";
  ExpectTranscript(experiment, text + R"(> fail b BAD_SHARE d
- training round 1: b drops out: BAD_SHARE, dealt by d
= training round 1, MASK: 0 of 2 sites answered; waiting for c, d
> answer c d
! close MASK of training round 1
= training round 1, MASK: closing
> broken 2 masked inputs
- d is excluded: training round 1: the shares that it dealt do not open, say a, b
- training round 1: 2 masked inputs; trying again
- training round 1, attempt 2 starts
= training round 1, attempt 2, ADVERTISE: 0 of 3 sites answered; waiting for a, b, c
> work d
d: closed, closed: this site is excluded: training round 1: the shares that it dealt do not open, say a, b (dropped)
)");
  ExpectTranscript(experiment, text + R"(> answer b c
= training round 1, MASK: 2 of 3 sites answered; waiting for d
> answer d
! close MASK of training round 1
= training round 1, MASK: closing
> broken no
- training round 1: no; trying again
- training round 1, attempt 2 starts
= training round 1, attempt 2, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
)");
}

TEST(MachineTest, WhoFailsAfterAnsweringIsNotWaitedForInTheNextPhase) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> wait 10s
- a: no baseline before the deadline
- b: no baseline before the deadline
- c: no baseline before the deadline
- d: no baseline before the deadline
- training round 1 starts
= training round 1, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b
= training round 1, ADVERTISE: 2 of 4 sites answered; waiting for c, d
> fail a WORKER_CRASHED
- training round 1: a drops out: WORKER_CRASHED
= training round 1, ADVERTISE: 2 of 4 sites answered; waiting for c, d
> work a
a: nothing (dropped)
> answer c d
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> close a b c d
= training round 1, SHARE: 0 of 3 sites answered; waiting for b, c, d
> work a b
a: nothing (dropped)
b: SHARE of training round 1 (working)
> answer b c d
! close SHARE of training round 1
= training round 1, SHARE: closing
)");
}

TEST(MachineTest, ASumIsTriedThreeTimes) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> wait 10s
- a: no baseline before the deadline
- b: no baseline before the deadline
- c: no baseline before the deadline
- d: no baseline before the deadline
- training round 1 starts
= training round 1, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> wait 10s
- training round 1: no answer from a, b, c, d before the deadline
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> broken 0 adverts, at least 3 are needed
- training round 1: 0 adverts, at least 3 are needed; trying again
- training round 1, attempt 2 starts
= training round 1, attempt 2, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> wait 10s
- training round 1, attempt 2: no answer from a, b, c, d before the deadline
! close ADVERTISE of training round 1, attempt 2
= training round 1, attempt 2, ADVERTISE: closing
> broken 0 adverts, at least 3 are needed
- training round 1, attempt 2: 0 adverts, at least 3 are needed; trying again
- training round 1, attempt 3 starts
= training round 1, attempt 3, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> wait 10s
- training round 1, attempt 3: no answer from a, b, c, d before the deadline
! close ADVERTISE of training round 1, attempt 3
= training round 1, attempt 3, ADVERTISE: closing
> broken 0 adverts, at least 3 are needed
- failed: training round 1, attempt 3: 0 adverts, at least 3 are needed; tried 3 times
= training round 1, attempt 3: 0 adverts, at least 3 are needed; tried 3 times
> work a
a: closed, failed: training round 1, attempt 3: 0 adverts, at least 3 are needed; tried 3 times (done)
> abort too late
x FAILED_PRECONDITION: abort_requested does not fit now: training round 1, attempt 3: 0 adverts, at least 3 are needed; tried 3 times
= training round 1, attempt 3: 0 adverts, at least 3 are needed; tried 3 times
)");
}

TEST(MachineTest, ADropoutIsNotWaitedForUntilItIsHeardAgain) {
  ExpectTranscript(Plan(2), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> baseline a
- a: local-only baseline ready, sealed for the others
= baselines: waiting for b, c, d
> baseline b
- b: local-only baseline ready, sealed for the others
= baselines: waiting for c, d
> baseline c
- c: local-only baseline ready, sealed for the others
= baselines: waiting for d
> baseline d
- d: local-only baseline ready, sealed for the others
- training round 1 starts
= training round 1, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c
= training round 1, ADVERTISE: 3 of 4 sites answered; waiting for d
> wait 10s
- training round 1: no answer from d before the deadline
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> close a b c
= training round 1, SHARE: 0 of 3 sites answered; waiting for a, b, c
> answer a b c
! close SHARE of training round 1
= training round 1, SHARE: closing
> close a b c
= training round 1, MASK: 0 of 3 sites answered; waiting for a, b, c
> answer a b c
! close MASK of training round 1
= training round 1, MASK: closing
> close a b c
= training round 1, CONSISTENCY: 0 of 3 sites answered; waiting for a, b, c
> answer a b c
! close CONSISTENCY of training round 1
= training round 1, CONSISTENCY: closing
> close a b c
= training round 1, UNMASK: 0 of 3 sites answered; waiting for a, b, c
> enough a
! close UNMASK of training round 1
= training round 1, UNMASK: closing
> close
! finish training round 1
= training round 1: adding up
> finish
- training round 1 done: 3 of 4 sites
- training round 2 starts
= training round 2, ADVERTISE: 0 of 3 sites answered; waiting for a, b, c
> work d
d: ADVERTISE of training round 2 (dropped)
> answer a b
= training round 2, ADVERTISE: 2 of 3 sites answered; waiting for c
> heard d
- d is back
= training round 2, ADVERTISE: 2 of 4 sites answered; waiting for c, d
> answer c
= training round 2, ADVERTISE: 3 of 4 sites answered; waiting for d
> answer d
! close ADVERTISE of training round 2
= training round 2, ADVERTISE: closing
)");
}

// A second sum of the same vector over the sites that are still there would tell the histogram of one that is not.
TEST(MachineTest, OneMemberIsNotAddedUpAgain) {
  std::string commands = "> accept a\n> accept b\n> accept c\n> accept d\n> wait 10s\n";
  for (int sum = 0; sum < 2; ++sum) {  // training, validation
    for (int phase = 0; phase < 4; ++phase) {
      commands += "> answer a b c d\n> close a b c d\n";
    }
    commands += "> enough a\n> close\n> finish\n";
  }
  commands += "> wait 10s\n> decide round-1\n> publish chest-1\n";
  const std::string transcript = RunTranscript(Plan(), commands);
  EXPECT_THAT(transcript, testing::EndsWith(R"(
> decide round-1
- members chosen
! publish release
= the release is being signed
> publish chest-1
- released: chest-1
= released: chest-1; not yet answered by a, b, c, d
)"));
  EXPECT_THAT(transcript, testing::Not(testing::HasSubstr("calibration")));
}

TEST(MachineTest, NoCandidateNoRelease) {
  ExpectTranscript(Plan(), R"(
> accept a
- a takes part
= 1 site accepted, at least 3 are needed; waiting for 3 sites
> accept b
- b takes part
= 2 sites accepted, at least 3 are needed; waiting for 2 sites
> accept c
- c takes part
= 3 sites accepted; waiting for 1 site
> accept d
- d takes part
- 4 sites take part; each trains alone first
= baselines: waiting for a, b, c, d
> wait 10s
- a: no baseline before the deadline
- b: no baseline before the deadline
- c: no baseline before the deadline
- d: no baseline before the deadline
- training round 1 starts
= training round 1, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close ADVERTISE of training round 1
= training round 1, ADVERTISE: closing
> close a b c d
= training round 1, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close SHARE of training round 1
= training round 1, SHARE: closing
> close a b c d
= training round 1, MASK: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close MASK of training round 1
= training round 1, MASK: closing
> close a b c d
= training round 1, CONSISTENCY: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close CONSISTENCY of training round 1
= training round 1, CONSISTENCY: closing
> close a b c d
= training round 1, UNMASK: 0 of 4 sites answered; waiting for a, b, c, d
> enough a
! close UNMASK of training round 1
= training round 1, UNMASK: closing
> close
! finish training round 1
= training round 1: adding up
> finish
- training round 1 done: 4 of 4 sites
- validation starts
= validation, ADVERTISE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close ADVERTISE of validation
= validation, ADVERTISE: closing
> close a b c d
= validation, SHARE: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close SHARE of validation
= validation, SHARE: closing
> close a b c d
= validation, MASK: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close MASK of validation
= validation, MASK: closing
> close a b c d
= validation, CONSISTENCY: 0 of 4 sites answered; waiting for a, b, c, d
> answer a b c d
! close CONSISTENCY of validation
= validation, CONSISTENCY: closing
> close a b c d
= validation, UNMASK: 0 of 4 sites answered; waiting for a, b, c, d
> enough a
! close UNMASK of validation
= validation, UNMASK: closing
> close
! finish validation
= validation: adding up
> summary a
! finish validation
= validation: adding up
> finish
- validation done: 4 of 4 sites
= validation: waiting for summaries of b, c, d
> wait 10s
- b: no summary before the deadline
- c: no summary before the deadline
- d: no summary before the deadline
! decide gates
= the gates are being decided
> decide
- failed: no candidate passed the gates
= no candidate passed the gates
> work a
a: closed, failed: no candidate passed the gates (done)
)");
}

TEST(MachineTest, AnOperatorCanAbort) {
  ExpectTranscript(Plan(), R"(
> abort wrong task
- aborted: wrong task
= wrong task
> work a
a: closed, aborted: wrong task (invited)
> abort again
x FAILED_PRECONDITION: abort_requested does not fit now: wrong task
= wrong task
> accept a
x FAILED_PRECONDITION: site_accepted does not fit now: wrong task
= wrong task
)");
}

}  // namespace
}  // namespace cloister::coordinator
