#pragma once
// SPDX-License-Identifier: Apache-2.0
// The experiment as a state machine. Pure: events and the time go in, facts to store and notes for people come out;
// what is to be done and who has which work follow from the state alone, so a machine rebuilt from its facts goes on
// where it was.
//
//   state        | goes on when                                                         | to
//   -------------+----------------------------------------------------------------------+-------------------------
//   Inviting     | sites.minimum accepted, and all have answered, sites.maximum accepted | Baselines; Seeding when
//                | or invitation_ms passed since there were enough                      | more than 64 accepted
//                | too few after invitation_ms and no hope, or after twice that         | Failed
//   Seeding      | every participant revealed its part of the graph seed                | Baselines
//                | a participant failed, or has not revealed within deadline_ms         | Failed
//   Baselines    | every participant answered, failed, or deadline_ms passed            | Training
//   Training     | the sum of round r is finished                                       | Training r+1 | Validating
//   Validating   | the sum is finished                                                  | Summarising
//   Summarising  | every survivor's summary came, or deadline_ms passed                 | Deciding
//   Deciding     | Decided with members (none: Failed)                                  | Calibrating | Publishing
//   Calibrating  | the sum is finished                                                  | Publishing
//   Publishing   | Published                                                            | Released
//   any          | AbortRequested (not once ended)                                      | Aborted
//
// A sum goes through Advertise, Share, Mask, Consistency, Unmask. A phase closes when nobody is awaited or at its
// deadline; too few answers break the sum: it is tried again with new keys, plan::kMaxAttempts times in all, but never
// once unmasking was asked for. A training round that breaks then is skipped: the next one starts from the same model.
// So is one whose totals break a guard of the plan; and one is taken back when, at the next sum's Advertise, more sites
// than may collude, and two at least, find that its totals do not have the sites' tags: that sum begins again with the
// model before. Too many rounds without a model in a row (max_skipped_rounds), or none at all that gave one, end the
// experiment.
//
// A site of whose shares as many others say that they do not open is excluded from the next sum on.

#include <absl/time/time.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/rounds/events.h"
#include "protocols/plan/experiment.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::coordinator {

using SiteSet = std::set<SiteId>;
std::string ListOf(const SiteSet& sites);  // "a, b, c"

// A secure sum as far as its schedule goes; its cryptography is a secagg::ServerSession at the driver.
struct Sum {
  SumKey key;
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
  SiteSet expected;    // may answer this phase
  SiteSet answered;    // have
  SiteSet awaited;     // are waited for: neither answered, failed nor away
  SiteSet failed;      // have left this sum for good
  SiteSet survivors;   // whose vectors are in, once kMask is closed
  SiteSet mismatched;  // have found, in kAdvertise, that the newest model's totals do not have the sites' tags
  std::map<SiteId, SiteSet> accusers;  // by who dealt shares that do not open: to whom
  absl::Time started;                  // of the sum
  absl::Time deadline;                 // of the phase
  bool closing = false;                // ClosePhase is to be done
  bool finishing = false;              // FinishSum is to be done
};

struct Inviting {
  absl::Time since;
  std::optional<absl::Time> enough_since;  // since when sites.minimum have accepted
  bool extended = false;                   // too few had, but with hope, when invitation_ms had passed
};
struct Seeding {
  SiteSet waiting;
  absl::Time deadline;
};
struct Baselines {
  SiteSet waiting;
  absl::Time deadline;
};
struct Training {
  Sum sum;
};
struct Validating {
  Sum sum;
};
struct Summarising {
  SiteSet waiting;
  absl::Time deadline;
};
struct Deciding {};
struct Calibrating {
  Sum sum;
};
struct Publishing {};
struct Released {
  ReleaseId release;
  SiteSet pending;  // have not answered the offer
};
struct Failed {
  std::string reason;
};
struct Aborted {
  std::string reason;
};
using State = std::variant<Inviting, Seeding, Baselines, Training, Validating, Summarising, Deciding, Calibrating,
                           Publishing, Released, Failed, Aborted>;

// What is known of a site that was invited.
struct Participant {
  bool accepted = false;
  std::optional<wire::RefusalReason> refusal;
  bool away = false;                           // dropped out at a deadline and not heard of since
  std::optional<wire::FailureReason> failure;  // of its last step
  std::optional<Digest> graph_reveal;
  bool baseline_done = false;
  bool baseline_shared = false;
  bool summary = false;  // of the validation
  std::string excluded;  // why it takes part no more; empty: it does

  bool RefusedForGood() const;
};

// Work for one site; empty when it has nothing to do.
struct OfferWork {};
struct SeedWork {};
struct BaselineWork {};
struct SumWork {
  SumKey sum;
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
  absl::Time deadline;
};
struct ReleaseWork {
  ReleaseId release;
};
struct ClosedWork {
  std::string phase;
  std::string reason;
};
using SiteWork = std::variant<std::monostate, OfferWork, SeedWork, BaselineWork, SumWork, ReleaseWork, ClosedWork>;

// Facts are stored before anything else happens; notes are lines for people about what changed.
struct Step {
  std::vector<Fact> facts;
  std::vector<std::string> notes;
};

// A value; single-threaded.
class ExperimentMachine {
 public:
  ExperimentMachine(const plan::Experiment& experiment, absl::Time now);

  // FAILED_PRECONDITION: does not fit the state. ABORTED: about a sum or phase that is over. PERMISSION_DENIED: the
  // site is no part of this. Nothing changed then. OK without facts: nothing new.
  absl::StatusOr<Step> Handle(absl::Time now, const Event& event);

