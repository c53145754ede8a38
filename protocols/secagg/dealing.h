#pragma once
// SPDX-License-Identifier: Apache-2.0
// A site's secrets in one sum, and the dealing of their shares: everything here follows from the job secret and the
// transcript, so a restarted site makes the same bytes.   Source: docs/adr/0002-secagg-secrets-are-derived.md.

#include <vector>

#include "protocols/crypto/signer.h"
#include "protocols/crypto/x25519.h"
#include "protocols/secagg/roster.h"

namespace cloister::secagg {

struct SiteSecrets {
  crypto::SecretBytes root;  // HKDF(ctx0, job secret, site): coefficients come from it
  crypto::X25519KeyPair channel;
  crypto::X25519KeyPair mask;
  crypto::SecretBytes self_mask;  // b
};

SiteSecrets DeriveSecrets(const Digest& ctx0, const SiteId& site, const crypto::SecretBytes& job_secret);

// What one holder gets of one owner.
struct SharePair {
  ShamirShare self_mask;
  ShamirShare key;
};

// And, sealed with it, the owner's part of the seed by which the sum will be checked: 32 bytes, the same for every
// holder.
struct DealtShare {
  SharePair pair;
  crypto::SecretBytes check_part;
};

struct Dealing {
  Shares message;  // to the coordinator, signed
  DealtShare own;  // what the owner keeps itself
};

// Deals the secrets of member `self` to its neighbourhood, and its part of the check seed to everybody.
// INVALID_ARGUMENT: a channel key is of low order.
absl::StatusOr<Dealing> DealSecrets(const SiteSecrets& secrets, const crypto::Signer& signer,
                                    const VerifiedRoster& roster, size_t self);

// What `owner` sealed for its neighbour `self`. DATA_LOSS: it does not open, or is not what the hashes beside it and in
// `root` say.
absl::StatusOr<DealtShare> OpenShares(const SiteSecrets& secrets, const VerifiedRoster& roster, size_t owner,
                                      size_t self, const SealedShare& share, const ShareRoot& root);

// The part of the check seed that `owner` sealed for `self`, who is no neighbour. DATA_LOSS: it does not open, or is
// not what `root` says.
absl::StatusOr<crypto::SecretBytes> OpenCheckPart(const SiteSecrets& secrets, const VerifiedRoster& roster,
                                                  size_t owner, size_t self, ByteView envelope, const ShareRoot& root);

}  // namespace cloister::secagg
