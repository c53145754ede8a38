// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/sum_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/secagg/shamir.h"
#include "tests/support/temp_dir.h"

namespace cloister::plan {
namespace {

using ::testing::HasSubstr;
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

class SumResultTest : public ::testing::Test {
 protected:
  SumResultTest() {
    secagg::CheckTag tag(check_.seed, vectors_);
    tag.Add(0, 0, absl::Span<const uint32_t>(update_));
    tag.Add(1, 0, absl::Span<const uint64_t>(counters_));
    header_ = {check_.ctx2, check_.survivors, tag.value(), vectors_};
  }
  absl::Status Write() const {
    CLOISTER_ASSIGN_OR_RETURN(const SumResultWriter writer, SumResultWriter::Create(path_, header_));
    CLOISTER_RETURN_IF_ERROR(writer.Write(1, 0, {reinterpret_cast<const char*>(counters_.data()), 16}));
    CLOISTER_RETURN_IF_ERROR(writer.Write(0, 2, {reinterpret_cast<const char*>(update_.data() + 2), 12}));
    return writer.Write(0, 0, {reinterpret_cast<const char*>(update_.data()), 8});
  }
  absl::Status WriteAndCheck() const {
    EXPECT_TRUE(Write().ok());
    CLOISTER_ASSIGN_OR_RETURN(const SumResult result, SumResult::Open(path_));
    return CheckSumResult(result, check_, vectors_);
  }

