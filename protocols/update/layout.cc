// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/layout.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloister::update {
namespace {

constexpr std::string_view kMagic = "cloister/layout";

absl::Status CheckName(const std::string& name) {
  if (name.empty()) return absl::InvalidArgumentError("a tensor without a name");
  if (name.size() > Layout::kMaxNameBytes) {
    return absl::InvalidArgumentError(
        fmt::format("a tensor name has {} bytes; at most {} are allowed", name.size(), Layout::kMaxNameBytes));
  }
  for (const unsigned char c : name) {
    if (c < 0x20 || c > 0x7e) return absl::InvalidArgumentError("a tensor name is not printable ASCII");
  }
  if (name == "__metadata__") return absl::InvalidArgumentError("a tensor cannot be called __metadata__");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> ElementCount(const Shape& shape) {
  if (shape.size() > Layout::kMaxDimensions) {
    return absl::InvalidArgumentError(
        fmt::format("{} dimensions; at most {} are allowed", shape.size(), Layout::kMaxDimensions));
  }
  uint64_t elements = 1;
  bool empty = false;
  for (const uint64_t size : shape) {
    empty = empty || size == 0;
    // Empty dimensions do not excuse absurd ones beside them.
    if (size > Layout::kMaxParameters / elements) {
      return absl::InvalidArgumentError(fmt::format("more than {} elements", Layout::kMaxParameters));
    }
    elements *= std::max<uint64_t>(size, 1);
  }
  return empty ? 0 : elements;
}

absl::StatusOr<Layout> Layout::Create(std::vector<NamedShape> tensors) {
  if (tensors.size() > kMaxTensors) {
    return absl::InvalidArgumentError(fmt::format("{} tensors; at most {} are allowed", tensors.size(), kMaxTensors));
  }
  std::sort(tensors.begin(), tensors.end(), [](const NamedShape& a, const NamedShape& b) { return a.name < b.name; });
  Layout layout;
  layout.tensors_.reserve(tensors.size());
  for (NamedShape& tensor : tensors) {
    CLOISTER_RETURN_IF_ERROR(CheckName(tensor.name));
    if (!layout.tensors_.empty() && layout.tensors_.back().name == tensor.name) {
      return absl::InvalidArgumentError(fmt::format("tensor \"{}\" is there twice", tensor.name));
    }
    const absl::StatusOr<uint64_t> elements = ElementCount(tensor.shape);
    if (!elements.ok()) return Annotate(elements.status(), fmt::format("tensor \"{}\"", tensor.name));
    if (*elements > kMaxParameters - layout.parameters_) {
      return absl::InvalidArgumentError(fmt::format("more than {} parameters", kMaxParameters));
    }
    layout.tensors_.push_back({std::move(tensor.name), std::move(tensor.shape), layout.parameters_, *elements});
    layout.parameters_ += *elements;
  }
  return layout;
}

const Tensor* Layout::Find(std::string_view name) const {
  const auto found = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                      [](const Tensor& tensor, std::string_view key) { return tensor.name < key; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

Bytes Layout::CanonicalEncoding() const {
  CanonicalWriter writer;
  writer.Blob(kMagic).U32(1).U32(static_cast<uint32_t>(tensors_.size()));
  for (const Tensor& tensor : tensors_) {
    writer.Blob(tensor.name).U32(static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t size : tensor.shape) writer.U64(size);
  }
  return writer.Take();
}

absl::StatusOr<Layout> Layout::Decode(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_ASSIGN_OR_RETURN(const Bytes magic, reader.Blob());
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t version, reader.U32());
  if (magic != kMagic || version != 1) return absl::InvalidArgumentError("not a layout of version 1");
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t count, reader.U32());
  std::vector<NamedShape> tensors;
  for (uint32_t i = 0; i < count; ++i) {
    NamedShape tensor;
    CLOISTER_ASSIGN_OR_RETURN(tensor.name, reader.Blob());
    CLOISTER_ASSIGN_OR_RETURN(const uint32_t dimensions, reader.U32());
    for (uint32_t d = 0; d < dimensions; ++d) {
      CLOISTER_ASSIGN_OR_RETURN(const uint64_t size, reader.U64());
      tensor.shape.push_back(size);
    }
    if (!tensors.empty() && !(tensors.back().name < tensor.name)) {
      return absl::InvalidArgumentError("the tensors of a layout are not sorted by name");
    }
    tensors.push_back(std::move(tensor));
  }
  CLOISTER_RETURN_IF_ERROR(reader.Finish());
  return Create(std::move(tensors));
}

bool operator==(const Layout& a, const Layout& b) {
  return a.parameters_ == b.parameters_ &&
         std::equal(a.tensors_.begin(), a.tensors_.end(), b.tensors_.begin(), b.tensors_.end(),
                    [](const Tensor& x, const Tensor& y) { return x.name == y.name && x.shape == y.shape; });
}

}  // namespace cloister::update
