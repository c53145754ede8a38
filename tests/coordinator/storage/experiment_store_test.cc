// SPDX-License-Identifier: Apache-2.0
#include "tests/coordinator/storage/store_fixture.h"

namespace cloister::coordinator {
namespace {

using ExperimentStoreTest = StoreFixture;

TEST_F(ExperimentStoreTest, AnExperimentComesBackAsItWas) {
  const auto loaded = LoadExperiments(*database_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->size(), 1);
  EXPECT_EQ(loaded->front().job, job_);
  EXPECT_EQ(loaded->front().plan, experiment_.plan);
  EXPECT_EQ(loaded->front().sponsor, "li");
  EXPECT_EQ(loaded->front().submitted_ms, 1234);
  EXPECT_EQ(Try([&](storage::Transaction& t) { return InsertExperiment(t, experiment_); }).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(ExperimentStoreTest, FactsKeepTheirOrderAndPlace) {
  const SiteId site = *SiteId::Parse("a");
  Write([&](storage::Transaction& t) { return AppendFact(t, job_, 0, {absl::FromUnixMillis(5), SiteAccepted{site}}); });
  Write([&](storage::Transaction& t) { return AppendFact(t, job_, 1, {absl::FromUnixMillis(6), Tick{}}); });
  EXPECT_EQ(Try([&](storage::Transaction& t) {
              return AppendFact(t, job_, 1, {absl::FromUnixMillis(7), Tick{}});
            }).code(),
            absl::StatusCode::kAlreadyExists);
  const auto facts = LoadFacts(*database_, job_);
  ASSERT_TRUE(facts.ok()) << facts.status();
  ASSERT_EQ(facts->size(), 2);
  EXPECT_EQ(NameOf((*facts)[0].event), "site_accepted");
  EXPECT_EQ((*facts)[1].time, absl::FromUnixMillis(6));
  EXPECT_TRUE(LoadFacts(*database_, *JobId::Parse("other"))->empty());
}

TEST_F(ExperimentStoreTest, ADamagedFactIsDataLoss) {
  ASSERT_TRUE(database_->Execute("INSERT INTO facts (job, sequence, fact) VALUES (?, 0, 'x')", {job_.value()}).ok());
  EXPECT_EQ(LoadFacts(*database_, job_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ExperimentStoreTest, AFactOfNoExperimentIsRefused) {
  EXPECT_FALSE(Try([&](storage::Transaction& t) {
                 return AppendFact(t, *JobId::Parse("nobody"), 0, {absl::FromUnixMillis(1), Tick{}});
               }).ok());
}

TEST_F(ExperimentStoreTest, NotesAreReadFromAPlaceOn) {
  EXPECT_EQ(*LastNote(*database_, job_), 0);
  for (uint64_t i = 1; i <= 5; ++i) {
    Write([&](storage::Transaction& t) {
      return AppendNote(t, job_, {i, static_cast<int64_t>(i), "note " + std::to_string(i)});
    });
  }
  EXPECT_EQ(*LastNote(*database_, job_), 5);
  const auto notes = LoadNotes(*database_, job_, 2, 2);
  ASSERT_TRUE(notes.ok()) << notes.status();
  ASSERT_EQ(notes->size(), 2);
  EXPECT_EQ((*notes)[0].text, "note 3");
  EXPECT_EQ((*notes)[1].sequence, 4);
}

TEST_F(ExperimentStoreTest, WhatIsNotCommittedIsNotKept) {
  {
    storage::Transaction transaction = database_->Begin().value();
    ASSERT_TRUE(AppendNote(transaction, job_, {1, 1, "x"}).ok());
  }
  EXPECT_EQ(*LastNote(*database_, job_), 0);
}

}  // namespace
}  // namespace cloister::coordinator
