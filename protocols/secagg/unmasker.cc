// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/unmasker.h"

#include <utility>

namespace cloister::secagg {

Unmasker::Unmasker(std::vector<VectorSpec> vectors, std::vector<std::vector<MaskKey>> keys)
    : vectors_(std::move(vectors)), keys_(std::move(keys)) {}

absl::Status Unmasker::Apply(size_t index, uint64_t offset, absl::Span<uint32_t> values) const {
  CLOISTER_RETURN_IF_ERROR(CheckRange(vectors_, index, offset, values.size(), 32));
  MaskStreams::Create(keys_[index], vectors_[index].ring_bits).Apply(offset, values);
  return absl::OkStatus();
}

absl::Status Unmasker::Apply(size_t index, uint64_t offset, absl::Span<uint64_t> values) const {
  CLOISTER_RETURN_IF_ERROR(CheckRange(vectors_, index, offset, values.size(), 64));
  MaskStreams::Create(keys_[index], vectors_[index].ring_bits).Apply(offset, values);
  return absl::OkStatus();
}

}  // namespace cloister::secagg
