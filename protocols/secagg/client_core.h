#pragma once
// SPDX-License-Identifier: Apache-2.0
// The state machine inside ClientSession: one struct per state holding exactly what that state may know, one On() per
// legal (state, message), and a catch-all that refuses. See client_session.h for the table.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocols/secagg/check_tag.h"
#include "protocols/secagg/client_session.h"
#include "protocols/secagg/dealing.h"
#include "protocols/secagg/mask.h"
#include "protocols/secagg/roster.h"

namespace cloister::secagg {

// Which elements of a vector were masked: disjoint ranges, joined where they touch.
class Coverage {
 public:
  // False, and nothing changes: part of it was added before.
  bool Add(uint64_t begin, uint64_t end);
  bool IsAllOf(uint64_t length) const { return ends_.size() == 1 && ends_.count(0) == 1 && ends_.at(0) == length; }

 private:
  std::map<uint64_t, uint64_t> ends_;  // begin -> end
};

struct Starting {
  SiteSecrets secrets;
};
struct Advertised {
  SiteSecrets secrets;
  Bytes advert;
};
struct Shared {
  SiteSecrets secrets;
  VerifiedRoster roster;
  size_t self = 0;
  DealtShare own;
  Bytes share_root;
};
// From here on b and the mask key are gone: the streams and the shares of others are all that is needed.
struct Masking {
  VerifiedRoster roster;
  size_t self = 0;
  Digest ctx2;
  std::vector<size_t> sharers;        // U2
  std::map<size_t, SharePair> inbox;  // by owner, ours included
  std::vector<MaskStreams> streams;   // by vector
  std::vector<Coverage> covered;      // by vector
  crypto::SecretBytes check_seed;
  CheckTag tag;
  uint64_t tag_mask = 0;
};
struct Committed {
  VerifiedRoster roster;
  size_t self = 0;
  Digest ctx2;
  std::vector<size_t> sharers;
  std::map<size_t, SharePair> inbox;
  crypto::SecretBytes check_seed;
  Bytes commit;
};
// The survivors are known: of every owner the kind of share that must never be revealed is gone.
struct Confirmed {
  VerifiedRoster roster;
  size_t self = 0;
  Digest ctx2;
  std::vector<size_t> sharers;
  std::vector<size_t> survivors;  // U3
  std::vector<Reveal> reveals;
  SumCheck check;
};
struct Finished {
  VerifiedRoster roster;
  std::vector<size_t> sharers;
  std::vector<size_t> survivors;
  SumCheck check;
};
struct Aborted {
  absl::Status why;
};

struct ClientSession::Core {
  SumParams params;
  crypto::Signer signer;
  Trust trust;
  Facts facts;
  bool models_checked;
  Digest ctx0;
  SiteId self;
  std::variant<Starting, Advertised, Shared, Masking, Committed, Confirmed, Finished, Aborted> state;
  std::map<Digest, ClientStep> answered;  // by digest of the message

  absl::StatusOr<ClientStep> On(Advertised& state, const Roster& message);
  absl::StatusOr<ClientStep> On(Shared& state, const ShareDelivery& message);
  absl::StatusOr<ClientStep> On(Committed& state, const SurvivorList& message);
  absl::StatusOr<ClientStep> On(Confirmed& state, const SignatureSet& message);
  template <typename State, typename Message>
  absl::StatusOr<ClientStep> On(State&, const Message&) {
    return absl::FailedPreconditionError(std::string(NameOf(params)) + ": a message that is not due in this state");
  }

  template <typename T>
  absl::Status MaskElements(size_t index, uint64_t offset, absl::Span<T> values);
  // INVALID_ARGUMENT: not the plan's vectors. FAILED_PRECONDITION: a part was never masked.
  absl::Status CheckMasked(const Masking& now, const std::vector<VectorCommit>& vectors) const;
  // The step that makes `commit` this site's word: from Masking to Committed, or from Committed to itself.
  absl::StatusOr<ClientStep> CommitTo(Bytes commit);
  // Null before the roster is known.
  const VerifiedRoster* KnownRoster() const;

  // Adds the fact to the step unless it contradicts a stored one (ABORTED).
  absl::Status Assert(ClientStep& step, const std::string& what, const Digest& value);
  absl::Status AssertKey(ClientStep& step, const std::string& key, const Digest& value);
  std::string KeyOf(const std::string& what) const;

  // Ends the session: every secret is wiped. Returns `why`.
  absl::Status Abort(absl::Status why);
};

}  // namespace cloister::secagg