  // Would Handle() take this answer? False: it says nothing new. Otherwise its status. Costs no copy of the machine.
  absl::StatusOr<bool> Takes(const SumAnswered& event) const;

  // What the driver has to do now, if anything.
  std::optional<Action> Pending() const;
  // When to send the next Tick, if nothing happens before.
  absl::Time NextDeadline() const;
  SiteWork WorkFor(const SiteId& site) const;

  const State& state() const { return state_; }
  const std::map<SiteId, Participant>& sites() const { return sites_; }
  // Those who accepted and take part; when the invitation has ended, only an exclusion changes it.
  SiteSet Accepted() const;
  // Those who accepted, excluded or not: who drew the graph seed, if there are more than secagg::kFullGraphSites.
  SiteSet Participants() const;
  bool IsParticipant(const SiteId& site) const;
  bool IsAway(const SiteId& site) const;
  const Sum* sum() const;                                               // the current one, or null
  const std::vector<std::string>& members() const { return members_; }  // of the ensemble, once decided
  // Training rounds that gave no model because of a guard.
  struct RefusedRound {
    uint32_t round = 0;
    RefusedAggregate aggregate;
  };
  const std::vector<RefusedRound>& refused() const { return refused_; }
  // Training rounds whose models were taken back: they are no models of this experiment.
  const std::vector<SumKey>& taken_back() const { return taken_back_; }
  // The training round whose model no site has vouched for yet.
  const std::optional<SumKey>& unconfirmed() const { return unconfirmed_; }

  bool ended() const;
  wire::ExperimentPhase phase() const;
  uint32_t round() const { return round_; }  // last one that was started
  // One line for people: what it waits for, or why it ended.
  std::string Message() const;
  // invited, accepted, refused, baseline, working, answered, dropped, done.
  std::string StateOf(const SiteId& site) const;

 private:
  using Result = absl::StatusOr<Step>;

  // One overload per legal pair; the template refuses the rest.
  Result On(Inviting& state, const SiteKnown& event);
  Result On(Inviting& state, const SiteAccepted& event);
  Result On(Inviting& state, const SiteRefused& event);
  Result On(Inviting& state, const Tick& event);
  Result On(Seeding& state, const GraphRevealed& event);
  Result On(Seeding& state, const SiteFailed& event);
  Result On(Seeding& state, const Tick& event);
  Result On(Baselines& state, const BaselineDone& event);
  Result On(Baselines& state, const SiteFailed& event);
  Result On(Baselines& state, const Tick& event);
  Result On(Training& state, const BaselineDone& event);  // late, but in time for the validation
  Result On(Summarising& state, const SummaryCame& event);
  Result On(Summarising& state, const Tick& event);
  Result On(Deciding& state, const Decided& event);
  Result On(Deciding& state, const WorkFailed& event);
  Result On(Publishing& state, const Published& event);
  Result On(Publishing& state, const WorkFailed& event);
  Result On(Released& state, const ReleaseAnswered& event);
  // The same for the three states that hold a sum.
  Result OnSum(Sum& sum, const SumAnswered& event);
  Result OnSum(Sum& sum, const SiteFailed& event);
  Result OnSum(Sum& sum, const SiteHeard& event);
  Result OnSum(Sum& sum, const PhaseClosed& event);
  Result OnSum(Sum& sum, const SumBroken& event);
  Result OnSum(Sum& sum, const SumFinished& event);
  Result OnSum(Sum& sum, const Tick& event);
  template <typename S, typename E>
  Result On(S& state, const E& event);
  // In any state that has not ended.
  Result OnAny(const AbortRequested& event);
  Result OnAny(const SummaryCame& event);
  Result OnAny(const SiteHeard& event);

  Result TakeBaseline(const BaselineDone& event);
  Result MaybeStart(Inviting& state, Step step);
  Step StartBaselines(Step step);
  Result MaybeTrain(Baselines& state, Step step);
  Result MaybeDecide(Summarising& state, Step step);
  Result Advance(const SumKey& finished, Step step);
  Result Skip(const SumKey& round, const std::string& why, const std::optional<SiteId>& culprit, Step step);
  Result TakeBack(const Sum& sum, Step step);
  // Why the experiment ends after one more round without a model; empty: it goes on.
  std::string TooManySkipped(const std::string& why, bool was_last);
  void ExcludeAccused(const Sum& sum, Step& step);
  bool OneIsHonest(const SiteSet& sites) const;
  Result Fail(std::string reason, Step step);
  void StartSum(plan::SumKind kind, uint32_t round, uint32_t attempt, Step& step);
  void CloseIfComplete(Sum& sum);
  absl::Status CheckCurrent(const Sum& sum, const SumKey& key) const;
  Step Changed(const Event& event) const;
  bool MayReachMinimum() const;
  std::string LostRounds() const;
  // "1 site accepted, at least 3 are needed; b refused: DECLINED; no answer from c": while inviting.
  std::string TooFewSites() const;

  plan::Sites rules_;
  uint32_t max_skipped_ = 0;
  uint32_t rounds_ = 0;
  int colluders_ = 0;
  absl::Time now_;  // of the event being handled
  State state_;
  std::map<SiteId, Participant> sites_;
  uint32_t round_ = 0;
  uint32_t trained_ = 0;         // rounds that gave a model
  uint32_t skipped_ = 0;         // rounds since then that did not
  uint32_t skipped_before_ = 0;  // what that was when the newest model came
  std::optional<SumKey> unconfirmed_;
  std::vector<RefusedRound> refused_;
  std::vector<SumKey> taken_back_;
  std::vector<std::string> members_;
};

}  // namespace cloister::coordinator
