// SPDX-License-Identifier: Apache-2.0
// The names are those of the .proto without their prefix; a test holds the two together.
#include "protocols/wire/names.h"

#include <array>

namespace cloister::wire {
namespace {

template <typename Enum>
struct Row {
  Enum value;
  std::string_view name;
};

constexpr std::array<Row<SumKind>, 3> kSumKinds = {{
    {SumKind::kTrain, "TRAIN"},
    {SumKind::kValidate, "VALIDATE"},
    {SumKind::kCalibrate, "CALIBRATE"},
}};

constexpr std::array<Row<SumPhase>, 5> kSumPhases = {{
    {SumPhase::kAdvertise, "ADVERTISE"},
    {SumPhase::kShare, "SHARE"},
    {SumPhase::kMask, "MASK"},
    {SumPhase::kConsistency, "CONSISTENCY"},
    {SumPhase::kUnmask, "UNMASK"},
}};

constexpr std::array<Row<ModelKind>, 2> kModelKinds = {{
    {ModelKind::kGlobal, "GLOBAL"},
    {ModelKind::kBaseline, "BASELINE"},
}};

constexpr std::array<Row<RefusalReason>, 12> kRefusals = {{
    {RefusalReason::kNotApproved, "NOT_APPROVED"},
    {RefusalReason::kTaskNotAllowed, "TASK_NOT_ALLOWED"},
    {RefusalReason::kCohortTooSmall, "COHORT_TOO_SMALL"},
    {RefusalReason::kSecureAggregationRequired, "SECURE_AGGREGATION_REQUIRED"},
    {RefusalReason::kMinimumSitesTooLow, "MINIMUM_SITES_TOO_LOW"},
    {RefusalReason::kOutsideHours, "OUTSIDE_HOURS"},
    {RefusalReason::kSignatureInvalid, "SIGNATURE_INVALID"},
    {RefusalReason::kPlanInvalid, "PLAN_INVALID"},
    {RefusalReason::kUnsupportedModel, "UNSUPPORTED_MODEL"},
    {RefusalReason::kNoCohort, "NO_COHORT"},
    {RefusalReason::kDeclined, "DECLINED"},
    {RefusalReason::kDifferentialPrivacy, "DIFFERENTIAL_PRIVACY"},
}};

constexpr std::array<Row<FailureReason>, 11> kFailures = {{
    {FailureReason::kWorkerCrashed, "WORKER_CRASHED"},
    {FailureReason::kWorkerTimedOut, "WORKER_TIMED_OUT"},
    {FailureReason::kOutOfMemory, "OUT_OF_MEMORY"},
    {FailureReason::kDiskFull, "DISK_FULL"},
    {FailureReason::kNotFinite, "NOT_FINITE"},
    {FailureReason::kModelInvalid, "MODEL_INVALID"},
    {FailureReason::kProtocolViolation, "PROTOCOL_VIOLATION"},
    {FailureReason::kPacsUnavailable, "PACS_UNAVAILABLE"},
    {FailureReason::kInternal, "INTERNAL"},
    {FailureReason::kTagMismatch, "TAG_MISMATCH"},
    {FailureReason::kBadShare, "BAD_SHARE"},
}};

constexpr std::array<Row<ReleaseState>, 7> kReleaseStates = {{
    {ReleaseState::kOffered, "OFFERED"},
    {ReleaseState::kVerified, "VERIFIED"},
    {ReleaseState::kGateFailed, "GATE_FAILED"},
    {ReleaseState::kActive, "ACTIVE"},
    {ReleaseState::kDeclined, "DECLINED"},
    {ReleaseState::kRolledBack, "ROLLED_BACK"},
    {ReleaseState::kInvalid, "INVALID"},
}};

constexpr std::array<Row<BlobPurpose>, 3> kBlobPurposes = {{
    {BlobPurpose::kInitialModel, "INITIAL_MODEL"},
    {BlobPurpose::kMaskedVector, "MASKED_VECTOR"},
    {BlobPurpose::kSealedBaseline, "SEALED_BASELINE"},
}};

constexpr std::array<Row<ExperimentPhase>, 8> kExperimentPhases = {{
    {ExperimentPhase::kInviting, "INVITING"},
    {ExperimentPhase::kBaselines, "BASELINES"},
    {ExperimentPhase::kTraining, "TRAINING"},
    {ExperimentPhase::kValidating, "VALIDATING"},
    {ExperimentPhase::kCalibrating, "CALIBRATING"},
    {ExperimentPhase::kReleased, "RELEASED"},
    {ExperimentPhase::kFailed, "FAILED"},
    {ExperimentPhase::kAborted, "ABORTED"},
}};

template <typename Enum, size_t size>
std::string_view Find(const std::array<Row<Enum>, size>& rows, Enum value) {
  for (const Row<Enum>& row : rows) {
    if (row.value == value) {
      return row.name;
    }
  }
  return "UNKNOWN";
}

template <typename Enum, size_t size>
std::optional<Enum> FindByName(const std::array<Row<Enum>, size>& rows, std::string_view name) {
  for (const Row<Enum>& row : rows) {
    if (row.name == name) {
      return row.value;
    }
  }
  return std::nullopt;
}

}  // namespace

#define CLOISTER_NAMED_ENUM(Enum, rows)                       \
  std::string_view NameOf(Enum value) {                       \
    return Find(rows, value);                                 \
  }                                                           \
  template <>                                                 \
  std::optional<Enum> FromName<Enum>(std::string_view name) { \
    return FindByName(rows, name);                            \
  }

CLOISTER_NAMED_ENUM(SumKind, kSumKinds)
CLOISTER_NAMED_ENUM(SumPhase, kSumPhases)
CLOISTER_NAMED_ENUM(ModelKind, kModelKinds)
CLOISTER_NAMED_ENUM(RefusalReason, kRefusals)
CLOISTER_NAMED_ENUM(FailureReason, kFailures)
CLOISTER_NAMED_ENUM(ReleaseState, kReleaseStates)
CLOISTER_NAMED_ENUM(BlobPurpose, kBlobPurposes)
CLOISTER_NAMED_ENUM(ExperimentPhase, kExperimentPhases)

#undef CLOISTER_NAMED_ENUM

std::string_view NameOf(const SiteMessage& message) {
  constexpr std::array<std::string_view, 7> kNames = {"experiment_answer", "baseline_ready", "sum_message",
                                                      "site_summary",      "release_answer", "site_failure",
                                                      "graph_reveal"};
  static_assert(std::variant_size_v<SiteMessage> == kNames.size());
  return kNames[message.index()];
}

std::string_view NameOf(const WorkItem& item) {
  constexpr std::array<std::string_view, 6> kNames = {"experiment_offer", "baseline_task",     "sum_step",
                                                      "release_offer",    "experiment_closed", "graph_seed_task"};
  static_assert(std::variant_size_v<WorkItem> == kNames.size());
  return kNames[item.index()];
}

}  // namespace cloister::wire
