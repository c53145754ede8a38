// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/sum_room.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "protocols/plan/sum_result.h"
#include "protocols/plan/sums.h"

namespace cloister::coordinator {
namespace {

constexpr uint64_t kOtherFiles = 256;  // that are open beside the sites' connections

std::string Gigabytes(uint64_t bytes) {
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

uint64_t MostSumBytes(const plan::Experiment& experiment, uint64_t sites) {
  const uint64_t model = sizeof(float) * experiment.model.parameters;
  const uint64_t train =
      (sites + 1) * plan::MostSumResultBytes(plan::SumVectors(experiment, plan::SumKind::kTrain, {{}})) + model;
  // Every candidate and every site's baseline is scored by every site.
  std::vector<plan::SumModel> models(static_cast<size_t>(experiment.ensemble.candidates_last));
  models.resize(models.size() + sites, plan::SumModel{"", true, {}});
  const uint64_t validate =
      (sites + 1) * plan::MostSumResultBytes(plan::SumVectors(experiment, plan::SumKind::kValidate, models));
  return std::max(train, validate);
}

Room RoomHere(const std::filesystem::path& folder) {
  Room room{folder, std::nullopt, 0};
  std::error_code unknown;
  const std::filesystem::space_info disk = std::filesystem::space(folder, unknown);
  if (!unknown) {
    room.free_bytes = disk.available;
  }
  rlimit files = {};
  room.most_files = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : RLIM_INFINITY;
  return room;
}

absl::StatusOr<std::string> CheckRoom(const plan::Experiment& experiment, uint64_t sites, const Room& room) {
  if (room.most_files < sites + kOtherFiles) {
    return absl::ResourceExhaustedError(
        fmt::format("{} sites need a connection each, but the coordinator may open {} files: set LimitNOFILE= or "
                    "ulimit -n to {} or more and start it again",
                    sites, room.most_files, sites + kOtherFiles));
  }
  const std::string takes = fmt::format("a sum over {} sites takes up to {} of disk until it is done", sites,
                                        Gigabytes(MostSumBytes(experiment, sites)));
  if (!room.free_bytes) {
    return takes;
  }
  const std::string free = fmt::format("{} are free at {}", Gigabytes(*room.free_bytes), room.folder.string());
  if (*room.free_bytes < MostSumBytes(experiment, sites)) {
    return absl::ResourceExhaustedError(
        fmt::format("{}, and {}: make room, or invite fewer sites (sites.invited, sites.maximum)", takes, free));
  }
  return takes + "; " + free;
}

}  // namespace cloister::coordinator
