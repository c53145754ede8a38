// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/spooled_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/random.h"
#include "protocols/secagg/ring.h"
#include "tests/support/temp_dir.h"

namespace cloister::coordinator {
namespace {

template <typename T>
ByteView BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Five survivors' files: some blocks and a bit of one vector, a few counters of the other.
class SpooledSumTest : public ::testing::TestWithParam<int> {
 protected:
  SpooledSumTest() {
    std::mt19937_64 random(7);
    header_.vectors[0].ring_bits = GetParam();
    for (int site = 0; site < 5; ++site) {
      std::vector<uint32_t> update(kLength);
      Bytes packed(kLength * secagg::ElementBytes(GetParam()), '\0');
      std::vector<uint64_t> counters(3);
      for (size_t i = 0; i < update.size(); ++i) {
        update[i] = static_cast<uint32_t>(random());
        update_[i] += update[i];
      }
      for (size_t i = 0; i < counters.size(); ++i) {
        counters[i] = random();
        counters_[i] += counters[i];
      }
      secagg::Pack(absl::MakeConstSpan(update), GetParam(), packed.data());
      const std::filesystem::path path = folder_.path() / std::to_string(site);
      EXPECT_TRUE(WriteFileAtomically(path.string() + "-update", packed).ok());
      EXPECT_TRUE(WriteFileAtomically(path.string() + "-counters", BytesOf(counters)).ok());
      spooled_.push_back({path.string() + "-update", path.string() + "-counters"});
    }
    std::vector<std::vector<secagg::MaskKey>> keys(2);
    for (int stream = 0; stream < 7; ++stream) {
      for (auto& of_vector : keys) of_vector.push_back({crypto::RandomSecret(28), stream % 3 == 0});
    }
    secagg::Reduce(GetParam(), absl::MakeSpan(update_));
    secagg::MaskStreams::Create(keys[0], GetParam()).Apply(0, absl::MakeSpan(update_));
    secagg::MaskStreams::Create(keys[1], 64).Apply(0, absl::MakeSpan(counters_));
    unmasker_.emplace(header_.vectors, std::move(keys));
  }
  absl::Status Run(int threads) { return SumUp(spooled_, *unmasker_, header_, result_, threads); }

