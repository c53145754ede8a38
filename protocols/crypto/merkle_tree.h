#pragma once
// SPDX-License-Identifier: Apache-2.0
// The tree of MerkleRootOf with all its nodes kept, for whoever proves many elements of one list.

#include <vector>

#include "protocols/crypto/hash.h"

namespace cloister::crypto {

class MerkleTree {
 public:
  // At least one digest: anything else is our own bug.
  explicit MerkleTree(const std::vector<Digest>& digests);

  const Digest& root() const { return levels_.back().front(); }
  // As MerklePath, in logarithmic time.
  std::vector<Digest> PathOf(size_t index) const;

 private:
  std::vector<std::vector<Digest>> levels_;  // leaves first
};

}  // namespace cloister::crypto
