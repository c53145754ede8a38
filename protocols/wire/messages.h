#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a site and the coordinator say to each other, as valid values: ids parse, digests are 32 bytes, enumerations are
// known, sizes are within limits.h. No protobuf here, so that pure cores and fakes can use them; codec.h turns them
// into wire bytes and back.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"

namespace cloister::wire {

// A canonical JSON document (protocols/plan), the Ed25519 signature over it, and the signer's certificate (DER). Sizes
// are checked, the signature is not: crypto::VerifySignature does that.
struct SignedDocument {
  Bytes document;
  Bytes signature;
  Bytes certificate;

  friend bool operator==(const SignedDocument& a, const SignedDocument& b) {
    return a.document == b.document && a.signature == b.signature && a.certificate == b.certificate;
  }
};

enum class SumKind { kTrain = 1, kValidate = 2, kCalibrate = 3 };
enum class SumPhase { kAdvertise = 1, kShare = 2, kMask = 3, kConsistency = 4, kUnmask = 5 };
enum class ModelKind { kGlobal = 1, kBaseline = 2 };

enum class RefusalReason {
  kNotApproved = 1,
  kTaskNotAllowed = 2,
  kCohortTooSmall = 3,
  kSecureAggregationRequired = 4,
  kMinimumSitesTooLow = 5,
  kOutsideHours = 6,
  kSignatureInvalid = 7,
  kPlanInvalid = 8,
  kUnsupportedModel = 9,
  kNoCohort = 10,
  kDeclined = 11,
  kDifferentialPrivacy = 12,
};

enum class FailureReason {
  kWorkerCrashed = 1,
  kWorkerTimedOut = 2,
  kOutOfMemory = 3,
  kDiskFull = 4,
  kNotFinite = 5,
  kModelInvalid = 6,
  kProtocolViolation = 7,
  kPacsUnavailable = 8,
  kInternal = 9,
  kTagMismatch = 10,
  kBadShare = 11,
};

enum class ReleaseState {
  kOffered = 1,
  kVerified = 2,
  kGateFailed = 3,
  kActive = 4,
  kDeclined = 5,
  kRolledBack = 6,
  kInvalid = 7,
};

enum class BlobPurpose { kInitialModel = 1, kMaskedVector = 2, kSealedBaseline = 3 };

// ---- coordinator to site ----

// The training round's sum that a global model follows from.
struct SumOrigin {
  Digest parent;  // the global model that the round trained from
  Digest result;  // the blob of the published totals: plan::SumResult
  uint32_t round = 0;
};

struct ModelRef {
  std::string id;  // "round-3", "baseline-site-a"; an identifier
  ModelKind kind = ModelKind::kGlobal;
  Digest blob;  // of the sealed bytes for a baseline
  uint64_t size_bytes = 0;
  SiteId origin_site;                   // baselines only
  Bytes sealed_key;                     // baselines only: the content key, sealed for the reader
  std::optional<SumOrigin> made_by;     // global models only; none: the initial one
  std::vector<SumOrigin> refused = {};  // the rounds that trained from it and whose totals broke a guard
};

struct ExperimentOffer {
  JobId job;
  SignedDocument plan;
};

struct BaselineTask {
  JobId job;
  std::vector<SignedDocument> acceptances;
};

// Of a job with so many participants that its sums need a sparse graph.
struct GraphSeedTask {
  JobId job;
  std::vector<SignedDocument> acceptances;  // of all participants
};

struct SumStep {
  JobId job;
  SumKind kind = SumKind::kTrain;
  uint32_t round = 0;
  uint32_t attempt = 0;
  SumPhase phase = SumPhase::kAdvertise;
  Bytes message;  // protocols/secagg; kAdvertise: secagg::EncodeGraphReveals, or empty on the full graph
  std::vector<ModelRef> models;
  int64_t deadline_unix_ms = 0;
};

struct ReleaseOffer {
  JobId job;
  SignedDocument manifest;
};

struct ExperimentClosed {
  JobId job;
  std::string phase;   // released, failed, aborted, or closed: it goes on without this site
  std::string reason;  // for people
};

using WorkItem = std::variant<ExperimentOffer, BaselineTask, SumStep, ReleaseOffer, ExperimentClosed, GraphSeedTask>;

struct PullRequest {
  uint64_t known_version = 0;  // 0: none yet
  uint32_t wait_ms = 0;
  std::string agent_version;
};

// Everything that is open for one site; the next PullRequest names `version`.
struct Work {
  uint64_t version = 0;
  std::vector<WorkItem> items;
};

// ---- site to coordinator ----

struct ExperimentAnswer {
  JobId job;
  std::optional<SignedDocument> acceptance;  // accepted
  std::optional<RefusalReason> refusal;      // refused; exactly one of the two is set
};

struct SealedKey {
  SiteId site;
  Bytes sealed;
};

struct BaselineReady {
  JobId job;
  std::optional<Digest> blob;  // none: trained, but it may not leave the site even sealed
  std::vector<SealedKey> keys;
};

struct SumMessage {
  JobId job;
  SumKind kind = SumKind::kTrain;
  uint32_t round = 0;
  uint32_t attempt = 0;
  SumPhase phase = SumPhase::kAdvertise;
  Bytes message;                // protocols/secagg
  std::vector<Digest> vectors;  // kMask only, at least one
};

struct ModelSummary {
  std::string model_id;  // an identifier
  Bytes summary;         // JSON of eval/federated/site_summary.h
};

struct SiteSummary {
  JobId job;
  SumKind kind = SumKind::kValidate;  // never kTrain
  uint32_t round = 0;
  std::vector<ModelSummary> models;
};

struct ReleaseAnswer {
  ReleaseId release;
  ReleaseState state = ReleaseState::kOffered;
};

struct SiteFailure {
  JobId job;
  std::optional<SumKind> kind;  // none: the baseline
  uint32_t round = 0;
  uint32_t attempt = 0;
  FailureReason reason = FailureReason::kInternal;
  std::optional<SiteId> about = std::nullopt;  // kBadShare: who dealt the share
};

struct GraphReveal {
  JobId job;
  Digest reveal;  // 32 bytes, to which the site's acceptance commits
};

using SiteMessage =
    std::variant<ExperimentAnswer, BaselineReady, SumMessage, SiteSummary, ReleaseAnswer, SiteFailure, GraphReveal>;

// ---- blobs ----

struct BlobHeader {
  Digest digest;  // SHA-256
  uint64_t size_bytes = 0;
  BlobPurpose purpose = BlobPurpose::kInitialModel;
  JobId job;  // empty for kInitialModel
};

struct BlobStat {
  uint64_t received_bytes = 0;
  bool complete = false;
};

}  // namespace cloister::wire
