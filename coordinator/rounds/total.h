#pragma once
// SPDX-License-Identifier: Apache-2.0
// The running total of masked vectors: one accumulator per vector, whatever the number of sites. Sums modulo 2^32 or
// 2^64 do not depend on the order of adding.

#include <absl/types/span.h>

#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/secagg/params.h"
#include "protocols/secagg/unmasker.h"

namespace cloister::coordinator {

class MaskedTotal {
 public:
  explicit MaskedTotal(std::vector<secagg::VectorSpec> vectors);

  // Adds `bytes` (little endian elements) to vector `index` from element `offset` on. INVALID_ARGUMENT: outside the
  // vector, or not whole elements.
  absl::Status Add(size_t index, uint64_t offset, ByteView bytes);
  absl::Status Unmask(const secagg::Unmasker& unmasker);
  // The size of vector `index` on the wire and on disk.
  uint64_t SizeBytes(size_t index) const;

  const std::vector<secagg::VectorSpec>& vectors() const { return vectors_; }
  // Of each vector, as on the wire.
  std::vector<ByteView> Values() const;
  // Empty for a vector of the other ring.
  absl::Span<const uint32_t> Values32(size_t index) const { return narrow_[index]; }
  const std::vector<uint64_t>& Values64(size_t index) const { return wide_[index]; }

 private:
  std::vector<secagg::VectorSpec> vectors_;
  std::vector<std::vector<uint32_t>> narrow_;  // [vector]
  std::vector<std::vector<uint64_t>> wide_;
};

}  // namespace cloister::coordinator
