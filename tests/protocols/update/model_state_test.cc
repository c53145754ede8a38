// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/model_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "protocols/base/file.h"
#include "tests/support/temp_dir.h"

namespace cloister::update {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
Bytes Raw(std::initializer_list<T> values) {
  Bytes bytes;
  for (const T value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}

Bytes File(const std::string& json, const Bytes& data) {
  CanonicalWriter writer;
  writer.U64(json.size()).Fixed(json).Fixed(data);
  return writer.Take();
}

ModelState Small() {
  return {Layout::Create({{"b.weight", {2, 3}}, {"a.bias", {2}}, {"c", {}}}).value(),
          {-1.5f, 2.0f, 0, 0.25f, 0.5f, 0.75f, 1, 1.25f, 7.25f}};
}

// The bytes that the format's reference implementation writes for these tensors (compact JSON, __metadata__ first,
// fields in this order, spaces to a multiple of 8).
TEST(ModelStateTest, WritesWhatTheReferenceImplementationWrites) {
  const std::string json =
      R"({"__metadata__":{"format":"pt"},"a.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
      R"("c":{"dtype":"F32","shape":[],"data_offsets":[32,36]}})";
  const ModelState state = Small();
  const Bytes expected = File(json + Bytes((8 - json.size() % 8) % 8, ' '),
                              Raw<float>({-1.5f, 2.0f, 0, 0.25f, 0.5f, 0.75f, 1, 1.25f, 7.25f}));
  EXPECT_EQ(EncodeModelState(state.layout, state.values).value(), expected);
}

TEST(ModelStateTest, FileRoundTripIsByteIdentical) {
  const testing::TempDir dir;
  const ModelState state = Small();
  const auto path = dir.path() / "m.safetensors";
  ASSERT_TRUE(WriteModelState(path, state.layout, state.values).ok());
  const Bytes file = ReadFile(path).value();
  EXPECT_EQ(file, EncodeModelState(state.layout, state.values).value());
  const ModelState read = ReadModelState(path).value();
  EXPECT_EQ(read.layout, state.layout);
  EXPECT_EQ(read.values, state.values);
  EXPECT_THAT(read.Values("b.weight"), ElementsAre(0, 0.25f, 0.5f, 0.75f, 1, 1.25f));
  EXPECT_TRUE(read.Values("none").empty());
  EXPECT_EQ(EncodeModelState(read.layout, read.values).value(), file);
}

TEST(ModelStateTest, GathersTensorsThatLieInAnotherOrder) {
  const std::string json =
      R"({"z":{"shape":[2],"data_offsets":[0,8],"dtype":"F32"},"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})";
  const Bytes file = File(json, Raw<float>({1, 2, 3}));
  const ModelState state = ParseModelState(file).value();
  EXPECT_THAT(state.values, ElementsAre(3, 1, 2));

  const testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "m", file).ok());
  const MappedModel mapped = MappedModel::Open(dir.path() / "m").value();
  EXPECT_THAT(std::vector<float>(mapped.values().begin(), mapped.values().end()), ElementsAre(3, 1, 2));
}

TEST(ModelStateTest, ImportConvertsEveryFloatType) {
  const std::string json = R"({"bf":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},)"
                           R"("d":{"dtype":"F64","shape":[3],"data_offsets":[8,32]},)"
                           R"("f":{"dtype":"F32","shape":[1],"data_offsets":[32,36]},)"
                           R"("h":{"dtype":"F16","shape":[9],"data_offsets":[36,54]},)"
                           R"("n.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[54,62]}})";
  const Bytes file = File(
      json, Raw<uint16_t>({0x3f80, 0xc040, 0x7f80, 0x0001}) + Raw<double>({1.0 / 3, 1e300, -2.5}) + Raw<float>({42}) +
                Raw<uint16_t>({0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8001, 0x7c00, 0xfc00, 0x8000}) +
                Raw<int64_t>({5}));
  EXPECT_EQ(ParseModelState(file).status().code(), StatusCode::kInvalidArgument);
  const ModelState state = ParseModelState(file, ImportMode::kConvert).value();
  EXPECT_EQ(state.layout.parameters(), 17u);
  EXPECT_EQ(state.layout.Find("n.num_batches_tracked"), nullptr);
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(state.Values("bf"), ElementsAre(1, -3, infinity, 0x1p-133f));
  EXPECT_THAT(state.Values("d"), ElementsAre(1.0f / 3, infinity, -2.5f));
  EXPECT_THAT(state.Values("f"), ElementsAre(42));
  EXPECT_THAT(state.Values("h"), ElementsAre(1, -2, 65504, 0x1p-14f, 0x1p-24f, -0x1p-24f, infinity, -infinity, 0));
  EXPECT_TRUE(std::signbit(state.Values("h")[8]));
}

