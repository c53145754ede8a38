#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a site sends that deals the others shares which do not open.

#include <vector>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/signer.h"
#include "protocols/secagg/messages.h"
#include "protocols/secagg/transcript.h"

namespace cloister::testing {

// The Shares message `honest` of `signer`'s site, with every envelope spoiled and signed as it is then.
inline Bytes WithBadShares(const Bytes& honest, const crypto::Signer& signer) {
  secagg::Shares shares = secagg::DecodeShares(honest).value();
  std::vector<Digest> leaves;
  for (secagg::SealedShare& share : shares.entries) {
    if (!share.sealed.empty()) {
      share.sealed[0] = static_cast<char>(share.sealed[0] ^ 1);
    }
    leaves.push_back(secagg::ShareLeaf(share));
  }
  secagg::ShareRoot root = secagg::DecodeShareRoot(shares.root).value();
  root.root = crypto::MerkleRootOf(leaves);
  root.signature = signer.Sign(secagg::kShareRootDomain, secagg::SignedPart(root));
  shares.root = secagg::Encode(root);
  return secagg::Encode(shares);
}

}  // namespace cloister::testing
