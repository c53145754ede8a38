// SPDX-License-Identifier: Apache-2.0
// The ledger: promised once, spent once, never lost, never more than the site's bound.

#include "site_agent/storage/privacy_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>

#include "protocols/crypto/hash.h"
#include "site_agent/storage/site_store.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

JobId Job(const std::string& name) {
  return JobId::Parse(name).value();
}

PrivacyRow Row(const std::string& job, double epsilon, double delta = 1e-6, int rounds = 3) {
  PrivacyRow row;
  row.job = Job(job);
  row.task = "chest_pneumonia";
  row.experiment = "chest";
  row.unit = "patient";
  row.epsilon = epsilon;
  row.delta = delta;
  row.max_epsilon = 10;
  row.noise_multiplier = 1.1;
  row.clip_norm = 1;
  row.sampling_probability = 0.1;
  row.steps = 30;
  row.rounds = rounds;
  row.training_patients = 100;
  row.accountant = "PLD";
  return row;
}

const std::optional<PrivacyBound> kNoBound;

class PrivacyTableTest : public ::testing::Test {
 protected:
  PrivacyTable& ledger() { return store_->privacy(); }
  void Reopen() {
    store_.reset();
    store_ = SiteStore::Open(dir_.path()).value();
  }
  absl::Status Spend(const std::string& job, const std::string& training, double epsilon,
                     const std::optional<PrivacyBound>& bound = kNoBound) {
    return ledger().Spend(Job(job), crypto::Sha256(training), epsilon, bound, ++now_);
  }

  testing::TempDir dir_;
  int64_t now_ = 1000;
  std::unique_ptr<SiteStore> store_ = SiteStore::Open(dir_.path()).value();
};

