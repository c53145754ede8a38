#pragma once
// SPDX-License-Identifier: Apache-2.0
// The end of a secure sum: the survivors' spooled vectors are added up and the masks taken off, block by block and on
// several threads, straight into the file that is published. Memory: a few blocks a thread, whatever the number of
// sites and parameters. The bytes do not depend on the number of threads.

#include <filesystem>
#include <vector>

#include "protocols/plan/sum_result.h"
#include "protocols/secagg/unmasker.h"

namespace cloister::coordinator {

// `spooled`: [survivor][vector], files as they were uploaded. `threads`: 1 or more. DATA_LOSS: a file is gone or was
// cut; UNAVAILABLE: one cannot be read; RESOURCE_EXHAUSTED: the disk is full.
absl::Status SumUp(const std::vector<std::vector<std::filesystem::path>>& spooled, const secagg::Unmasker& unmasker,
                   const plan::SumResultHeader& header, const std::filesystem::path& result, int threads);

}  // namespace cloister::coordinator
