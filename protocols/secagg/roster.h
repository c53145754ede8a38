#pragma once
// SPDX-License-Identifier: Apache-2.0
// The roster as both sides verify it: who takes part, with which keys, under which context.

#include <absl/time/time.h>

#include <optional>
#include <vector>

#include "protocols/crypto/certificate.h"
#include "protocols/secagg/messages.h"
#include "protocols/secagg/neighbourhoods.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

// What every signature in a sum is checked against.
struct Trust {
  crypto::Certificate ca;
  absl::Time now;
};

struct Member {
  SiteId site;
  Bytes signing_key;
  Bytes channel_key;
  Bytes mask_key;
  Digest self_mask_commitment;
  bool models_checked = false;
};

// One signed advert for this sum. DATA_LOSS, INVALID_ARGUMENT (malformed); ABORTED (another model, plan or attempt);
// UNAUTHENTICATED (chain, signature, or the certificate is another site's); PERMISSION_DENIED (no participant).
absl::StatusOr<Member> CheckAdvert(const SumParams& params, const Digest& ctx0, const Trust& trust, ByteView advert);

class VerifiedRoster {
 public:
  // Codes as CheckAdvert, INVALID_ARGUMENT (not in order, a site or a key twice), FAILED_PRECONDITION (cohort, or a
  // member with too few of its neighbours).
  static absl::StatusOr<VerifiedRoster> Create(const SumParams& params, const Digest& ctx0, const Trust& trust,
                                               const std::vector<Bytes>& adverts);
  // From adverts that CheckAdvert passed before, with what it returned for each. Codes as Create for what is left.
  static absl::StatusOr<VerifiedRoster> FromMembers(const SumParams& params, const Digest& ctx0,
                                                    const std::vector<Bytes>& adverts, std::vector<Member> members);

  const std::vector<Member>& members() const { return members_; }  // by site id
  size_t size() const { return members_.size(); }
  const Member& operator[](size_t index) const { return members_[index]; }
  std::optional<size_t> IndexOf(const SiteId& site) const;
  std::vector<SiteId> SitesAt(const std::vector<size_t>& indices) const;
  // How many must confirm the survivors: Threshold of the roster. Of the shares of one owner: neighbourhoods().
  int threshold() const { return threshold_; }
  const Neighbourhoods& neighbourhoods() const { return *neighbourhoods_; }
  const Digest& ctx1() const { return ctx1_; }
  // How many of the roster must share, survive and agree: max(n_min, t).
  int quorum() const { return quorum_; }

  // Could the members at `present` recover what those at `owners` have dealt? FAILED_PRECONDITION names one that they
  // could not.
  absl::Status CheckReach(const SumParams& params, const std::vector<size_t>& owners,
                          const std::vector<size_t>& present) const;

  // UNAUTHENTICATED: `signature` is not the member's, in `domain`.
  absl::Status CheckSignature(size_t index, std::string_view domain, ByteView signed_part, ByteView signature) const;

 private:
  std::vector<Member> members_;
  int threshold_ = 0;
  int quorum_ = 0;
  std::optional<Neighbourhoods> neighbourhoods_;
  Digest ctx1_;
};

// The position of every listed site in the roster. INVALID_ARGUMENT: a stranger, or not strictly rising.
absl::StatusOr<std::vector<size_t>> RisingIndices(const VerifiedRoster& roster, const std::vector<SiteId>& sites);

// Is `index` among the rising `indices`?
bool Contains(const std::vector<size_t>& indices, size_t index);

// A commit of this sum: in ctx2, of the vectors of `params`, signed by its site, which is in the roster.
// Codes as CheckAdvert.
absl::StatusOr<MaskedCommit> CheckCommit(const SumParams& params, const VerifiedRoster& roster, const Digest& ctx2,
                                         ByteView commit);
// A signed view of the survivors in ctx2. Codes as CheckAdvert.
absl::StatusOr<Consistency> CheckConsistency(const SumParams& params, const VerifiedRoster& roster, const Digest& ctx2,
                                             ByteView consistency);
// A signed share root in the roster's ctx1. Codes as CheckAdvert.
absl::StatusOr<ShareRoot> CheckShareRoot(const SumParams& params, const VerifiedRoster& roster, ByteView root);

}  // namespace cloister::secagg
