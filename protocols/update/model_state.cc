// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/model_state.h"

#include <fmt/format.h>

#include <cstring>

#include "protocols/base/file.h"
#include "protocols/base/file_mapping.h"

namespace cloister::update {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors values are read in place");

template <typename T>
T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// IEEE 754 binary16; exact.
float FromHalf(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = half >> 10 & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0x1f) return FromBits(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return FromBits(sign | (exponent + 112) << 23 | mantissa << 13);
  const float value = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal
  return sign != 0 ? -value : value;
}

void ConvertEntry(const SafetensorsEntry& entry, const char* from, uint64_t elements, float* to) {
  switch (entry.type) {
    case TensorType::kF32:
      if (elements != 0) std::memcpy(to, from, 4 * elements);
      break;
    case TensorType::kF64:
      for (uint64_t i = 0; i < elements; ++i) to[i] = static_cast<float>(Load<double>(from + 8 * i));
      break;
    case TensorType::kF16:
      for (uint64_t i = 0; i < elements; ++i) to[i] = FromHalf(Load<uint16_t>(from + 2 * i));
      break;
    case TensorType::kBF16:
      for (uint64_t i = 0; i < elements; ++i) to[i] = FromBits(uint32_t{Load<uint16_t>(from + 2 * i)} << 16);
      break;
    case TensorType::kI64:
      break;
  }
}

// The layout of what is taken of a file: everything but counters that are left out.
absl::StatusOr<Layout> LayoutOf(const SafetensorsHeader& header) {
  std::vector<Layout::NamedShape> tensors;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.type != TensorType::kI64) tensors.push_back({entry.name, entry.shape});
  }
  return Layout::Create(std::move(tensors));
}

// Gathers the values into flat order.
std::vector<float> Gather(const SafetensorsHeader& header, const Layout& layout, ByteView file) {
  std::vector<float> values(layout.parameters());
  for (const SafetensorsEntry& entry : header.entries) {
    const Tensor* tensor = layout.Find(entry.name);
    if (tensor == nullptr) continue;
    ConvertEntry(entry, file.data() + entry.begin, tensor->elements, values.data() + tensor->offset);
  }
  return values;
}

// Are the values of the file the flat vector as they lie? So it is in every file we wrote.
bool IsFlat(const SafetensorsHeader& header, const Layout& layout) {
  if (header.data_begin % alignof(float) != 0) return false;
  for (const SafetensorsEntry& entry : header.entries) {
    const Tensor* tensor = layout.Find(entry.name);
    if (tensor == nullptr || entry.begin != header.data_begin + 4 * tensor->offset) return false;
  }
  return true;
}

absl::Status CheckSize(const Layout& layout, absl::Span<const float> values) {
  if (values.size() == layout.parameters()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} values for a layout of {} parameters", values.size(), layout.parameters()));
}

ByteView AsBytes(absl::Span<const float> values) {
  return {reinterpret_cast<const char*>(values.data()), 4 * values.size()};
}

}  // namespace

absl::Span<const float> ModelState::Values(std::string_view name) const {
  const Tensor* tensor = layout.Find(name);
  if (tensor == nullptr || tensor->offset + tensor->elements > values.size()) return {};
  return absl::MakeConstSpan(values).subspan(tensor->offset, tensor->elements);
}

absl::StatusOr<ModelState> ParseModelState(ByteView file, ImportMode mode) {
  CLOISTER_ASSIGN_OR_RETURN(const SafetensorsHeader header, ParseSafetensorsHeader(file, mode));
  ModelState state;
  CLOISTER_ASSIGN_OR_RETURN(state.layout, LayoutOf(header));
  state.values = Gather(header, state.layout, file);
  return state;
}

absl::StatusOr<ModelState> ReadModelState(const std::filesystem::path& path, ImportMode mode) {
  CLOISTER_ASSIGN_OR_RETURN(const FileMapping mapping, FileMapping::Open(path));
  absl::StatusOr<ModelState> state = ParseModelState(mapping.bytes(), mode);
  if (!state.ok()) return Annotate(state.status(), path.string());
  return state;
}

absl::StatusOr<Bytes> EncodeModelState(const Layout& layout, absl::Span<const float> values) {
  CLOISTER_RETURN_IF_ERROR(CheckSize(layout, values));
  Bytes file = SafetensorsPrefix(layout);
  file.append(AsBytes(values));
  return file;
}

absl::Status WriteModelState(const std::filesystem::path& path, const Layout& layout, absl::Span<const float> values) {
  CLOISTER_RETURN_IF_ERROR(CheckSize(layout, values));
  return WriteFileAtomically(path, {SafetensorsPrefix(layout), AsBytes(values)});
}

struct MappedModel::Mapping {
  FileMapping file;
  Layout layout;
  absl::Span<const float> values;
  std::vector<float> gathered;  // only for a file in another order than ours
};

MappedModel::MappedModel(std::unique_ptr<Mapping> mapping) : mapping_(std::move(mapping)) {}
MappedModel::MappedModel(MappedModel&&) noexcept = default;
MappedModel& MappedModel::operator=(MappedModel&&) noexcept = default;
MappedModel::~MappedModel() = default;

absl::StatusOr<MappedModel> MappedModel::Open(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(FileMapping file, FileMapping::Open(path));
  const absl::StatusOr<SafetensorsHeader> header = ParseSafetensorsHeader(file.bytes());
  if (!header.ok()) return Annotate(header.status(), path.string());
  absl::StatusOr<Layout> layout = LayoutOf(*header);
  if (!layout.ok()) return Annotate(layout.status(), path.string());
  auto mapping = std::make_unique<Mapping>(Mapping{std::move(file), *std::move(layout), {}, {}});
  if (IsFlat(*header, mapping->layout)) {
    const char* begin = mapping->file.bytes().data() + header->data_begin;
    mapping->values = {reinterpret_cast<const float*>(begin), mapping->layout.parameters()};
  } else {
    mapping->gathered = Gather(*header, mapping->layout, mapping->file.bytes());
    mapping->values = mapping->gathered;
  }
  return MappedModel(std::move(mapping));
}

const Layout& MappedModel::layout() const {
  return mapping_->layout;
}
absl::Span<const float> MappedModel::values() const {
  return mapping_->values;
}
ByteView MappedModel::file() const {
  return mapping_->file.bytes();
}

}  // namespace cloister::update