  testing::TempDir folder_;
  std::filesystem::path path_ = folder_.path() / "result";
  secagg::SumCheck check_{crypto::Sha256("ctx2"), crypto::Sha256("survivors"),
                          crypto::SecretBytes::CopyOf(crypto::Sha256("seed").view())};
  std::vector<secagg::VectorSpec> vectors_ = {{"update", 5, 32}, {"counters", 2, 64}};
  std::vector<uint32_t> update_ = {1, 0xffffffffU, 3, 0x80000000U, 5};
  std::vector<uint64_t> counters_ = {700, 1};
  SumResultHeader header_;
};

TEST_F(SumResultTest, SaysWhatWasWritten) {
  ASSERT_TRUE(Write().ok());
  const auto result = SumResult::Open(path_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->header().ctx2, check_.ctx2);
  EXPECT_EQ(result->header().vectors, vectors_);
  EXPECT_EQ(result->Values(0).ring_bits, 32);
  EXPECT_EQ(result->Values(0).packed, ByteView(reinterpret_cast<const char*>(update_.data()), 20));
  EXPECT_EQ(result->Values(1).size(), 2u);
  EXPECT_THAT(result->Values64(1), ::testing::ElementsAreArray(counters_));
  EXPECT_TRUE(result->Values64(0).empty());
  EXPECT_LE(std::filesystem::file_size(path_), MostSumResultBytes(vectors_));
  EXPECT_TRUE(CheckSumResult(*result, check_, vectors_).ok());
}

TEST_F(SumResultTest, EveryChangeIsFound) {
  EXPECT_TRUE(WriteAndCheck().ok());
  for (uint32_t& value : update_) {
    value += 1;
    EXPECT_EQ(WriteAndCheck().code(), absl::StatusCode::kAborted);
    value -= 1;
  }
  counters_[0] += 1;
  EXPECT_THAT(std::string(WriteAndCheck().message()), HasSubstr("do not have the sites' tags"));
  counters_[0] += secagg::kFieldPrime - 1;  // the same modulo the field of the tag
  EXPECT_THAT(std::string(WriteAndCheck().message()), HasSubstr("impossibly large"));
  counters_[0] -= secagg::kFieldPrime;
  header_.survivors = crypto::Sha256("others");
  EXPECT_THAT(std::string(WriteAndCheck().message()), HasSubstr("another sum"));
  header_.survivors = check_.survivors;
  header_.vectors[0].name = "weights";
  EXPECT_THAT(std::string(WriteAndCheck().message()), HasSubstr("other vectors"));
  header_.vectors = vectors_;
  EXPECT_TRUE(WriteAndCheck().ok());
}

// The same numbers in every ring: signed, packed, found when changed by one.
TEST_F(SumResultTest, EveryRingIsCheckedAsItLies) {
  const std::vector<int64_t> totals = {1, -1, 32767, -32768, 5};
  for (const int bits : {16, 24, 32, 64}) {
    const auto write = [&](const std::vector<int64_t>& update) {
      const std::vector<uint64_t> wide(update.begin(), update.end());
      const std::vector<uint32_t> narrow(update.begin(), update.end());
      Bytes packed(update.size() * secagg::ElementBytes(bits), '\0');
      bits == 64 ? secagg::Pack(absl::MakeConstSpan(wide), bits, packed.data())
                 : secagg::Pack(absl::MakeConstSpan(narrow), bits, packed.data());
      const auto writer = SumResultWriter::Create(path_, header_);
      EXPECT_TRUE(writer->Write(0, 0, packed).ok());
      EXPECT_TRUE(writer->Write(1, 0, {reinterpret_cast<const char*>(counters_.data()), 16}).ok());
      const auto result = SumResult::Open(path_);
      EXPECT_TRUE(result.ok()) << result.status();
      std::vector<int64_t> read(update.size());
      result->Values(0).ReadSigned(0, absl::MakeSpan(read));
      EXPECT_EQ(read, update);
      return CheckSumResult(*result, check_, vectors_);
    };
    vectors_[0].ring_bits = bits;
    secagg::CheckTag tag(check_.seed, vectors_);
    const std::vector<uint64_t> wide(totals.begin(), totals.end());
    std::vector<uint32_t> narrow(totals.begin(), totals.end());
    secagg::Reduce(std::min(bits, 32), absl::MakeSpan(narrow));
    bits == 64 ? tag.Add(0, 0, absl::MakeConstSpan(wide)) : tag.Add(0, 0, absl::MakeConstSpan(narrow));
    tag.Add(1, 0, absl::Span<const uint64_t>(counters_));
    header_ = {check_.ctx2, check_.survivors, tag.value(), vectors_};
    EXPECT_TRUE(write(totals).ok()) << bits;
    for (size_t i = 0; i < totals.size(); ++i) {
      std::vector<int64_t> changed = totals;
      changed[i] += changed[i] > 0 ? -1 : 1;
      EXPECT_EQ(write(changed).code(), absl::StatusCode::kAborted) << bits << " " << i;
    }
  }
  for (const int64_t prime : {static_cast<int64_t>(secagg::kFieldPrime), -static_cast<int64_t>(secagg::kFieldPrime)}) {
    std::vector<uint64_t> changed(totals.begin(), totals.end());
    changed[1] += static_cast<uint64_t>(prime);  // unseen by the tag
    const auto writer = SumResultWriter::Create(path_, header_);
    EXPECT_TRUE(writer->Write(0, 0, {reinterpret_cast<const char*>(changed.data()), 40}).ok());
    EXPECT_TRUE(writer->Write(1, 0, {reinterpret_cast<const char*>(counters_.data()), 16}).ok());
    const auto result = SumResult::Open(path_);
    EXPECT_THAT(std::string(CheckSumResult(*result, check_, vectors_).message()), HasSubstr("impossibly large"));
  }
}

TEST_F(SumResultTest, DamagedFilesAreRefused) {
  ASSERT_TRUE(Write().ok());
  const Bytes good = ReadFile(path_).value();
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_TRUE(WriteFileAtomically(path_, good.substr(0, size)).ok());
    EXPECT_EQ(SumResult::Open(path_).status().code(), kDataLoss) << size;
  }
  ASSERT_TRUE(WriteFileAtomically(path_, good + '\0').ok());
  EXPECT_EQ(SumResult::Open(path_).status().code(), kDataLoss);
  for (size_t at = 0; at < good.size(); ++at) {
    Bytes changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 0x80);
    ASSERT_TRUE(WriteFileAtomically(path_, changed).ok());
    const auto result = SumResult::Open(path_);
    if (result.ok()) {
      (void)CheckSumResult(*result, check_, vectors_);  // padding may differ; nothing may crash
    }
  }
  EXPECT_EQ(SumResult::Open(folder_.path() / "none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SumResultTest, NothingIsWrittenOutsideAVector) {
  const auto writer = SumResultWriter::Create(path_, header_);
  ASSERT_TRUE(writer.ok()) << writer.status();
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(writer->Write(2, 0, "").code(), kInvalid);
  EXPECT_EQ(writer->Write(0, 0, Bytes(24, 'x')).code(), kInvalid);
  EXPECT_EQ(writer->Write(0, 4, Bytes(8, 'x')).code(), kInvalid);
  EXPECT_EQ(writer->Write(0, ~uint64_t{0}, Bytes(8, 'x')).code(), kInvalid);
  EXPECT_EQ(writer->Write(0, 0, Bytes(3, 'x')).code(), kInvalid);
  EXPECT_TRUE(writer->Write(0, 5, "").ok());
  EXPECT_EQ(SumResultWriter::Create(folder_.path() / "no" / "file", header_).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace cloister::plan
