// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace cloister::update {
namespace {

using ::testing::HasSubstr;

Bytes File(const std::string& json, size_t data_bytes) {
  CanonicalWriter writer;
  writer.U64(json.size()).Fixed(json).Fixed(Bytes(data_bytes, '\0'));
  return writer.Take();
}

std::string ErrorOf(const Bytes& file, ImportMode mode = ImportMode::kStrict) {
  const auto header = ParseSafetensorsHeader(file, mode);
  if (header.ok()) return "accepted";
  EXPECT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(header.status().message());
}

TEST(SafetensorsTest, ReadsWhatItWrites) {
  const Layout layout = Layout::Create({{"w", {2, 3}}, {"a\"b\\c", {}}, {"empty", {0}}}).value();
  const Bytes prefix = SafetensorsPrefix(layout);
  EXPECT_EQ(prefix.size() % 8, 0u);
  const SafetensorsHeader header = ParseSafetensorsHeader(prefix + Bytes(28, '\0')).value();
  EXPECT_EQ(header.metadata.at("format"), "pt");
  ASSERT_EQ(header.entries.size(), 3u);
  EXPECT_EQ(header.entries[0].name, "a\"b\\c");
  EXPECT_EQ(header.entries[2].name, "w");
  EXPECT_EQ(header.entries[2].shape, (Shape{2, 3}));
  EXPECT_EQ(header.entries[2].begin, prefix.size() + 4);
  EXPECT_EQ(header.entries[2].end, prefix.size() + 28);
}

TEST(SafetensorsTest, RefusesEveryCutAndEveryExtraByte) {
  const Layout layout = Layout::Create({{"w", {2, 3}}, {"b", {4}}}).value();
  const Bytes file = SafetensorsPrefix(layout) + Bytes(40, '\1');
  ASSERT_TRUE(ParseSafetensorsHeader(file).ok());
  for (size_t cut = 0; cut < file.size(); ++cut) EXPECT_NE(ErrorOf(file.substr(0, cut)), "accepted") << cut;
  EXPECT_THAT(ErrorOf(file + "x"), HasSubstr("1 bytes after the last tensor"));
}

// A flipped bit in the header is refused or gives other names or metadata, never values outside the file.
TEST(SafetensorsTest, FlippedBitsNeverReachOutsideTheFile) {
  const Layout layout = Layout::Create({{"w", {2, 3}}, {"b", {4}}}).value();
  const Bytes file = SafetensorsPrefix(layout) + Bytes(40, '\1');
  for (size_t bit = 0; bit < 8 * (file.size() - 40); ++bit) {
    Bytes flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    for (const ImportMode mode : {ImportMode::kStrict, ImportMode::kConvert}) {
      const auto header = ParseSafetensorsHeader(flipped, mode);
      if (!header.ok()) continue;
      for (const SafetensorsEntry& entry : header->entries) {
        ASSERT_LE(entry.begin, entry.end);
        ASSERT_LE(entry.end, flipped.size());
        ASSERT_GE(entry.begin, header->data_begin);
      }
    }
  }
}

TEST(SafetensorsTest, RandomSplicesNeverCrash) {
  const Bytes file = SafetensorsPrefix(Layout::Create({{"w", {2, 3}}, {"b", {4}}}).value()) + Bytes(40, '\1');
  std::mt19937 random(11);
  for (int i = 0; i < 20000; ++i) {
    Bytes mutant = file;
    for (int edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = 8 + random() % (mutant.size() - 8);
      const size_t from = 8 + random() % (mutant.size() - 8);
      const size_t size = random() % 16;
      mutant.replace(at, std::min<size_t>(size, mutant.size() - at), file.substr(from % file.size(), size));
      if (mutant.size() < 64) break;
    }
    (void)ParseSafetensorsHeader(mutant, ImportMode::kConvert);
  }
}

TEST(SafetensorsTest, NamesWhatIsWrong) {
  const std::string ok = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_EQ(ErrorOf(File(R"({"a":)" + ok + "}", 4)), "accepted");
  EXPECT_EQ(ErrorOf(File("{}", 0)), "accepted");
  EXPECT_EQ(ErrorOf(File("{}      ", 0)), "accepted");
  const std::vector<std::tuple<std::string, size_t, std::string>> cases = {
      {"", 0, "does not begin with {"},
      {" {}", 0, "does not begin with {"},
      {"[]", 0, "does not begin with {"},
      {"{", 0, "not JSON"},
      {"{} x", 0, "not JSON"},
      {std::string("{}\0\0", 4), 0, "not JSON"},
      {R"({"a":)" + ok + R"(,"a":)" + ok + "}", 4, "\"a\" is there twice"},
      {R"({"a":5})", 0, "a number where"},
      {R"({"a":null})", 0, "null where"},
      {R"({"a":[]})", 0, "a list where"},
      {R"({"a":{}})", 0, "lacks"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", 4, "lacks"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "lacks"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, "more than two"},
      {R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "dtype twice"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x\ny":1}})", 4, "unknown field \"x?y\""},
      {R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, "a list where"},
      {R"({"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})", 4, "a list where"},
      {R"({"a":{"dtype":"F32","shape":{},"data_offsets":[0,4]}})", 4, "an object where"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "a negative number"},
      {R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "not whole"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4, "do not fill"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "do not fill"},
      {R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4, "too many dimensions"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "more than"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,18446744073709551612]}})", 4, "more"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}})", 4, "not whole"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "leaves a gap"},
      {R"({"a":)" + ok + R"(,"b":)" + ok + "}", 4, "overlaps"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "truncated"},
      {R"({"a":)" + ok + "}", 8, "4 bytes after"},
      {R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4, "not of type F32"},
      {R"({"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}})", 4, "type I8"},
      {R"({"__metadata__":{"a":1}})", 0, "a number"},
      {R"({"__metadata__":{"a":{}}})", 0, "an object"},
      {R"({"__metadata__":{"a":"x","a":"y"}})", 0, "twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "twice"},
      {"{\"a\xff\":" + ok + "}", 4, "not JSON"},
      {std::string(100000, '{'), 0, "not JSON"},
      {R"({"a":)" + std::string(100000, '['), 0, "a list where"},
  };
  for (const auto& [json, data, error] : cases) EXPECT_THAT(ErrorOf(File(json, data)), HasSubstr(error)) << json;
}

TEST(SafetensorsTest, RefusesHeadersOverTheLimitBeforeReadingThem) {
  Bytes file(16, '\xff');
  EXPECT_THAT(ErrorOf(file), HasSubstr("at most"));
  CanonicalWriter writer;
  writer.U64(kMaxSafetensorsHeaderBytes).Fixed("{}");
  EXPECT_THAT(ErrorOf(writer.bytes()), HasSubstr("truncated within its header"));
}

TEST(SafetensorsTest, ImportLeavesOnlyBatchCountersOut) {
  const Bytes counter = File(R"({"bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8);
  EXPECT_EQ(ErrorOf(counter, ImportMode::kConvert), "accepted");
  EXPECT_THAT(ErrorOf(counter), HasSubstr("I64"));
  const Bytes other = File(R"({"index":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8);
  EXPECT_THAT(ErrorOf(other, ImportMode::kConvert), HasSubstr("I64"));
}

}  // namespace
}  // namespace cloister::update
