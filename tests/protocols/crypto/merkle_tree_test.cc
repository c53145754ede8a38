// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/merkle_tree.h"

#include <gtest/gtest.h>

namespace cloister::crypto {
namespace {

TEST(MerkleTreeTest, IsTheTreeOfTheList) {
  std::vector<Digest> digests;
  for (uint32_t n = 1; n <= 70; ++n) {
    digests.push_back(Sha256(CanonicalWriter().U32(n).bytes()));
    const MerkleTree tree(digests);
    EXPECT_EQ(tree.root(), MerkleRootOf(digests)) << n;
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(tree.PathOf(i), MerklePath(digests, i)) << n << " " << i;
  }
}

}  // namespace
}  // namespace cloister::crypto
