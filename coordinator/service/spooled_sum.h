#pragma once
// SPDX-License-Identifier: Apache-2.0
// The end of a secure sum: the survivors' spooled vectors are added up and the masks taken off, block by block and on
// several threads, straight into the file that is published. Memory: a few blocks a thread, and no more open files than
// threads, whatever the number of sites and parameters. The bytes depend neither on the number of threads, nor on the
// order of the survivors, nor on how the vectors are cut into shards.

#include <filesystem>
#include <functional>
#include <vector>

#include "protocols/plan/sum_result.h"
#include "protocols/secagg/unmasker.h"

namespace cloister::coordinator {

using SpooledVectors = std::vector<std::vector<std::filesystem::path>>;  // [survivor][vector], as they were uploaded

// Elements [first, first + count) of one vector.
struct Shard {
  size_t vector = 0;
  uint64_t first = 0;
  uint64_t count = 0;
};

// Takes elements of a vector from `first` on, little endian.
using PutElements = std::function<absl::Status(size_t vector, uint64_t first, ByteView elements)>;

// One shard of the sum, block by block. Shards may be summed in any order, by any number of threads. DATA_LOSS: a file
// is gone or was cut; UNAVAILABLE: one cannot be read; INVALID_ARGUMENT: no such elements; and whatever `put` says.
absl::Status SumUpShard(const Shard& shard, int ring_bits, const SpooledVectors& spooled,
                        const secagg::Unmasker& unmasker, const PutElements& put);

// All of it. `threads`: 1 or more. Also RESOURCE_EXHAUSTED: the disk is full.
absl::Status SumUp(const SpooledVectors& spooled, const secagg::Unmasker& unmasker, const plan::SumResultHeader& header,
                   const std::filesystem::path& result, int threads);

}  // namespace cloister::coordinator
