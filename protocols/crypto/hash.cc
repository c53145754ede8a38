// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/hash.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "protocols/base/file.h"
#include "protocols/crypto/openssl.h"
#include "protocols/crypto/sha256_lanes.h"

namespace cloister::crypto {
namespace {

constexpr ByteView kLeafPrefix("\x00", 1);
constexpr ByteView kNodePrefix("\x01", 1);

Digest NodeOf(const Digest& left, const Digest& right) {
  return Sha256Stream().Update(kNodePrefix).Update(left.view()).Update(right.view()).Finish();
}

Digest LeafOf(const Digest& digest) {
  return Sha256Stream().Update(kLeafPrefix).Update(digest.view()).Finish();
}

// Peaks of 1, 2, 4.. leaves are joined from the right: exactly RFC 6962's tree.
Digest JoinPeaks(const std::vector<Digest>& peaks) {
  if (peaks.empty()) return Sha256({});
  Digest root = peaks.back();
  for (size_t i = peaks.size() - 1; i-- > 0;) root = NodeOf(peaks[i], root);
  return root;
}

void AddLeaf(std::vector<Digest>& peaks, uint64_t leaves_before, Digest leaf) {
  for (uint64_t carry = leaves_before; carry & 1; carry >>= 1) {
    leaf = NodeOf(peaks.back(), leaf);
    peaks.pop_back();
  }
  peaks.push_back(leaf);
}

constexpr size_t kFewestLanes = 6;  // with fewer leaves at hand, one after the other is faster

// Hashes the whole leaves at the start of `bytes`, up to kShaLanes of them.
std::vector<Digest> HashLeaves(ByteView bytes) {
  const size_t count = std::min(kShaLanes, bytes.size() / MerkleStream::kLeafBytes);
  std::array<const uint8_t*, kShaLanes> leaves;
  for (size_t i = 0; i < kShaLanes; ++i) {
    leaves[i] = Uchars(bytes) + (i < count ? i : 0) * MerkleStream::kLeafBytes;
  }
  std::array<std::array<uint8_t, Digest::kSize>, kShaLanes> hashed;
  HashLanes(static_cast<uint8_t>(kLeafPrefix[0]), leaves, MerkleStream::kLeafBytes, hashed);
  std::vector<Digest> digests;
  for (size_t i = 0; i < count; ++i) {
    digests.push_back(Digest::FromBytes({reinterpret_cast<const char*>(hashed[i].data()), Digest::kSize}).value());
  }
  return digests;
}

// The largest power of two below `count`, which is at least 2.
size_t SplitOf(size_t count) {
  size_t split = 1;
  while (split < count - split) split *= 2;  // written so that it cannot overflow
  return split;
}

using DigestIterator = std::vector<Digest>::const_iterator;

Digest RootOfRange(DigestIterator begin, DigestIterator end) {
  std::vector<Digest> peaks;
  uint64_t leaves = 0;
  for (; begin != end; ++begin) AddLeaf(peaks, leaves++, LeafOf(*begin));
  return JoinPeaks(peaks);
}

// Calls `use(bytes)` for consecutive pieces of a file.
template <typename Use>
absl::Status ForEachPiece(const std::filesystem::path& path, Use use) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return ErrnoStatus(errno, "open", path);
  std::vector<char> buffer(size_t{1} << 20);
  while (true) {
    const size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get());
    use(ByteView(buffer.data(), size));
    if (size < buffer.size()) break;
  }
  if (std::ferror(file.get())) return ErrnoStatus(errno, "read", path);
  return absl::OkStatus();
}

}  // namespace

struct Sha256Stream::State {
  DigestContextPtr context{EVP_MD_CTX_new()};
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  Must(state_->context != nullptr && EVP_DigestInit_ex2(state_->context.get(), Sha256Method(), nullptr) == 1,
       "EVP_DigestInit");
}
Sha256Stream::~Sha256Stream() = default;
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;

