// SPDX-License-Identifier: Apache-2.0
// Verdicts of pre-registered gates.

#include "eval/federated/gates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::eval {
namespace {

using ::testing::HasSubstr;

Gate AtLeast(double bound, Gate::Using use) {
  Gate gate;
  gate.metric = "sensitivity";
  gate.use = use;
  gate.bound = bound;
  return gate;
}

Gate NonInferior(double margin) {
  Gate gate;
  gate.metric = "auc";
  gate.comparison = Gate::Comparison::kNonInferior;
  gate.bound = margin;
  return gate;
}

GateNumbers Numbers() {
  GateNumbers numbers;
  numbers.metrics.emplace("sensitivity", Estimate{0.92, 0.87, 0.96, 0.95, 214, "wilson"});
  numbers.minus_local_only.emplace("auc", Estimate{0.005, -0.015, 0.025, 0.95, 214, "delong_paired"});
  return numbers;
}

TEST(GateTest, DecidesOnTheLowerBoundOrTheEstimate) {
  EXPECT_EQ(Decide(AtLeast(0.87, Gate::Using::kLowerBound), Numbers()).outcome, Outcome::kPass);
  EXPECT_EQ(Decide(AtLeast(0.871, Gate::Using::kLowerBound), Numbers()).outcome, Outcome::kFail);
  EXPECT_EQ(Decide(AtLeast(0.92, Gate::Using::kEstimate), Numbers()).outcome, Outcome::kPass);
  EXPECT_EQ(Decide(AtLeast(0.93, Gate::Using::kEstimate), Numbers()).outcome, Outcome::kFail);
  EXPECT_EQ(Decide(AtLeast(0.9, Gate::Using::kLowerBound), Numbers()).reason,
            "sensitivity: lower bound 0.8700 (estimate 0.9200, n 214) < 0.9000");
}

TEST(GateTest, NonInferiorityIsStrict) {
  EXPECT_EQ(Decide(NonInferior(0.02), Numbers()).outcome, Outcome::kPass);
  EXPECT_EQ(Decide(NonInferior(0.015), Numbers()).outcome, Outcome::kFail);
  EXPECT_EQ(Decide(NonInferior(0.02), Numbers()).reason,
            "auc minus local-only: lower bound -0.0150 (estimate 0.0050, n 214) > -0.0200");
}

TEST(GateTest, MissingNumbersAreNotEstimable) {
  GateNumbers numbers;
  numbers.metrics.emplace("sensitivity", Reason::kNoPositives);
  numbers.minus_local_only.emplace("auc", Suppressed{});
  const Verdict no_positives = Decide(AtLeast(0.5, Gate::Using::kEstimate), numbers);
  EXPECT_EQ(no_positives.outcome, Outcome::kNotEstimable);
  EXPECT_THAT(no_positives.reason, HasSubstr("no_positives"));
  EXPECT_THAT(Decide(NonInferior(0.1), numbers).reason, HasSubstr("does not disclose"));
  EXPECT_THAT(Decide(NonInferior(0.1), {}).reason, HasSubstr("not_measured"));
}

TEST(GateTest, ChecksTheRule) {
  EXPECT_TRUE(CheckGate(NonInferior(0)).ok());
  Gate gate = NonInferior(0.02);
  gate.metric = "acu";
  EXPECT_THAT(CheckGate(gate).ToString(), HasSubstr("allowed: auc"));
  gate.metric = "brier";
  EXPECT_FALSE(CheckGate(gate).ok());
  EXPECT_FALSE(CheckGate(NonInferior(-0.01)).ok());
  EXPECT_FALSE(CheckGate(AtLeast(1.01, Gate::Using::kEstimate)).ok());
  EXPECT_FALSE(CheckGate(AtLeast(0.0 / 0.0, Gate::Using::kEstimate)).ok());
}

TEST(GateTest, SaysTheRuleInWords) {
  EXPECT_EQ(GateInWords(AtLeast(0.85, Gate::Using::kLowerBound)),
            "sensitivity at every site: lower bound of the 95% interval at least 0.85");
  EXPECT_EQ(GateInWords(NonInferior(0.02)),
            "auc at every site: not worse than the local-only model by 0.02 or more (one-sided 97.5%)");
}

}  // namespace
}  // namespace cloister::eval
