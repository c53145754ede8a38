#pragma once
// SPDX-License-Identifier: Apache-2.0
// The layout of a model: which tensor lies where in the flat float32 vector that rounds add up. Tensors are sorted by
// name and follow each other without gaps, so the same names and shapes are the same layout on every machine.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::update {

using Shape = std::vector<uint64_t>;  // [] is a scalar: one element

// The number of elements. INVALID_ARGUMENT: more than 8 dimensions or more than Layout::kMaxParameters elements.
absl::StatusOr<uint64_t> ElementCount(const Shape& shape);

struct Tensor {
  std::string name;
  Shape shape;
  uint64_t offset = 0;    // of the first element in the flat vector, in elements
  uint64_t elements = 0;  // product of `shape`
};

// Immutable once made; copies are cheap enough for hundreds of tensors.
class Layout {
 public:
  static constexpr uint64_t kMaxParameters = uint64_t{1} << 40;
  static constexpr size_t kMaxTensors = 1 << 16;
  static constexpr size_t kMaxNameBytes = 512;
  static constexpr size_t kMaxDimensions = 8;

  struct NamedShape {
    std::string name;
    Shape shape;
  };

  Layout() = default;  // no tensors
  // In any order; the result is sorted by name (as bytes). INVALID_ARGUMENT: a name that is empty, double, longer than
  // kMaxNameBytes, not printable ASCII or "__metadata__" (the file format's own); one of the limits above is passed.
  static absl::StatusOr<Layout> Create(std::vector<NamedShape> tensors);

  const std::vector<Tensor>& tensors() const { return tensors_; }
  uint64_t parameters() const { return parameters_; }
  // Null if there is none of that name.
  const Tensor* Find(std::string_view name) const;

  // What is hashed to name this layout in a plan, and its reader. DATA_LOSS: truncated or left-over bytes;
  // INVALID_ARGUMENT: not sorted, or as for Create.
  Bytes CanonicalEncoding() const;
  static absl::StatusOr<Layout> Decode(ByteView bytes);

  friend bool operator==(const Layout& a, const Layout& b);
  friend bool operator!=(const Layout& a, const Layout& b) { return !(a == b); }

 private:
  std::vector<Tensor> tensors_;
  uint64_t parameters_ = 0;
};

}  // namespace cloister::update