TEST_F(PrivacyTableTest, AQuoteCountsForNothingAndMayChange) {
  ASSERT_TRUE(ledger().Quote(Row("job-1", 3)).ok());
  ASSERT_TRUE(ledger().Quote(Row("job-1", 4)).ok());
  EXPECT_EQ(ledger().Get(Job("job-1")).value()->epsilon, 4);
  EXPECT_EQ(ledger().Total()->taken_epsilon, 0);
  EXPECT_EQ(Spend("job-1", "round 1", 1).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Spend("job-2", "round 1", 1).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(ledger().Promise(Row("job-1", 4), kNoBound).ok());
  ASSERT_TRUE(ledger().Quote(Row("job-1", 1)).ok());
  EXPECT_EQ(ledger().Get(Job("job-1")).value()->epsilon, 4);
}

TEST_F(PrivacyTableTest, APromiseCountsWholeUntilTheEndAndThenWhatWasSpent) {
  const PrivacyBound bound = {8, 1e-5};
  ASSERT_TRUE(ledger().Promise(Row("job-1", 5), bound).ok());
  ASSERT_TRUE(ledger().Promise(Row("job-1", 5), bound).ok());  // after a restart
  EXPECT_EQ(ledger().Promise(Row("job-1", 6), bound).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ledger().Total()->taken_epsilon, 5);

  const absl::Status more = ledger().Promise(Row("job-2", 3.5), bound);
  EXPECT_EQ(more.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(more.message()),
              HasSubstr("epsilon 3.5 is asked for; of this site's 8, others have taken 5"));
  EXPECT_FALSE(ledger().Get(Job("job-2"))->has_value());

  ASSERT_TRUE(Spend("job-1", "round 1", 2).ok());
  ASSERT_TRUE(ledger().End(Job("job-1"), ++now_).ok());
  EXPECT_EQ(ledger().Total()->taken_epsilon, 2);
  EXPECT_TRUE(ledger().Promise(Row("job-2", 3.5), bound).ok());
  EXPECT_EQ(ledger().Total(Job("job-2"))->taken_epsilon, 2);
  EXPECT_EQ(Spend("job-1", "round 2", 3).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ledger().Promise(Row("job-1", 5), bound).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PrivacyTableTest, DeltasAreBoundedToo) {
  const PrivacyBound bound = {100, 2.5e-6};
  ASSERT_TRUE(ledger().Promise(Row("job-1", 1), bound).ok());
  ASSERT_TRUE(ledger().Promise(Row("job-2", 1), bound).ok());
  const absl::Status more = ledger().Promise(Row("job-3", 1), bound);
  EXPECT_EQ(more.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(more.message()), HasSubstr("delta"));
  ASSERT_TRUE(ledger().End(Job("job-1"), ++now_).ok());  // nothing was trained: its delta is free again
  EXPECT_TRUE(ledger().Promise(Row("job-3", 1), bound).ok());
}

TEST_F(PrivacyTableTest, WhatIsNoNumberIsNeverPromised) {
  const PrivacyBound bound = {8, 1e-5};
  EXPECT_FALSE(ledger().Promise(Row("job-1", std::numeric_limits<double>::infinity()), bound).ok());
  EXPECT_FALSE(ledger().Promise(Row("job-1", std::numeric_limits<double>::quiet_NaN()), bound).ok());
  EXPECT_FALSE(ledger().Promise(Row("job-1", -1), bound).ok());
  PrivacyRow unknown = Row("job-1", 1);
  unknown.unit = "image";
  EXPECT_FALSE(ledger().Promise(unknown, bound).ok());
  EXPECT_EQ(ledger().Total()->taken_epsilon, 0);
}

TEST_F(PrivacyTableTest, ARepeatedTrainingIsSpentOnceAlsoAfterARestart) {
  ASSERT_TRUE(ledger().Promise(Row("job-1", 5), kNoBound).ok());
  ASSERT_TRUE(Spend("job-1", "round 1", 2).ok());
  Reopen();
  ASSERT_TRUE(Spend("job-1", "round 1", 2).ok());
  ASSERT_TRUE(Spend("job-1", "round 1", 1).ok());
  const PrivacyRow row = *ledger().Get(Job("job-1")).value();
  EXPECT_EQ(row.trainings, 1);
  EXPECT_EQ(row.spent_epsilon, 2);
  EXPECT_TRUE(ledger().IsSpent(Job("job-1"), crypto::Sha256("round 1")).value());
  EXPECT_FALSE(ledger().IsSpent(Job("job-1"), crypto::Sha256("round 2")).value());
}

TEST_F(PrivacyTableTest, NoMoreTrainingsThanRoundsWhateverIsAskedFor) {
  ASSERT_TRUE(ledger().Promise(Row("job-1", 5, 1e-6, 2), kNoBound).ok());
  ASSERT_TRUE(Spend("job-1", "round 1", 2).ok());
  EXPECT_EQ(Spend("job-1", "round 2", 5.5).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Spend("job-1", "round 2", std::numeric_limits<double>::quiet_NaN()).code(),
            absl::StatusCode::kResourceExhausted);
  // The same round from another model is another training.
  ASSERT_TRUE(Spend("job-1", "round 1 of another model", 4).ok());
  const absl::Status more = Spend("job-1", "round 2", 4);
  EXPECT_EQ(more.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(more.message()), HasSubstr("was promised 2 trainings for epsilon 5"));
  EXPECT_EQ(ledger().Get(Job("job-1")).value()->spent_epsilon, 4);
}

TEST_F(PrivacyTableTest, ALimitThatWasLoweredSinceStopsTheNextTraining) {
  ASSERT_TRUE(ledger().Promise(Row("job-1", 5), PrivacyBound{8, 1e-5}).ok());
  ASSERT_TRUE(Spend("job-1", "round 1", 2, PrivacyBound{8, 1e-5}).ok());
  EXPECT_EQ(Spend("job-1", "round 2", 4, PrivacyBound{3, 1e-5}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Spend("job-1", "round 1", 2, PrivacyBound{1, 1e-5}).ok());  // it is spent: a restart may go on
}

TEST_F(PrivacyTableTest, NothingTakesSpendingBack) {
  ASSERT_TRUE(ledger().Promise(Row("job-1", 5), kNoBound).ok());
  ASSERT_TRUE(Spend("job-1", "round 1", 2).ok());
  for (const char* sql : {"DELETE FROM privacy", "DELETE FROM privacy_spending", "UPDATE privacy SET spent_epsilon = 0",
                          "UPDATE privacy SET trainings = 0", "UPDATE privacy_spending SET epsilon_after = 0"}) {
    EXPECT_FALSE(store_->database().Execute(sql).ok()) << sql;
  }
  ASSERT_TRUE(ledger().End(Job("job-1"), ++now_).ok());
  EXPECT_FALSE(store_->database().Execute("UPDATE privacy SET state = 'quoted'").ok());
  EXPECT_EQ(ledger().Get(Job("job-1")).value()->spent_epsilon, 2);
}

// A process that is killed right after Spend returned has spent, and one that is killed before has not: there is
// nothing in between.
TEST_F(PrivacyTableTest, SpendingSurvivesKill) {
  ASSERT_TRUE(ledger().Promise(Row("job-1", 5), kNoBound).ok());
  store_.reset();
  for (int round = 1; round <= 3; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      const auto store = SiteStore::Open(dir_.path());
      const bool spent =
          store.ok() &&
          (*store)->privacy().Spend(Job("job-1"), crypto::Sha256(std::to_string(round)), round, kNoBound, 1).ok();
      kill(getpid(), spent ? SIGKILL : SIGTERM);
      _exit(1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  Reopen();
  EXPECT_EQ(ledger().Get(Job("job-1")).value()->trainings, 3);
  EXPECT_EQ(ledger().Get(Job("job-1")).value()->spent_epsilon, 3);
}

}  // namespace
}  // namespace cloister::site
