#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the sums of an experiment take of the coordinator's machine, asked before it begins and not when a round fails
// for it.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "protocols/plan/experiment.h"

namespace cloister::coordinator {

// Bytes on the disk until the largest sum over `sites` sites is done: every masked vector, the totals, and for training
// the next model.
uint64_t MostSumBytes(const plan::Experiment& experiment, uint64_t sites);

struct Room {
  std::filesystem::path folder;        // where the spool is
  std::optional<uint64_t> free_bytes;  // none: unknown
  uint64_t most_files = 0;             // that this process may have open
};
Room RoomHere(const std::filesystem::path& folder);

// One line on what it takes. RESOURCE_EXHAUSTED: more than there is, with the numbers and what to do.
absl::StatusOr<std::string> CheckRoom(const plan::Experiment& experiment, uint64_t sites, const Room& room);

}  // namespace cloister::coordinator
