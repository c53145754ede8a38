// SPDX-License-Identifier: Apache-2.0
// result.json on failure, and which reason a status has.

#include "site_agent/worker/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "protocols/base/file.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

TEST(ReportTest, FailureNamesCodeReasonAndMessage) {
  const cloister::testing::TempDir dir;
  ASSERT_TRUE(WriteFailure(dir.path(), {FailureReason::kDiverged, absl::OutOfRangeError("epoch 3: \xFF")}).ok());
  const auto json = nlohmann::json::parse(*ReadFile(dir.path() / "result.json"));
  EXPECT_EQ(json["error"]["code"], "OUT_OF_RANGE");
  EXPECT_EQ(json["error"]["reason"], "diverged");
  EXPECT_EQ(json["error"]["message"].get<std::string>().substr(0, 8), "epoch 3:");
}

TEST(ReportTest, MemoryAndDivergenceComeBeforeTheUsualReason) {
  EXPECT_EQ(Classify(absl::InvalidArgumentError(""), FailureReason::kBadModel).reason, FailureReason::kBadModel);
  EXPECT_EQ(Classify(absl::ResourceExhaustedError("training: out of memory"), FailureReason::kBadModel).reason,
            FailureReason::kOutOfMemory);
  EXPECT_EQ(Classify(absl::ResourceExhaustedError("/x: No space left on device"), FailureReason::kBadModel).reason,
            FailureReason::kInputOutput);
  EXPECT_EQ(Classify(absl::OutOfRangeError(""), FailureReason::kBadModel).reason, FailureReason::kDiverged);
  EXPECT_EQ(Classify(absl::UnavailableError(""), FailureReason::kBadModel).reason, FailureReason::kInputOutput);
  EXPECT_EQ(Classify(absl::InternalError(""), FailureReason::kBadModel).reason, FailureReason::kInternal);
}

}  // namespace
}  // namespace cloister::site
