// SPDX-License-Identifier: Apache-2.0
#include "protocols/crypto/hash.h"

#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "tests/support/temp_dir.h"

namespace cloister::crypto {
namespace {

TEST(Sha256Test, Fips1804) {
  EXPECT_EQ(Sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256Stream stream;
  for (int i = 0; i < 1000; ++i) stream.Update(Bytes(1000, 'a'));
  EXPECT_EQ(stream.Finish().hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(stream.Update("abc").Finish(), Sha256("abc")) << "a finished stream starts again";
}

// RFC 6962 section 2.1, word for word.
Digest NaiveTree(const std::vector<Bytes>& leaves) {
  if (leaves.empty()) return Sha256("");
  if (leaves.size() == 1) return Sha256(Bytes(1, '\0') + leaves[0]);
  size_t split = 1;
  while (split * 2 < leaves.size()) split *= 2;
  const Digest left = NaiveTree({leaves.begin(), leaves.begin() + static_cast<long>(split)});
  const Digest right = NaiveTree({leaves.begin() + static_cast<long>(split), leaves.end()});
  return Sha256(Bytes(1, '\1') + Bytes(left.view()) + Bytes(right.view()));
}

TEST(MerkleStreamTest, IsTheTreeOfRfc6962) {
  for (const size_t size :
       {size_t{0}, size_t{1}, MerkleStream::kLeafBytes - 1, MerkleStream::kLeafBytes, MerkleStream::kLeafBytes + 1,
        2 * MerkleStream::kLeafBytes, 3 * MerkleStream::kLeafBytes, 5 * MerkleStream::kLeafBytes + 77,
        8 * MerkleStream::kLeafBytes, 23 * MerkleStream::kLeafBytes + 5}) {
    Bytes bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + (i >> 20));
    std::vector<Bytes> leaves;
    for (size_t at = 0; at < size; at += MerkleStream::kLeafBytes)
      leaves.push_back(bytes.substr(at, MerkleStream::kLeafBytes));
    const Digest root = NaiveTree(leaves);
    EXPECT_EQ(MerkleRoot(bytes), root) << size;
    MerkleStream stream;
    for (size_t at = 0; at < size; at += 300007) stream.Update(ByteView(bytes).substr(at, 300007));
    EXPECT_EQ(stream.size_bytes(), size);
    EXPECT_EQ(stream.Finish(), root) << size;
    EXPECT_EQ(stream.Finish(), Sha256("")) << "a finished stream starts again";
  }
}

TEST(MerklePathTest, LeadsToTheRootForEveryElementAndNothingElse) {
  std::vector<Digest> list;
  for (size_t count = 1; count <= 20; ++count) {
    list.push_back(Sha256(std::to_string(count)));
    const Digest root = MerkleRootOf(list);
    std::vector<Bytes> leaves;
    for (const Digest& digest : list) leaves.emplace_back(digest.view());
    ASSERT_EQ(root, NaiveTree(leaves));
    for (size_t i = 0; i < count; ++i) {
      std::vector<Digest> path = MerklePath(list, i);
      EXPECT_TRUE(MerklePathLeadsTo(root, list[i], i, count, path));
      EXPECT_FALSE(MerklePathLeadsTo(root, Sha256("other"), i, count, path));
      EXPECT_FALSE(MerklePathLeadsTo(root, list[i], count, count, path));
      for (size_t other = 0; other < count; ++other) {
        if (other == i) continue;
        EXPECT_FALSE(MerklePathLeadsTo(root, list[i], other, count, path)) << count << i << other;
      }
      path.push_back(root);
      EXPECT_FALSE(MerklePathLeadsTo(root, list[i], i, count, path));
      path.pop_back();
      if (!path.empty()) {
        path.pop_back();
        EXPECT_FALSE(MerklePathLeadsTo(root, list[i], i, count, path));
      }
    }
  }
  EXPECT_FALSE(MerklePathLeadsTo(Digest(), Digest(), 0, 0, {}));
  EXPECT_FALSE(MerklePathLeadsTo(Digest(), Digest(), 5, ~uint64_t{0}, {}));
}

TEST(FileDigestTest, EqualsTheDigestOfTheBytes) {
  const testing::TempDir dir;
  const Bytes bytes(3 * MerkleStream::kLeafBytes + 5, 'x');
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "f", bytes).ok());
  EXPECT_EQ(Sha256File(dir.path() / "f").value(), Sha256(bytes));
  EXPECT_EQ(Sha256File(dir.path() / "missing").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(Sha256File(dir.path()).ok());
}

}  // namespace
}  // namespace cloister::crypto
