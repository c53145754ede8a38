#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the coordinator subtracts from the sum of the survivors' masked vectors: every recovered keystream, seekable, so
// that ranges (shards, threads) can be unmasked independently and give identical bytes.

#include <absl/types/span.h>

#include <vector>

#include "protocols/secagg/mask.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

class Unmasker {
 public:
  Unmasker(std::vector<VectorSpec> vectors, std::vector<std::vector<MaskKey>> keys);

  // Turns elements [offset, offset + values.size()) of the masked sum of vector `index` into the true sum, in place.
  // Each element once. Thread-safe. INVALID_ARGUMENT: no such range, or a vector whose
  // elements the type does not hold.
  absl::Status Apply(size_t index, uint64_t offset, absl::Span<uint32_t> values) const;
  absl::Status Apply(size_t index, uint64_t offset, absl::Span<uint64_t> values) const;

 private:
  std::vector<VectorSpec> vectors_;
  std::vector<std::vector<MaskKey>> keys_;  // [vector][stream]
};

}  // namespace cloister::secagg