  static constexpr size_t kLength = 3 * (size_t{1} << 18) + 77;
  testing::TempDir folder_;
  std::filesystem::path result_ = folder_.path() / "result";
  plan::SumResultHeader header_{
      crypto::Sha256("ctx2"), crypto::Sha256("survivors"), 5, {{"update", kLength, 32}, {"counters", 3, 64}}};
  std::vector<std::vector<std::filesystem::path>> spooled_;
  std::optional<secagg::Unmasker> unmasker_;
  std::vector<uint32_t> update_ = std::vector<uint32_t>(kLength);  // the oracle
  std::vector<uint64_t> counters_ = std::vector<uint64_t>(3);
};

TEST_P(SpooledSumTest, IsTheSumOfTheFilesWithoutMasksWhateverTheThreads) {
  for (const int threads : {1, 2, 3, 16}) {
    ASSERT_TRUE(Run(threads).ok());
    const auto result = plan::SumResult::Open(result_);
    ASSERT_TRUE(result.ok()) << result.status();
    const secagg::RingView values = result->Values(0);
    ASSERT_EQ(values.ring_bits, GetParam());
    std::vector<uint32_t> sum(values.size());
    secagg::Unpack(values.packed.data(), values.ring_bits, absl::MakeSpan(sum));
    EXPECT_TRUE(sum == update_) << threads;
    EXPECT_TRUE(result->Values64(1) == absl::MakeConstSpan(counters_)) << threads;
    EXPECT_EQ(result->header().tag, 5u);
  }
}

TEST_P(SpooledSumTest, AnyCutIntoShardsInAnyOrderGivesTheSameBytes) {
  std::mt19937_64 random(11);
  const uint64_t width = secagg::ElementBytes(GetParam());
  std::string wanted(width * kLength, '\0');
  secagg::Pack(absl::MakeConstSpan(update_), GetParam(), wanted.data());
  for (const size_t count : {1, 2, 7, 40}) {
    std::vector<uint64_t> cuts = {0, kLength};
    for (size_t i = 1; i < count; ++i) cuts.push_back(random() % kLength);
    std::sort(cuts.begin(), cuts.end());
    std::vector<Shard> shards;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) shards.push_back({0, cuts[i], cuts[i + 1] - cuts[i]});
    std::shuffle(shards.begin(), shards.end(), random);
    std::shuffle(spooled_.begin(), spooled_.end(), random);  // who came first
    std::string update(wanted.size(), '\0');
    const PutElements put = [&](size_t vector, uint64_t first, ByteView elements) {
      EXPECT_EQ(vector, 0);
      std::copy(elements.begin(), elements.end(), update.begin() + static_cast<ptrdiff_t>(width * first));
      return absl::OkStatus();
    };
    for (const Shard& shard : shards) ASSERT_TRUE(SumUpShard(shard, GetParam(), spooled_, *unmasker_, put).ok());
    EXPECT_TRUE(update == wanted) << count;
  }
  const PutElements nowhere = [](size_t, uint64_t, ByteView) { return absl::InternalError("nothing to put"); };
  EXPECT_FALSE(SumUpShard({0, kLength, 1}, GetParam(), spooled_, *unmasker_, nowhere).ok());
}

// Sparse files of 4 GiB and more: what is not written in them is zero and takes no room.
TEST(SpooledSumBeyond4GiBTest, ElementsPastThe32BitOffsetsAreSummedLikeAnyOther) {
  const testing::TempDir folder;
  constexpr uint64_t kUpdate = (uint64_t{1} << 30) + 1000;    // elements of 4 bytes
  constexpr uint64_t kCounters = (uint64_t{1} << 29) + 1000;  // elements of 8 bytes
  SpooledVectors spooled;
  std::vector<uint32_t> update(2000);  // from 1000 elements before the end of the first 4 GiB on
  std::vector<uint64_t> counters(2000);
  for (uint32_t site = 0; site < 3; ++site) {
    const std::string path = (folder.path() / std::to_string(site)).string();
    std::vector<uint32_t> of_update(2000, 0x40000000U + site);
    std::vector<uint64_t> of_counters(2000, ~uint64_t{0} - site);
    for (size_t i = 0; i < 2000; ++i) {
      of_update[i] += static_cast<uint32_t>(i);
      update[i] += of_update[i];
      counters[i] += of_counters[i];
    }
    const auto write = [&](const std::string& name, uint64_t size, uint64_t at, ByteView bytes) {
      std::ofstream file(name, std::ios::binary);
      file.seekp(static_cast<std::streamoff>(at));
      file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      file.close();
      std::filesystem::resize_file(name, size);
      ASSERT_TRUE(file.good());
    };
    write(path + "-u", 4 * kUpdate, 4 * (kUpdate - 2000), BytesOf(of_update));
    write(path + "-c", 8 * kCounters, 8 * (kCounters - 2000), BytesOf(of_counters));
    spooled.push_back({path + "-u", path + "-c"});
  }
  std::vector<std::vector<secagg::MaskKey>> keys(2);
  for (auto& of_vector : keys) of_vector.push_back({crypto::RandomSecret(28), true});
  secagg::MaskStreams::Create(keys[0], 32).Apply(kUpdate - 2000, absl::MakeSpan(update));
  secagg::MaskStreams::Create(keys[1], 64).Apply(kCounters - 2000, absl::MakeSpan(counters));
  const secagg::Unmasker unmasker({{"update", kUpdate, 32}, {"counters", kCounters, 64}}, std::move(keys));
  std::string got;
  const PutElements put = [&](size_t, uint64_t, ByteView elements) {
    got.append(elements);
    return absl::OkStatus();
  };
  ASSERT_TRUE(SumUpShard({0, kUpdate - 2000, 2000}, 32, spooled, unmasker, put).ok());
  EXPECT_TRUE(got == BytesOf(update));
  got.clear();
  ASSERT_TRUE(SumUpShard({1, kCounters - 2000, 2000}, 64, spooled, unmasker, put).ok());
  EXPECT_TRUE(got == BytesOf(counters));
}

TEST_P(SpooledSumTest, AFileThatIsGoneOrCutIsALossAndNothingElse) {
  std::filesystem::resize_file(spooled_[3][0], secagg::ElementBytes(GetParam()) * kLength - 1);
  EXPECT_EQ(Run(2).code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove(spooled_[3][0]);
  const absl::Status gone = Run(2);
  EXPECT_EQ(gone.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(gone.message().find(spooled_[3][0].string()), std::string::npos);
  spooled_[3].pop_back();
  EXPECT_EQ(Run(2).code(), absl::StatusCode::kInternal);
}

TEST_P(SpooledSumTest, TroubleOfThisMachineIsNotTheSites) {
  result_ = folder_.path() / "no" / "such" / "folder";
  EXPECT_EQ(Run(2).code(), absl::StatusCode::kNotFound);
  std::filesystem::remove(spooled_[0][0]);
  std::filesystem::create_directory(spooled_[0][0]);
  result_ = folder_.path() / "result";
  EXPECT_EQ(Run(2).code(), absl::StatusCode::kUnavailable);
}

INSTANTIATE_TEST_SUITE_P(Rings, SpooledSumTest, ::testing::Values(16, 24, 32));

}  // namespace
}  // namespace cloister::coordinator
