// SPDX-License-Identifier: Apache-2.0
#include "coordinator/rounds/total.h"

#include <fmt/format.h>

#include <cstring>

namespace cloister::coordinator {
namespace {

// The element type is read by memcpy: `bytes` need not be aligned.
template <typename T>
void AddElements(std::vector<T>& total, uint64_t offset, ByteView bytes) {
  constexpr size_t kBlock = 4096;
  T block[kBlock];
  T* out = total.data() + offset;
  for (size_t left = bytes.size() / sizeof(T); left > 0;) {
    const size_t n = std::min(left, kBlock);
    std::memcpy(block, bytes.data(), n * sizeof(T));
    for (size_t i = 0; i < n; ++i) {
      out[i] += block[i];
    }
    out += n;
    left -= n;
    bytes.remove_prefix(n * sizeof(T));
  }
}

}  // namespace

MaskedTotal::MaskedTotal(std::vector<secagg::VectorSpec> vectors)
    : vectors_(std::move(vectors)), narrow_(vectors_.size()), wide_(vectors_.size()) {
  for (size_t i = 0; i < vectors_.size(); ++i) {
    if (vectors_[i].ring_bits == 64) {
      wide_[i].resize(vectors_[i].length);
    } else {
      narrow_[i].resize(vectors_[i].length);
    }
  }
}

uint64_t MaskedTotal::SizeBytes(size_t index) const {
  return vectors_[index].length * static_cast<uint64_t>(vectors_[index].ring_bits / 8);
}

absl::Status MaskedTotal::Add(size_t index, uint64_t offset, ByteView bytes) {
  if (index >= vectors_.size()) {
    return absl::InvalidArgumentError(fmt::format("there is no vector {}", index));
  }
  const secagg::VectorSpec& vector = vectors_[index];
  const uint64_t width = static_cast<uint64_t>(vector.ring_bits / 8);
  if (bytes.size() % width != 0 || offset > vector.length || bytes.size() / width > vector.length - offset) {
    return absl::InvalidArgumentError(fmt::format("{} bytes at element {} do not fit vector {} of {} elements",
                                                  bytes.size(), offset, vector.name, vector.length));
  }
  if (vector.ring_bits == 64) {
    AddElements(wide_[index], offset, bytes);
  } else {
    AddElements(narrow_[index], offset, bytes);
  }
  return absl::OkStatus();
}

std::vector<ByteView> MaskedTotal::Values() const {
  std::vector<ByteView> values;
  for (size_t i = 0; i < vectors_.size(); ++i) {
    const void* const data =
        vectors_[i].ring_bits == 64 ? static_cast<const void*>(wide_[i].data()) : narrow_[i].data();
    values.emplace_back(static_cast<const char*>(data), SizeBytes(i));
  }
  return values;
}

absl::Status MaskedTotal::Unmask(const secagg::Unmasker& unmasker) {
  for (size_t i = 0; i < vectors_.size(); ++i) {
    if (vectors_[i].ring_bits == 64) {
      CLOISTER_RETURN_IF_ERROR(unmasker.Apply(i, 0, absl::MakeSpan(wide_[i])));
    } else {
      CLOISTER_RETURN_IF_ERROR(unmasker.Apply(i, 0, absl::MakeSpan(narrow_[i])));
    }
  }
  return absl::OkStatus();
}

}  // namespace cloister::coordinator