// Every half is exact in float32; compared with the definition.
TEST(ModelStateTest, AllHalfsConvertExactly) {
  Bytes data;
  for (uint32_t h = 0; h < 65536; ++h) data += Raw<uint16_t>({static_cast<uint16_t>(h)});
  const ModelState state =
      ParseModelState(File(R"({"h":{"dtype":"F16","shape":[65536],"data_offsets":[0,131072]}})", data),
                      ImportMode::kConvert)
          .value();
  for (uint32_t h = 0; h < 65536; ++h) {
    const int exponent = static_cast<int>(h >> 10 & 31);
    const int mantissa = static_cast<int>(h & 1023);
    const double sign = h >> 15 != 0 ? -1 : 1;
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(state.values[h]), mantissa != 0) << h;
      EXPECT_EQ(std::isinf(state.values[h]), mantissa == 0) << h;
    } else {
      const double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      EXPECT_EQ(state.values[h], sign * value) << h;
    }
  }
}

TEST(ModelStateTest, RefusesValuesThatDoNotFitTheLayout) {
  const testing::TempDir dir;
  const ModelState state = Small();
  const std::vector<float> few(8);
  EXPECT_EQ(EncodeModelState(state.layout, few).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(WriteModelState(dir.path() / "m", state.layout, few).code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(dir.path() / "m"));
}

TEST(MappedModelTest, SeesTheFileWithoutCopying) {
  const testing::TempDir dir;
  const ModelState state = Small();
  ASSERT_TRUE(WriteModelState(dir.path() / "m", state.layout, state.values).ok());
  MappedModel mapped = MappedModel::Open(dir.path() / "m").value();
  const MappedModel moved = std::move(mapped);
  EXPECT_EQ(moved.layout(), state.layout);
  EXPECT_EQ(std::vector<float>(moved.values().begin(), moved.values().end()), state.values);
  EXPECT_EQ(moved.file(), ReadFile(dir.path() / "m").value());
  const char* values = reinterpret_cast<const char*>(moved.values().data());
  EXPECT_GE(values, moved.file().data());
  EXPECT_LT(values, moved.file().data() + moved.file().size());
  // A replaced file does not change what is mapped.
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "m", "gone").ok());
  EXPECT_EQ(moved.values()[0], -1.5f);
}

TEST(MappedModelTest, NamesTheFileInEveryError) {
  const testing::TempDir dir;
  EXPECT_EQ(MappedModel::Open(dir.path() / "none").status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(MappedModel::Open(dir.path()).ok());
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "empty", "").ok());
  ASSERT_TRUE(WriteFileAtomically(dir.path() / "text", "PK\3\4 this is a pickle in a zip").ok());
  for (const char* name : {"empty", "text"}) {
    const absl::Status status = MappedModel::Open(dir.path() / name).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
    EXPECT_THAT(std::string(ReadModelState(dir.path() / name).status().message()), HasSubstr(name));
  }
}

// 44 MB, a ResNet-18: written, mapped, and cut.
TEST(MappedModelTest, LargeModel) {
  const testing::TempDir dir;
  const Layout layout = Layout::Create({{"w", {11200000}}}).value();
  std::vector<float> values(11200000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  ASSERT_TRUE(WriteModelState(dir.path() / "m", layout, values).ok());
  {
    const MappedModel mapped = MappedModel::Open(dir.path() / "m").value();
    EXPECT_EQ(std::memcmp(mapped.values().data(), values.data(), 4 * values.size()), 0);
  }
  std::filesystem::resize_file(dir.path() / "m", std::filesystem::file_size(dir.path() / "m") - 1);
  EXPECT_EQ(MappedModel::Open(dir.path() / "m").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::update
