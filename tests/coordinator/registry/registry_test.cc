// SPDX-License-Identifier: Apache-2.0
#include "coordinator/registry/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "protocols/crypto/hash.h"
#include "tests/support/temp_dir.h"

namespace cloister::coordinator {
namespace {

SiteId Site(const char* id) {
  return *SiteId::Parse(id);
}

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    database_.emplace(storage::Database::Open(folder_.path() / "test.db").value());
    ASSERT_TRUE(MigrateRegistryTables(*database_).ok());
  }
  template <typename F>
  absl::Status Try(F write) {
    storage::Transaction transaction = database_->Begin().value();
    CLOISTER_RETURN_IF_ERROR(write(transaction));
    return transaction.Commit();
  }

  ::cloister::testing::TempDir folder_;
  std::optional<storage::Database> database_;
  const JobId job_ = *JobId::Parse("chest-1");
};

TEST_F(RegistryTest, ASiteKeepsWhenItWasFirstSeen) {
  ASSERT_TRUE(Try([&](auto& t) { return PutSite(t, {Site("a"), 0, 100, "0.1.0", 900}); }).ok());
  ASSERT_TRUE(Try([&](auto& t) { return PutSite(t, {Site("a"), 0, 200, "0.2.0", 950}); }).ok());
  const auto sites = LoadSites(*database_);
  ASSERT_TRUE(sites.ok()) << sites.status();
  ASSERT_EQ(sites->size(), 1);
  EXPECT_EQ(sites->front().first_seen_unix_ms, 100);
  EXPECT_EQ(sites->front().last_seen_unix_ms, 200);
  EXPECT_EQ(sites->front().agent_version, "0.2.0");
  EXPECT_EQ(sites->front().certificate_expires_unix_ms, 950);
}

TEST_F(RegistryTest, AModelKnowsWhereItComesFrom) {
  ModelRecord initial;
  initial.job = job_;
  initial.id = "round-0";
  initial.digest = crypto::Sha256("0");
  ModelRecord first = initial;
  first.id = "round-1";
  first.round = 1;
  first.digest = crypto::Sha256("1");
  first.size_bytes = 10;
  first.parent = initial.digest;
  first.samples = 123;
  first.sites = {Site("a"), Site("b")};
  first.loss = 0.25;
  first.made_ms = 7;
  ASSERT_TRUE(Try([&](auto& t) { return PutModel(t, first); }).ok());
  ASSERT_TRUE(Try([&](auto& t) { return PutModel(t, initial); }).ok());
  const auto models = LoadModels(*database_, job_);
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->size(), 2);
  EXPECT_FALSE((*models)[0].parent.has_value());
  EXPECT_EQ((*models)[1].parent, initial.digest);
  EXPECT_EQ((*models)[1].sites, first.sites);
  EXPECT_EQ((*models)[1].samples, 123);
  EXPECT_EQ((*models)[1].loss, 0.25);
  EXPECT_EQ(LoadAllModelDigests(*database_)->size(), 2);
}

TEST_F(RegistryTest, AReleaseKeepsWhatEachSiteMadeOfIt) {
  wire::ReleaseStatus release;
  release.release = *ReleaseId::Parse("chest-1");
  release.job = job_;
  release.version = "1.0.0.1";
  release.manifest = {"document", "signature", "certificate"};
  release.sites = {{Site("a"), wire::ReleaseState::kOffered}, {Site("b"), wire::ReleaseState::kOffered}};
  release.published_unix_ms = 5;
  ASSERT_TRUE(Try([&](auto& t) { return PutRelease(t, release); }).ok());
  ASSERT_TRUE(Try([&](auto& t) {
                return SetReleaseState(t, release.release, Site("b"), wire::ReleaseState::kActive, 9);
              }).ok());
  EXPECT_EQ(Try([&](auto& t) {
              return SetReleaseState(t, release.release, Site("c"), wire::ReleaseState::kActive, 9);
            }).code(),
            absl::StatusCode::kNotFound);
  const auto loaded = LoadRelease(*database_, release.release);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->manifest, release.manifest);
  EXPECT_EQ(loaded->sites[0].state, wire::ReleaseState::kOffered);
  EXPECT_EQ(loaded->sites[1].state, wire::ReleaseState::kActive);
  EXPECT_EQ(LoadReleases(*database_)->size(), 1);
  EXPECT_EQ(LoadRelease(*database_, *ReleaseId::Parse("other")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace cloister::coordinator
