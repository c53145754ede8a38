// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/merkle_tree.h"

namespace cloister::crypto {
namespace {

Digest Leaf(const Digest& digest) {
  return Sha256Stream().Update(ByteView("\0", 1)).Update(digest.view()).Finish();
}

Digest Node(const Digest& left, const Digest& right) {
  return Sha256Stream().Update(ByteView("\1", 1)).Update(left.view()).Update(right.view()).Finish();
}

}  // namespace

// RFC 6962 splits at the largest power of two, which is the same as joining pairs level by level with the odd one out
// going up unchanged.
MerkleTree::MerkleTree(const std::vector<Digest>& digests) : levels_(1) {
  for (const Digest& digest : digests) levels_.back().push_back(Leaf(digest));
  while (levels_.back().size() > 1) {
    std::vector<Digest> above;
    const std::vector<Digest>& below = levels_.back();
    for (size_t i = 0; i + 1 < below.size(); i += 2) above.push_back(Node(below[i], below[i + 1]));
    if (below.size() % 2 == 1) above.push_back(below.back());
    levels_.push_back(std::move(above));
  }
}

std::vector<Digest> MerkleTree::PathOf(size_t index) const {
  std::vector<Digest> path;
  for (const std::vector<Digest>& level : levels_) {
    const size_t sibling = index ^ 1;
    if (sibling < level.size()) path.push_back(level[sibling]);
    index /= 2;
  }
  return path;
}

}  // namespace cloister::crypto
