// SPDX-License-Identifier: Apache-2.0
#include "coordinator/storage/answer_store.h"

#include <gmock/gmock.h>

#include "protocols/crypto/hash.h"
#include "tests/coordinator/storage/store_fixture.h"

namespace cloister::coordinator {
namespace {

using AnswerStoreTest = StoreFixture;

SiteId Site(const char* id) {
  return *SiteId::Parse(id);
}

TEST_F(AnswerStoreTest, AcceptancesAndBaselinesComeBack) {
  const wire::SignedDocument acceptance = {"document", "signature", "certificate"};
  Write([&](storage::Transaction& t) { return PutAcceptance(t, job_, Site("a"), acceptance); });
  EXPECT_EQ(LoadAcceptances(*database_, job_)->at(Site("a")), acceptance);

  const StoredBaseline baseline{Site("a"), crypto::Sha256("sealed"), 77, {{Site("a"), "ka"}, {Site("b"), "kb"}}};
  Write([&](storage::Transaction& t) { return PutBaseline(t, job_, baseline); });
  EXPECT_FALSE(Try([&](storage::Transaction& t) { return PutBaseline(t, job_, baseline); }).ok());
  const auto baselines = LoadBaselines(*database_, job_);
  ASSERT_TRUE(baselines.ok()) << baselines.status();
  EXPECT_EQ(baselines->at(Site("a")).blob, baseline.blob);
  EXPECT_EQ(baselines->at(Site("a")).size_bytes, 77);
  EXPECT_EQ(baselines->at(Site("a")).keys, baseline.keys);
}

TEST_F(AnswerStoreTest, SummariesAreByKindSiteAndModel) {
  Write([&](storage::Transaction& t) {
    return PutSummary(t, job_, plan::SumKind::kValidate, Site("a"), "round-1", "{}");
  });
  Write([&](storage::Transaction& t) {
    return PutSummary(t, job_, plan::SumKind::kValidate, Site("a"), "round-1", "{1}");
  });
  Write([&](storage::Transaction& t) {
    return PutSummary(t, job_, plan::SumKind::kCalibrate, Site("a"), "round-1", "{2}");
  });
  const auto summaries = LoadSummaries(*database_, job_, plan::SumKind::kValidate);
  ASSERT_TRUE(summaries.ok()) << summaries.status();
  EXPECT_EQ(summaries->size(), 1);
  EXPECT_EQ(summaries->at(Site("a")).at("round-1"), "{1}");
}

TEST_F(AnswerStoreTest, GatesAreReplacedAsAWhole) {
  Write([&](storage::Transaction& t) {
    return PutGates(t, job_, {{"r1", "m", "pooled", "pass", "d"}, {"r2", "m", "a", "fail", "e"}});
  });
  Write([&](storage::Transaction& t) { return PutGates(t, job_, {{"r3", "m", "pooled", "fail", "f"}}); });
  const auto gates = LoadGates(*database_, job_);
  ASSERT_TRUE(gates.ok()) << gates.status();
  ASSERT_EQ(gates->size(), 1);
  EXPECT_EQ(gates->front().rule, "r3");
  EXPECT_EQ(gates->front().verdict, "fail");
}

TEST_F(AnswerStoreTest, UploadsAreRememberedUntilForgotten) {
  const Digest digest = crypto::Sha256("vector");
  const StoredUpload upload{"a", digest, wire::BlobPurpose::kMaskedVector, job_.value(), 5};
  Write([&](storage::Transaction& t) { return NoteUpload(t, upload); });
  Write([&](storage::Transaction& t) { return NoteUpload(t, upload); });
  ASSERT_EQ(LoadUploads(*database_)->size(), 1);
  EXPECT_EQ(LoadUploads(*database_)->front().purpose, wire::BlobPurpose::kMaskedVector);
  Write([&](storage::Transaction& t) { return ForgetUpload(t, digest); });
  EXPECT_TRUE(LoadUploads(*database_)->empty());
}

}  // namespace
}  // namespace cloister::coordinator
