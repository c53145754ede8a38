#pragma once
// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4) of bytes, streams and files, and the Merkle tree over 1 MiB leaves that large vectors are known
// by.

#include <filesystem>
#include <memory>
#include <vector>

#include "protocols/base/bytes.h"

namespace cloister::crypto {

Digest Sha256(ByteView bytes);

class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;

  Sha256Stream& Update(ByteView bytes);
  // The digest of everything so far; the stream starts again from nothing.
  Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE (I/O); names the path.
absl::StatusOr<Digest> Sha256File(const std::filesystem::path& path);

// Merkle tree hash of RFC 6962 section 2.1 (leaf = H(0 | bytes), node = H(1 | left | right), left side the largest
// power of two) over consecutive leaves of 1 MiB, the last one shorter. No bytes at all: SHA-256 of nothing.
class MerkleStream {
 public:
  static constexpr size_t kLeafBytes = size_t{1} << 20;

  MerkleStream();
  // Memory: one digest per level, whatever the length.
  MerkleStream& Update(ByteView bytes);
  uint64_t size_bytes() const { return size_; }
  // The root of everything so far; the stream starts again from nothing.
  Digest Finish();

 private:
  void EndLeaf();

  Sha256Stream leaf_;
  size_t leaf_bytes_ = 0;
  uint64_t size_ = 0;
  uint64_t leaves_ = 0;
  std::vector<Digest> peaks_;  // roots of complete subtrees, largest first: one per set bit of leaves_
};

Digest MerkleRoot(ByteView bytes);

// The same tree over a list of digests (leaf i = H(0 | digests[i])), with proofs that one digest is in it.
Digest MerkleRootOf(const std::vector<Digest>& digests);
// Siblings from the leaf upwards. `index` must be in range: anything else is our own bug.
std::vector<Digest> MerklePath(const std::vector<Digest>& digests, size_t index);
// Is `digest` the element at `index` of a list of `count` with this root? False for any malformed path.
bool MerklePathLeadsTo(const Digest& root, const Digest& digest, uint64_t index, uint64_t count,
                       const std::vector<Digest>& path);

}  // namespace cloister::crypto