Sha256Stream& Sha256Stream::Update(ByteView bytes) {
  Must(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1, "EVP_DigestUpdate");
  return *this;
}

Digest Sha256Stream::Finish() {
  Bytes value(Digest::kSize, '\0');
  Must(EVP_DigestFinal_ex(state_->context.get(), Uchars(value), nullptr) == 1 &&
           EVP_DigestInit_ex2(state_->context.get(), Sha256Method(), nullptr) == 1,
       "EVP_DigestFinal");
  return Digest::FromBytes(value).value();
}

Digest Sha256(ByteView bytes) {
  return Sha256Stream().Update(bytes).Finish();
}

absl::StatusOr<Digest> Sha256File(const std::filesystem::path& path) {
  Sha256Stream stream;
  CLOISTER_RETURN_IF_ERROR(ForEachPiece(path, [&](ByteView piece) { stream.Update(piece); }));
  return stream.Finish();
}

MerkleStream::MerkleStream() {
  leaf_.Update(kLeafPrefix);
}

MerkleStream& MerkleStream::Update(ByteView bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (leaf_bytes_ == kLeafBytes) EndLeaf();  // only now is it known not to be the last
    if (leaf_bytes_ == 0 && bytes.size() >= kFewestLanes * kLeafBytes && HasShaLanes()) {
      for (const Digest& leaf : HashLeaves(bytes)) {
        AddLeaf(peaks_, leaves_++, leaf);
        bytes.remove_prefix(kLeafBytes);
      }
      continue;
    }
    const size_t taken = std::min(bytes.size(), kLeafBytes - leaf_bytes_);
    leaf_.Update(bytes.substr(0, taken));
    leaf_bytes_ += taken;
    bytes.remove_prefix(taken);
  }
  return *this;
}

void MerkleStream::EndLeaf() {
  AddLeaf(peaks_, leaves_++, leaf_.Finish());
  leaf_.Update(kLeafPrefix);
  leaf_bytes_ = 0;
}

Digest MerkleStream::Finish() {
  if (leaf_bytes_ > 0) EndLeaf();
  const Digest root = JoinPeaks(peaks_);
  *this = MerkleStream();
  return root;
}

Digest MerkleRoot(ByteView bytes) {
  return MerkleStream().Update(bytes).Finish();
}

Digest MerkleRootOf(const std::vector<Digest>& digests) {
  return RootOfRange(digests.begin(), digests.end());
}

std::vector<Digest> MerklePath(const std::vector<Digest>& digests, size_t index) {
  Must(index < digests.size(), "a Merkle path of an element outside the list");
  std::vector<Digest> path;
  DigestIterator begin = digests.begin();
  DigestIterator end = digests.end();
  while (end - begin > 1) {
    const DigestIterator middle = begin + static_cast<ptrdiff_t>(SplitOf(static_cast<size_t>(end - begin)));
    const size_t left = static_cast<size_t>(middle - begin);
    if (index < left) {
      path.push_back(RootOfRange(middle, end));
      end = middle;
    } else {
      path.push_back(RootOfRange(begin, middle));
      begin = middle;
      index -= left;
    }
  }
  std::reverse(path.begin(), path.end());
  return path;
}

bool MerklePathLeadsTo(const Digest& root, const Digest& digest, uint64_t index, uint64_t count,
                       const std::vector<Digest>& path) {
  if (index >= count) return false;
  // From the root down, remember on which side we are; then hash from the leaf up.
  std::vector<bool> we_are_left;
  while (count > 1) {
    const uint64_t split = SplitOf(count);
    const bool left = index < split;
    we_are_left.push_back(left);
    if (left) {
      count = split;
    } else {
      index -= split;
      count -= split;
    }
  }
  if (we_are_left.size() != path.size()) return false;
  Digest node = LeafOf(digest);
  for (size_t i = 0; i < path.size(); ++i) {
    node = we_are_left[path.size() - 1 - i] ? NodeOf(node, path[i]) : NodeOf(path[i], node);
  }
  return node == root;
}

}  // namespace cloister::crypto
