// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/storage/blob_files.h"
#include "tests/protocols/storage/child.h"
#include "tests/support/temp_dir.h"

namespace cloister::storage {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::Child;
using ::testing::HasSubstr;

Bytes Random(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

// Nested folders aside, what lies in the store.
size_t FileCount(const fs::path& folder) {
  size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) count += entry.is_regular_file() ? 1 : 0;
  return count;
}

class BlobStoreTest : public ::testing::Test {
 protected:
  BlobStoreTest() : store_(BlobStore::Open(root()).value()) {}
  fs::path root() const { return dir_.path() / "store"; }

  testing::TempDir dir_;
  BlobStore store_;
};

TEST_F(BlobStoreTest, KeepsContentByItsHash) {
  for (const Bytes& bytes : {Bytes(), Bytes("x"), Bytes("a\0b", 3), Random(3 << 20, 1)}) {
    const Digest digest = store_.Put(bytes).value();
    EXPECT_EQ(digest, crypto::Sha256(bytes));
    EXPECT_TRUE(store_.Has(digest));
    EXPECT_EQ(store_.SizeBytes(digest).value(), bytes.size());
    EXPECT_EQ(store_.Read(digest).value(), bytes);
    EXPECT_TRUE(store_.Verify(digest).ok());
    EXPECT_EQ(store_.Put(bytes).value(), digest);
    EXPECT_EQ(store_.Path(digest), root() / "blobs" / digest.hex().substr(0, 2) / digest.hex().substr(2));
    struct stat info {};
    ASSERT_EQ(stat(store_.Path(digest).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0444u);
  }
  EXPECT_EQ(FileCount(root()), 4u);
  const std::vector<Digest> list = store_.List().value();
  EXPECT_EQ(list.size(), 4u);
  EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
  EXPECT_EQ(BlobStore::Open(root())->List().value(), list);
}

TEST_F(BlobStoreTest, WhatIsNotThereIsNotFound) {
  const Digest digest = crypto::Sha256("nothing");
  EXPECT_FALSE(store_.Has(digest));
  EXPECT_EQ(store_.SizeBytes(digest).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_.Read(digest).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_.Verify(digest).code(), StatusCode::kNotFound);
  EXPECT_TRUE(store_.Remove(digest).ok());
  const Digest there = store_.Put("x").value();
  ASSERT_TRUE(store_.Remove(there).ok());
  EXPECT_FALSE(store_.Has(there));
}

TEST_F(BlobStoreTest, ForeignFilesAreNotListed) {
  const Digest digest = store_.Put("x").value();
  fs::create_directories(root() / "blobs" / "zz");
  fs::create_directories(root() / "blobs" / "lost+found");
  ASSERT_TRUE(WriteFileAtomically(root() / "blobs" / "zz" / "readme", "x").ok());
  ASSERT_TRUE(WriteFileAtomically(root() / "blobs" / "file", "x").ok());
  // Right digits, wrong folder or upper case: no blob could be found there.
  fs::create_directories(root() / "blobs" / "AB");
  ASSERT_TRUE(WriteFileAtomically(root() / "blobs" / "AB" / std::string(62, 'c'), "x").ok());
  EXPECT_EQ(store_.List().value(), std::vector<Digest>{digest});
}

TEST_F(BlobStoreTest, DamageIsFoundAndPutRepairsATruncatedBlob) {
  const Bytes bytes = Random(10000, 2);
  const Digest digest = store_.Put(bytes).value();
  const fs::path path = store_.Path(digest);
  Bytes flipped = bytes;
  flipped[5000] = static_cast<char>(flipped[5000] ^ 1);
  ASSERT_TRUE(WriteFileAtomically(path, flipped).ok());
  EXPECT_EQ(store_.Read(digest).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(store_.Verify(digest).code(), StatusCode::kDataLoss);
  ASSERT_TRUE(WriteFileAtomically(path, bytes.substr(0, 9999)).ok());
  EXPECT_EQ(store_.Verify(digest).code(), StatusCode::kDataLoss);
  EXPECT_EQ(store_.Put(bytes).value(), digest);
  EXPECT_EQ(store_.Read(digest).value(), bytes);
  EXPECT_EQ(store_.Read(digest, 9999).status().code(), StatusCode::kResourceExhausted);
}

TEST_F(BlobStoreTest, PutFileCopiesOrMoves) {
  const Bytes bytes = Random(700000, 3);
  const fs::path source = dir_.path() / "model.safetensors";
  ASSERT_TRUE(WriteFileAtomically(source, bytes).ok());
  const Digest digest = store_.PutFile(source).value();
  EXPECT_EQ(store_.Read(digest).value(), bytes);
  EXPECT_TRUE(fs::exists(source));
  // Not linked: a later change of the source is not a change of the blob.
  ASSERT_TRUE(fs::remove(source));
  ASSERT_TRUE(WriteFileAtomically(source, bytes).ok());
  ASSERT_TRUE(store_.Remove(digest).ok());
  EXPECT_EQ(store_.PutFile(source, BlobStore::Take::kMove).value(), digest);
  EXPECT_FALSE(fs::exists(source));
  EXPECT_EQ(store_.Read(digest).value(), bytes);
  EXPECT_EQ(FileCount(root()), 1u);
}

TEST_F(BlobStoreTest, AdoptMovesAFileUnderItsHash) {
  const Bytes bytes = Random(70000, 4);
  const Digest digest = crypto::Sha256(bytes);
  const fs::path source = dir_.path() / "next-model";
  EXPECT_EQ(store_.Adopt(source, digest).code(), StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(source, bytes).ok());
  ASSERT_TRUE(store_.Adopt(source, digest).ok());
  EXPECT_FALSE(fs::exists(source));
  EXPECT_EQ(store_.Read(digest).value(), bytes);
  // Nobody looks into the file, so a wrong hash shows when it is verified.
  ASSERT_TRUE(WriteFileAtomically(source, "other").ok());
  ASSERT_TRUE(store_.Adopt(source, crypto::Sha256("another")).ok());
  EXPECT_EQ(store_.Verify(crypto::Sha256("another")).code(), StatusCode::kDataLoss);
}

TEST_F(BlobStoreTest, ACacheHoldsTheSameFiles) {
  BlobStore cache = BlobStore::Open(root(), BlobStore::Use::kCache).value();
  const Digest digest = cache.Put("abc").value();
  EXPECT_EQ(store_.Read(digest).value(), "abc");
  EXPECT_TRUE(cache.Sync(digest).ok());
  PartialBlob partial = cache.OpenPartial("t", crypto::Sha256("de"), 2).value();
  ASSERT_TRUE(partial.Append(0, "de").ok());
  ASSERT_TRUE(partial.Finish().ok());
  EXPECT_TRUE(cache.Verify(crypto::Sha256("de")).ok());
  EXPECT_EQ(cache.Sync(crypto::Sha256("missing")).code(), StatusCode::kNotFound);
}

TEST_F(BlobStoreTest, PutFileMovesAcrossFileSystems) {
  struct stat here {
  }, there{};
  if (stat(dir_.path().c_str(), &here) != 0 || stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev) {
    GTEST_SKIP() << "there is no second file system to move from";
  }
  const fs::path source = "/dev/shm/" + dir_.path().filename().string();
  ASSERT_TRUE(WriteFileAtomically(source, "from afar").ok());
  const absl::StatusOr<Digest> digest = store_.PutFile(source, BlobStore::Take::kMove);
  EXPECT_FALSE(fs::exists(source));
  fs::remove(source);
  ASSERT_TRUE(digest.ok()) << digest.status().ToString();
  EXPECT_EQ(store_.Read(*digest).value(), "from afar");
  EXPECT_EQ(FileCount(root()), 1u);
}

TEST_F(BlobStoreTest, PutFileTakesRegularFilesOnly) {
  ASSERT_TRUE(WriteFileAtomically(dir_.path() / "secret", "key").ok());
  fs::create_symlink(dir_.path() / "secret", dir_.path() / "link");
  ASSERT_EQ(mkfifo((dir_.path() / "pipe").c_str(), 0600), 0);
  for (const BlobStore::Take take : {BlobStore::Take::kCopy, BlobStore::Take::kMove}) {
    EXPECT_EQ(store_.PutFile(dir_.path() / "link", take).status().code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(store_.PutFile(dir_.path() / "pipe", take).status().code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(store_.PutFile(dir_.path(), take).status().code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(store_.PutFile(dir_.path() / "none", take).status().code(), StatusCode::kNotFound);
  }
  EXPECT_EQ(FileCount(root()), 0u);
}

TEST_F(BlobStoreTest, TransfersResumeAtEveryCut) {
  const Bytes bytes = Random(97, 4);
  const Digest digest = crypto::Sha256(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    {
      PartialBlob partial = store_.OpenPartial("site-a-update", digest, bytes.size()).value();
      EXPECT_EQ(partial.received_bytes(), 0u);
      EXPECT_EQ(partial.total_bytes(), bytes.size());
      ASSERT_TRUE(partial.Append(0, ByteView(bytes).substr(0, cut)).ok());
    }
    BlobStore again = BlobStore::Open(root()).value();
    PartialBlob partial = again.OpenPartial("site-a-update", digest, bytes.size()).value();
    EXPECT_EQ(partial.received_bytes(), cut);
    if (cut < bytes.size()) {
      EXPECT_EQ(partial.Finish().code(), StatusCode::kFailedPrecondition);
    }
    ASSERT_TRUE(partial.Append(cut, ByteView(bytes).substr(cut)).ok());
    ASSERT_TRUE(partial.Finish().ok());
    EXPECT_EQ(partial.Finish().code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(partial.Append(0, "x").code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(again.Read(digest).value(), bytes);
    EXPECT_EQ(FileCount(root()), 1u);
    ASSERT_TRUE(again.Remove(digest).ok());
  }
}

TEST_F(BlobStoreTest, EmptyTransfersFinish) {
  PartialBlob partial = store_.OpenPartial("a", crypto::Sha256(""), 0).value();
  EXPECT_TRUE(partial.Append(0, "").ok());
  EXPECT_EQ(partial.Append(0, "x").code(), StatusCode::kOutOfRange);
  EXPECT_TRUE(partial.Finish().ok());
  EXPECT_TRUE(store_.Has(crypto::Sha256("")));
}

TEST_F(BlobStoreTest, WrongOffsetsAndTooManyBytesAreRefusedAndForgotten) {
  PartialBlob partial = store_.OpenPartial("a", crypto::Sha256("0123456789"), 10).value();
  ASSERT_TRUE(partial.Append(0, "01234").ok());
  for (const uint64_t offset : {uint64_t{0}, uint64_t{4}, uint64_t{6}, ~uint64_t{0}}) {
    const absl::Status status = partial.Append(offset, "5");
    EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(status.message()), HasSubstr("5 have arrived"));
  }
  EXPECT_EQ(partial.Append(5, "567890").code(), StatusCode::kOutOfRange);
  ASSERT_TRUE(partial.Append(5, "56789").ok());
  EXPECT_TRUE(partial.Finish().ok());
}

TEST_F(BlobStoreTest, AWrongHashIsDataLossAndStartsAnew) {
  const Digest digest = crypto::Sha256("right");
  PartialBlob partial = store_.OpenPartial("a", digest, 5).value();
  ASSERT_TRUE(partial.Append(0, "wrong").ok());
  EXPECT_EQ(partial.Finish().code(), StatusCode::kDataLoss);
  EXPECT_EQ(FileCount(root()), 0u);
  EXPECT_FALSE(store_.Has(digest));
  PartialBlob again = store_.OpenPartial("a", digest, 5).value();
  EXPECT_EQ(again.received_bytes(), 0u);
  ASSERT_TRUE(again.Append(0, "right").ok());
  EXPECT_TRUE(again.Finish().ok());
}

// The disk changes what had arrived before a restart.
TEST_F(BlobStoreTest, DamageBetweenTwoSessionsIsFound) {
  const Digest digest = crypto::Sha256("0123456789");
  fs::path path;
  {
    PartialBlob partial = store_.OpenPartial("a", digest, 10).value();
    ASSERT_TRUE(partial.Append(0, "01234").ok());
    path = *fs::directory_iterator(root() / "partial");
  }
  ASSERT_TRUE(WriteFileAtomically(path, "01x34").ok());
  {
    PartialBlob partial = store_.OpenPartial("a", digest, 10).value();
    ASSERT_TRUE(partial.Append(5, "56789").ok());
    EXPECT_EQ(partial.Finish().code(), StatusCode::kDataLoss);
  }
  // Longer than it can be: not to be trusted.
  ASSERT_TRUE(WriteFileAtomically(path, "0123456789x").ok());
  EXPECT_EQ(store_.OpenPartial("a", digest, 10)->received_bytes(), 0u);
}

TEST_F(BlobStoreTest, OneTransferIsOpenOnce) {
  const Digest digest = crypto::Sha256("x");
  absl::StatusOr<PartialBlob> first = store_.OpenPartial("a", digest, 1);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(store_.OpenPartial("a", digest, 1).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(store_.OpenPartial("a", crypto::Sha256("y"), 1).status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(store_.OpenPartial("b", digest, 1).ok());
  first = absl::CancelledError();
  EXPECT_TRUE(store_.OpenPartial("a", digest, 1).ok());
}

TEST_F(BlobStoreTest, AnotherContentUnderTheSameIdReplacesIt) {
  {
    PartialBlob partial = store_.OpenPartial("a", crypto::Sha256("first"), 5).value();
    ASSERT_TRUE(partial.Append(0, "fir").ok());
    PartialBlob other = store_.OpenPartial("a-b", crypto::Sha256("first"), 5).value();
    ASSERT_TRUE(other.Append(0, "f").ok());
  }
  EXPECT_EQ(store_.OpenPartial("a", crypto::Sha256("other"), 5)->received_bytes(), 0u);
  EXPECT_EQ(FileCount(root() / "partial"), 2u);
  EXPECT_EQ(store_.OpenPartial("a", crypto::Sha256("other"), 6)->received_bytes(), 0u);
  EXPECT_EQ(FileCount(root() / "partial"), 2u);
  EXPECT_EQ(store_.OpenPartial("a-b", crypto::Sha256("first"), 5)->received_bytes(), 1u);
}

TEST_F(BlobStoreTest, IdsCannotLeaveTheFolder) {
  for (const std::string& id : {std::string(), std::string("../x"), std::string("a/b"), std::string("A"),
                                std::string("a\0b", 3), std::string(64, 'a'), std::string(".")}) {
    EXPECT_EQ(store_.OpenPartial(id, Digest(), 1).status().code(), StatusCode::kInvalidArgument) << id;
  }
}

TEST_F(BlobStoreTest, PartialNamesParseOnlyIfTheyAreOurs) {
  const Digest digest = crypto::Sha256("x");
  for (const std::string id : {"a", "site-a-update", "0", "a-1"}) {
    EXPECT_EQ(ParsePartialName(PartialName(id, digest, 123)), id);
    EXPECT_EQ(ParsePartialName(PartialName(id, digest, ~uint64_t{0})), id);
  }
  const std::string name = PartialName("a", digest, 1);
  for (size_t cut = 0; cut < name.size(); ++cut) {
    EXPECT_FALSE(ParsePartialName(name.substr(0, cut)));
    EXPECT_FALSE(ParsePartialName(name.substr(cut + 1)) == "a") << cut;
  }
  for (const char* foreign : {"", ".part", "-.part", "a.part", "tmp-abcdef", "x-y-1.part", "--1.part"}) {
    EXPECT_FALSE(ParsePartialName(foreign)) << foreign;
  }
}

TEST_F(BlobStoreTest, OldPartialsAreSweptButNotOpenOnes) {
  const absl::Time now = absl::Now();
  PartialBlob open = store_.OpenPartial("open", crypto::Sha256("x"), 1).value();
  (void)store_.OpenPartial("closed", crypto::Sha256("x"), 1).value();
  ASSERT_TRUE(WriteFileAtomically(root() / "partial" / "note", "not ours").ok());
  EXPECT_EQ(store_.SweepPartials(now, absl::Hours(1)).value(), 0u);
  EXPECT_EQ(store_.SweepPartials(now + absl::Hours(2), absl::Hours(1)).value(), 1u);
  EXPECT_EQ(FileCount(root() / "partial"), 2u);
  ASSERT_TRUE(open.Append(0, "x").ok());
  EXPECT_TRUE(open.Finish().ok());
}

// What has arrived is a sparse file of 5 bytes less than 4 GiB, which takes no room.
TEST_F(BlobStoreTest, TransfersGoOnPast4GiB) {
  constexpr uint64_t kArrived = (uint64_t{1} << 32) - 5;
  const Bytes rest = "abcdefghij";
  // SHA-256 of that many zeros and `rest`, by Python's hashlib.
  const Digest digest = *Digest::FromHex("bbbf69820af68be7dc58e5eb897084b7d82b10a196354d20de782f1341ef8a0d");
  const uint64_t total = kArrived + rest.size();
  ASSERT_TRUE(store_.OpenPartial("large", digest, total).ok());
  fs::resize_file(PartialFolder(store_.root()) / PartialName("large", digest, total), kArrived);
  auto partial = store_.OpenPartial("large", digest, total);
  ASSERT_TRUE(partial.ok()) << partial.status();
  EXPECT_EQ(partial->received_bytes(), kArrived);
  EXPECT_EQ(partial->Append(kArrived - (uint64_t{1} << 32), rest).code(), StatusCode::kOutOfRange);
  ASSERT_TRUE(partial->Append(kArrived, rest).ok());
  EXPECT_EQ(partial->Append(total, "k").code(), StatusCode::kOutOfRange);
  const absl::Status finished = partial->Finish();
  ASSERT_TRUE(finished.ok()) << finished;
  EXPECT_EQ(*store_.SizeBytes(digest), total);
}

TEST_F(BlobStoreTest, DiscardRemovesWhatHasArrived) {
  PartialBlob partial = store_.OpenPartial("a", crypto::Sha256("xy"), 2).value();
  ASSERT_TRUE(partial.Append(0, "x").ok());
  ASSERT_TRUE(partial.Discard().ok());
  EXPECT_TRUE(partial.Discard().ok());
  EXPECT_EQ(FileCount(root()), 0u);
  EXPECT_EQ(store_.OpenPartial("a", crypto::Sha256("xy"), 2)->received_bytes(), 0u);
}

TEST_F(BlobStoreTest, StartUpSweepsAbandonedTemporariesOnly) {
  const fs::path old = root() / "partial" / "tmp-dead00";
  const fs::path fresh = root() / "partial" / "tmp-fresh0";
  const fs::path held = root() / "partial" / "tmp-held00";
  for (const fs::path& path : {old, fresh, held}) ASSERT_TRUE(WriteFileAtomically(path, "half").ok());
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(old, long_ago);
  fs::last_write_time(held, long_ago);
  const Descriptor lock = OpenLocked(held).value();
  ASSERT_TRUE(BlobStore::Open(root()).ok());
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(fs::exists(held));
}

TEST_F(BlobStoreTest, ThreadsMayPutTheSameContent) {
  const Bytes bytes = Random(100000, 7);
  std::atomic<int> errors = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) errors += store_.Put(bytes + std::to_string(i)).ok() ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, 0);
  EXPECT_EQ(store_.List().value().size(), 10u);
  EXPECT_EQ(FileCount(root()), 10u);
  const std::vector<Digest> list = store_.List().value();
  for (const Digest& digest : list) EXPECT_TRUE(store_.Verify(digest).ok());
}

// ---- Crashes and full disks

TEST_F(BlobStoreTest, KillNineInATransferResumesToTheRightContent) {
  const Bytes bytes = Random(1 << 20, 5);
  const Digest digest = crypto::Sha256(bytes);
  const size_t piece = 4099;
  for (int run = 0; run < 10; ++run) {
    Child child([&](int progress) -> std::string {
      PartialBlob partial = store_.OpenPartial("a", digest, bytes.size()).value();
      for (int pieces = 0; pieces < 20; ++pieces) {  // ten runs of these do not reach the end
        const uint64_t at = partial.received_bytes();
        if (!partial.Append(at, ByteView(bytes).substr(at, piece)).ok()) return "append";
        if (write(progress, "p", 1) != 1) return "pipe";
      }
      pause();
      return "";
    });
    for (int i = 0; i < 2 * run + 1; ++i) ASSERT_EQ(child.ReadProgress().value_or('x'), 'p');
    child.Kill();
  }
  PartialBlob partial = BlobStore::Open(root())->OpenPartial("a", digest, bytes.size()).value();
  EXPECT_GE(partial.received_bytes(), 100 * piece);
  EXPECT_LT(partial.received_bytes(), bytes.size());
  const uint64_t at = partial.received_bytes();
  ASSERT_TRUE(partial.Append(at, ByteView(bytes).substr(at)).ok());
  ASSERT_TRUE(partial.Finish().ok());
  EXPECT_EQ(store_.Read(digest).value(), bytes);
}

TEST_F(BlobStoreTest, KillNineInPutLeavesWholeBlobsOnly) {
  for (int run = 0; run < 10; ++run) {
    Child child([&](int progress) -> std::string {
      for (unsigned i = 0;; ++i) {
        if (!store_.Put(Random(300000, 100 * static_cast<unsigned>(run) + i)).ok()) return "put";
        if (write(progress, "p", 1) != 1) return "pipe";
      }
    });
    for (int i = 0; i <= run % 4; ++i) ASSERT_EQ(child.ReadProgress().value_or('x'), 'p');
    std::this_thread::sleep_for(std::chrono::microseconds(311 * run));
    child.Kill();
  }
  for (const auto& entry : fs::directory_iterator(root() / "partial")) {
    fs::last_write_time(entry, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }
  BlobStore again = BlobStore::Open(root()).value();
  EXPECT_EQ(FileCount(root() / "partial"), 0u);
  const std::vector<Digest> list = again.List().value();
  EXPECT_GE(list.size(), 10u);
  for (const Digest& digest : list) EXPECT_TRUE(again.Verify(digest).ok());
}

// The store's disk is nearly full until `space` makes room.
std::string FillUp(const fs::path& root, const std::function<void()>& space) {
  absl::StatusOr<BlobStore> store = BlobStore::Open(root);
  if (!store.ok()) return store.status().ToString();
  const Bytes bytes = Random(3 << 20, 6);
  if (store->Put(bytes).status().code() != StatusCode::kResourceExhausted) return "Put is not RESOURCE_EXHAUSTED";
  if (FileCount(root) != 0) return "Put left something behind";
  PartialBlob partial = store->OpenPartial("a", crypto::Sha256(bytes), bytes.size()).value();
  absl::Status status;
  const size_t piece = 100003;
  uint64_t at = 0;
  while (status.ok() && at < bytes.size()) {
    status = partial.Append(at, ByteView(bytes).substr(at, piece));
    if (status.ok()) at = partial.received_bytes();
  }
  if (status.code() != StatusCode::kResourceExhausted) return "Append: " + status.ToString();
  if (partial.received_bytes() != at || at % piece != 0) return "a piece was half kept";
  space();
  for (; at < bytes.size(); at = partial.received_bytes()) {
    status = partial.Append(at, ByteView(bytes).substr(at, piece));
    if (!status.ok()) return "does not go on: " + status.ToString();
  }
  if (status = partial.Finish(); !status.ok()) return status.ToString();
  if (store->Read(crypto::Sha256(bytes)).value_or("") != bytes) return "not the content";
  return "";
}

TEST_F(BlobStoreTest, AFileSizeLimitIsReportedAndSurvived) {
  Child child([&](int) {
    testing::LimitFileSize(1 << 20);
    return FillUp(root(), [] { testing::LimitFileSize(RLIM_INFINITY); });
  });
  EXPECT_EQ(child.Wait(), "");
}

TEST_F(BlobStoreTest, AFullDiskIsReportedAndSurvived) {
  Child child([&](int) -> std::string {
    const fs::path disk = dir_.path() / "disk";
    fs::create_directory(disk);
    if (const std::string why = testing::MountTinyDisk(disk.string(), "4m"); !why.empty()) return "CANNOT " + why;
    const fs::path ballast = disk / "ballast";
    if (!WriteFileAtomically(ballast, Bytes(2 << 20, 'b')).ok()) return "ballast";
    return FillUp(disk / "store", [&] { fs::remove(ballast); });
  });
  const std::string error = child.Wait();
  if (error.find("CANNOT") != std::string::npos) GTEST_SKIP() << "no tmpfs can be mounted here: " << error;
  EXPECT_EQ(error, "");
}

}  // namespace
}  // namespace cloister::storage
