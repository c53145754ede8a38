#pragma once
// SPDX-License-Identifier: Apache-2.0
// A migrated database with one experiment in it.

#include <gtest/gtest.h>

#include <optional>

#include "coordinator/storage/experiment_store.h"
#include "coordinator/storage/schema.h"
#include "tests/support/temp_dir.h"

namespace cloister::coordinator {

class StoreFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    database_.emplace(storage::Database::Open(folder_.path() / "test.db").value());
    ASSERT_TRUE(MigrateExperimentTables(*database_).ok());
    ASSERT_TRUE(MigrateExperimentTables(*database_).ok());  // again: nothing to do
    experiment_.job = job_;
    experiment_.name = "chest";
    experiment_.task = "chest_pneumonia";
    experiment_.sponsor = "li";
    experiment_.plan = {Bytes("{\"a\":\0}", 7), "signature", "certificate"};
    experiment_.submitted_ms = 1234;
    Write([&](storage::Transaction& t) { return InsertExperiment(t, experiment_); });
  }

  template <typename F>
  absl::Status Try(F write) {
    storage::Transaction transaction = database_->Begin().value();
    CLOISTER_RETURN_IF_ERROR(write(transaction));
    return transaction.Commit();
  }
  template <typename F>
  void Write(F write) {
    const absl::Status status = Try(write);
    ASSERT_TRUE(status.ok()) << status;
  }

  ::cloister::testing::TempDir folder_;
  std::optional<storage::Database> database_;
  const JobId job_ = *JobId::Parse("chest-1");
  StoredExperiment experiment_;
};

}  // namespace cloister::coordinator
