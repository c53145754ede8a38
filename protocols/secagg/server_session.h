#pragma once
// SPDX-License-Identifier: Apache-2.0
// The coordinator's side of one secure sum. Pure and deterministic: the same accepted messages and closes in the same
// order rebuild the same session, so a restarted coordinator replays what it stored. It learns nothing it is not meant
// to; what protects the sites from a coordinator that is not this code is the client session.
//
//   phase         | sites answer with | Close() publishes           | and needs
//   --------------+-------------------+-----------------------------+---------------------------------
//   kAdvertise    | Advert            | Roster                      | max(n_min, 3) adverts, 2t > n + c
//   kShare        | Shares            | ShareDelivery, one per site | max(n_min, t) sites       (= U2)
//   kMaskedInput  | MaskedCommit      | SurvivorList                | max(n_min, t) commits     (= U3)
//   kConsistency  | Consistency       | SignatureSet                | t signatures
//   kUnmask       | Unmask            | - (the Unmasker)            | good shares of every owner, as many as recover it
//   kDone
//
// The driver closes a phase when nobody is awaited any more, or at its deadline. t is Threshold(roster). Each of the
// first three closes also needs every owner's holders: as many of its neighbourhood as recover it (neighbourhoods.h).

#include <absl/time/time.h>

#include <memory>
#include <string>
#include <vector>

#include "protocols/crypto/certificate.h"
#include "protocols/secagg/messages.h"
#include "protocols/secagg/params.h"
#include "protocols/secagg/unmasker.h"

namespace cloister::secagg {

struct ServerInputs {
  SumParams params;
  crypto::Certificate ca;
  std::vector<SiteId> expected;  // who was asked; an advert of anybody else is refused
  absl::Time now;                // for certificate validity: keep it with the session and give the same on replay
};

enum class ServerPhase { kAdvertise, kShare, kMaskedInput, kConsistency, kUnmask, kDone };
std::string_view NameOf(ServerPhase phase);

// A site that broke the protocol, with the evidence in words ("share of site-b does not match its hash").
struct Blame {
  SiteId site;
  std::string what;
};

// Move-only. Not thread-safe.
class ServerSession {
 public:
  // INVALID_ARGUMENT, FAILED_PRECONDITION: parameters.
  static absl::StatusOr<ServerSession> Create(ServerInputs inputs);
  ~ServerSession();
  ServerSession(ServerSession&&) noexcept;
  ServerSession& operator=(ServerSession&&) noexcept;

  // A message of the site that the connection authenticated. OK: taken, or the very same bytes were taken before. For a
  // MaskedCommit the driver has checked beforehand that the uploaded bytes have these digests (DecodeMaskedCommit).
  // A refused message changes nothing: DATA_LOSS and INVALID_ARGUMENT (malformed), UNAUTHENTICATED (certificate,
  // signature, or of another site), PERMISSION_DENIED (site not expected), ABORTED (another context: model, plan,
  // roster), FAILED_PRECONDITION (wrong phase, closed without this site, or different from what the site sent before).
  absl::Status Handle(const SiteId& from, ByteView message);

  ServerPhase phase() const;
  std::vector<SiteId> Answered() const;  // in the current phase, by id
  std::vector<SiteId> Awaited() const;   // may still answer in the current phase, by id

  // OK when Close() would succeed. FAILED_PRECONDITION with the numbers: too few answers yet.
  absl::Status CanClose() const;
  // Ends the current phase; those who have not answered are dropouts. FAILED_PRECONDITION: as CanClose, nothing
  // changes. DATA_LOSS, in kUnmask: what an owner dealt contradicts its advert; blames() names it and the sum is lost.
  absl::Status Close();

  // Everything published for `site` so far, oldest first: what a site that comes back has to hear. Empty for strangers
  // and for sites left out at the first close.
  std::vector<Bytes> MessagesFor(const SiteId& site) const;
  // The ShareDelivery of a member of U2, from kMaskedInput on; empty for anybody else. Unlike everything else here it
  // may be asked for by several threads while the session goes on: what was shared no longer changes.
  Bytes DeliveryFor(const SiteId& site) const;

  std::vector<SiteId> roster() const;     // from kShare on
  std::vector<SiteId> sharers() const;    // U2, from kMaskedInput on
  std::vector<SiteId> survivors() const;  // U3, from kConsistency on: exactly these vectors belong in the sum
  // Of a survivor. NOT_FOUND: not a survivor.
  absl::StatusOr<MaskedCommit> CommitOf(const SiteId& site) const;
  const std::vector<Blame>& blames() const;

  // In kDone. FAILED_PRECONDITION: earlier.
  absl::StatusOr<const Unmasker*> unmasker() const;
  // In kDone: what binds the published sum to this session, and the sum of the sites' tags.
  struct Published {
    Digest ctx2;
    Digest survivors;
    uint64_t tag = 0;
  };
  absl::StatusOr<Published> published() const;

 private:
  struct Core;
  explicit ServerSession(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace cloister::secagg
