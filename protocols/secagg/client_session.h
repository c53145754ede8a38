#pragma once
// SPDX-License-Identifier: Apache-2.0
// A site's side of one secure sum. Pure: bytes in, a Step out; the driver stores the Step's facts, audits, then sends.
//
//   state       | message         | next       | reply        | facts
//   ------------+-----------------+------------+--------------+-------------
//   Starting    | Advertise()     | Advertised | Advert       | advert
//   Advertised  | Roster          | Shared     | Shares       | roster = ctx1
//   Shared      | ShareDelivery   | Masking    | -            | u2 = ctx2
//   Masking     | Mask(), Commit()| Committed  | MaskedCommit | masked
//   Committed   | SurvivorList    | Confirmed  | Consistency  | survivors
//   Confirmed   | SignatureSet    | Finished   | Unmask       | unmask, closed
//
// A message already answered, byte for byte, gets the same reply again in any state. Anything else is refused: the
// session ends in Aborted with its secrets wiped, and says so in every later call.
//
// Every secret is derived from the job secret and the transcript (docs/adr/0002-secagg-secrets-are-derived.md), so a
// site killed anywhere creates the session again from the same inputs plus its stored facts, hears the same messages
// and says the same bytes; what would contradict a stored fact is refused with ABORTED.

#include <absl/time/time.h>
#include <absl/types/span.h>

#include <memory>
#include <optional>
#include <vector>

#include "protocols/crypto/signer.h"
#include "protocols/secagg/check_tag.h"
#include "protocols/secagg/facts.h"
#include "protocols/secagg/messages.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

struct ClientInputs {
  SumParams params;
  crypto::Signer signer;           // this site's signing key and certificate
  crypto::Certificate ca;          // the consortium's
  absl::Time now;                  // for certificate validity
  crypto::SecretBytes job_secret;  // 32 random bytes, made when the job was accepted, kept for as long as the job
  Facts facts;                     // all stored facts under FactScope(params); others are ignored
  // Does this site know that the models are what the plan and the sums before give? Goes into the signed advert: a site
  // that could not check relies on colluders + 1 others that could.
  bool models_checked = false;
};

struct ClientStep {
  std::optional<Bytes> reply;
  std::vector<Fact> facts;  // to be stored, insert-or-must-equal, before the reply leaves; also when already stored
};

enum class ClientPhase { kStarting, kAdvertised, kShared, kMasking, kCommitted, kConfirmed, kFinished, kAborted };
std::string_view NameOf(ClientPhase phase);

// Move-only. Not thread-safe.
class ClientSession {
 public:
  // INVALID_ARGUMENT: parameters, or a job secret that is not 32 bytes. UNAUTHENTICATED: our own certificate does not
  // hold. FAILED_PRECONDITION: n_min below the floor, or we are no participant. ABORTED: this round was closed by
  // another attempt, or a later one has begun.
  static absl::StatusOr<ClientSession> Create(ClientInputs inputs);
  ~ClientSession();
  ClientSession(ClientSession&&) noexcept;
  ClientSession& operator=(ClientSession&&) noexcept;

  // The first word; asked again, the same one.
  absl::StatusOr<ClientStep> Advertise();

  // Any message of the coordinator, as it came. Codes: DATA_LOSS and INVALID_ARGUMENT (malformed), FAILED_PRECONDITION
  // (wrong state, cohort or threshold too small), UNAUTHENTICATED (certificate or signature), ABORTED (contradicts what
  // this site said or stored before, or leaves it out).
  absl::StatusOr<ClientStep> Handle(ByteView message);

  // Adds this site's masks to elements [offset, offset + values.size()) of vector `index` in place. In Masking only;
  // any chunks in any order, each element once. FAILED_PRECONDITION: another state (which stays as it is);
  // INVALID_ARGUMENT: no such range, or a vector of the other ring.
  absl::Status Mask(size_t index, uint64_t offset, absl::Span<uint32_t> values);
  absl::Status Mask(size_t index, uint64_t offset, absl::Span<uint64_t> values);

  // What was masked: one digest and length per vector. The driver stores the Step's facts before the FIRST BYTE of a
  // masked vector leaves, and may then send only bytes with these digests, ever; asked again, the same Step. ABORTED:
  // other digests were committed to before.
  absl::StatusOr<ClientStep> Commit(const std::vector<VectorCommit>& vectors);
  // For a site that was killed after it committed: the stored reply of Commit() again, instead of masking again.
  // FAILED_PRECONDITION: nothing was committed to, or another state; ABORTED: not that reply.
  absl::StatusOr<ClientStep> Recommit(ByteView commit);

  ClientPhase phase() const;
  const SumParams& params() const;
  const SumCheck* check() const;          // in Finished: by what the published sum is checked; else null
  std::vector<SiteId> roster() const;     // from Shared on
  std::vector<SiteId> sharers() const;    // U2, from Masking on: whose masks are in
  std::vector<SiteId> survivors() const;  // U3, from Confirmed on: whose vectors are summed

 private:
  struct Core;
  explicit ClientSession(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace cloister::secagg
