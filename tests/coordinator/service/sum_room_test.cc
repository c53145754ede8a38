// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/sum_room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/crypto/hash.h"
#include "tests/sim/sim_plan.h"

namespace cloister::coordinator {
namespace {

using ::testing::HasSubstr;

plan::Experiment LargeExperiment() {
  plan::Experiment experiment = sim::MakePlan({}, crypto::Sha256("model"));
  experiment.model.parameters = 100'000'000;
  return experiment;
}

TEST(SumRoomTest, AThousandSitesSpoolAThousandVectors) {
  const uint64_t needed = MostSumBytes(LargeExperiment(), 1000);
  EXPECT_GE(needed, 1002 * 400'000'000ULL) << "of each site, the totals, and the next model";
  EXPECT_LT(needed, 1003 * 400'000'000ULL);
}

TEST(SumRoomTest, AValidationMayTakeMoreThanARound) {
  plan::Experiment experiment = sim::MakePlan({}, crypto::Sha256("model"));
  // 20 bins: 42 counters of 8 bytes for each of 1000 baselines and 2 candidates, and of these once more for tuning.
  EXPECT_GE(MostSumBytes(experiment, 1000), 1001 * 1004 * 42 * 8ULL);
}

TEST(SumRoomTest, SaysWhatItTakesOrWhatIsMissing) {
  const plan::Experiment experiment = LargeExperiment();
  const auto fits = CheckRoom(experiment, 1000, {"/spool", uint64_t{500'000'000'000}, 4096});
  ASSERT_TRUE(fits.ok()) << fits.status();
  EXPECT_EQ(*fits, "a sum over 1000 sites takes up to 400.8 GB of disk until it is done; 500.0 GB are free at /spool");
  EXPECT_TRUE(CheckRoom(experiment, 1000, {"/spool", std::nullopt, 4096}).ok());

  const absl::Status full = CheckRoom(experiment, 1000, {"/spool", uint64_t{400'000'000'000}, 4096}).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("takes up to 400.8 GB of disk"));
  EXPECT_THAT(std::string(full.message()), HasSubstr("400.0 GB are free at /spool: make room"));

  const absl::Status files = CheckRoom(experiment, 1000, {"/spool", uint64_t{500'000'000'000}, 1024}).status();
  EXPECT_EQ(files.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(files.message()), HasSubstr("may open 1024 files"));
  EXPECT_THAT(std::string(files.message()), HasSubstr("1256 or more"));
}

TEST(SumRoomTest, ThisMachineHasSome) {
  const Room room = RoomHere("/");
  EXPECT_TRUE(room.free_bytes.has_value());
  EXPECT_GT(room.most_files, 0u);
}

}  // namespace
}  // namespace cloister::coordinator
