#pragma once
// SPDX-License-Identifier: Apache-2.0
// What this site allows: the policy file as a value and the one function that decides on an offered plan. Pure and
// deny by default: whatever the file does not name is refused, and every refusal has an enumerated reason.

#include <absl/time/time.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/plan/experiment.h"
#include "protocols/plan/plan_epsilon.h"

namespace cloister::site {

enum class Approval { kManual, kAutomatic };
enum class BaselineSharing { kSealed, kNever };

// A time of the day at the site, possibly over midnight. from == to: the whole day.
struct HoursOfWork {
  int from_minute = 0;
  int to_minute = 0;
};

// What all experiments together may tell of one patient of this site, whatever their tasks: a patient may be in several
// cohorts. Epsilons and deltas are added up.
struct PrivacyLimit {
  double max_epsilon = 0;
  double delta = 0;
  bool require = false;  // a plan without differential privacy is refused
};

struct Policy {
  std::vector<std::string> allowed_tasks;
  int minimum_cohort = 1;  // patients with usable images and labels
  int minimum_sites = 3;   // survivors every sum must have
  bool secure_aggregation_required = true;
  Approval approval = Approval::kManual;
  HoursOfWork hours;
  BaselineSharing share_local_baseline = BaselineSharing::kNever;
  bool serving_allowed = false;
  double minimum_auc = 0;             // of a release on this site's test patients, for the site's own gate; 0: no bound
  bool require_decided_gate = false;  // a gate that cannot be decided at this site counts as failed
  std::optional<PrivacyLimit> differential_privacy;  // absent: no limit, and nothing is required
};

// Reads the YAML of a policy file. INVALID_ARGUMENT: "file:line:column: ...". A key that is left out takes the value
// that allows least.
absl::StatusOr<Policy> ParsePolicy(const std::string& text, const std::string& file);

enum class Refusal {
  kNotApproved,
  kTaskNotAllowed,
  kCohortTooSmall,
  kSecureAggregationRequired,
  kMinimumSitesTooLow,
  kOutsideHours,
  kSignatureInvalid,
  kPlanInvalid,
  kUnsupportedModel,
  kNoCohort,
  kDeclined,
  kDifferentialPrivacy,
};
// "NOT_APPROVED", ...: the names of wire.v1.RefusalReason.
std::string_view RefusalName(Refusal refusal);

enum class PersonsWord { kNone, kApproved, kDeclined };

// What a plan with differential privacy costs here and what earlier ones have left.
struct PrivacyFacts {
  absl::StatusOr<plan::PlanEpsilon> asked;  // by the whole experiment; an error: it cannot be told
  double taken_epsilon = 0;                 // by the others: what they have spent, or may still
  double taken_delta = 0;
};

// What the site knows when it decides.
struct Facts {
  PersonsWord person = PersonsWord::kNone;  // about exactly this job and plan
  bool label_file_configured = false;       // a label CSV is named for the plan's task
  std::optional<int> patients;              // usable; nullopt: not looked for yet
  std::set<std::string> architectures;      // that the worker knows
  std::optional<PrivacyFacts> privacy;      // of a plan with differential privacy
};

struct Decision {
  std::optional<Refusal> refusal;  // nullopt: accept
  std::string detail;              // one line for people, without patient data
  bool accepted() const { return !refusal.has_value(); }
};

// `plan` has been verified (signature and canonical form) before; what failed there is SIGNATURE_INVALID or
// PLAN_INVALID without asking here. With facts.patients unknown the answer is about everything else.
Decision Decide(const Policy& policy, const plan::Experiment& plan, const Facts& facts, absl::Time now,
                absl::TimeZone zone);

// Is `now` within the hours?
bool WithinHours(const HoursOfWork& hours, absl::Time now, absl::TimeZone zone);

}  // namespace cloister::site
