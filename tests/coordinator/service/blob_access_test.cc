// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/blob_access.h"

#include <gtest/gtest.h>

#include "protocols/crypto/hash.h"

namespace cloister::coordinator {
namespace {

class BlobAccessTest : public ::testing::Test {
 protected:
  BlobAccessTest() : access_(1000) {
    JobBlobRights rights;
    rights.models = std::make_shared<DigestSet>(DigestSet{model_});
    rights.sites[*SiteId::Parse("a")] = {rights.models, {400, 32}, 0};
    rights.sites[*SiteId::Parse("b")] = {nullptr, {}, 500};
    access_.Set(job_, rights);
  }

  absl::StatusCode Put(const char* peer, crypto::Role role, wire::BlobPurpose purpose, uint64_t size,
                       const std::string& content = "x") {
    return access_.MayPut(Peer(peer, role), {crypto::Sha256(content), size, purpose, job_}).code();
  }
  static transport::Peer Peer(const char* id, crypto::Role role) { return {id, role, absl::InfiniteFuture(), {}}; }

  const JobId job_ = *JobId::Parse("job-1");
  const Digest model_ = crypto::Sha256("model");
  BlobAccess access_;
};

TEST_F(BlobAccessTest, MaskedVectorsHaveExactlyTheSizesOfThePlan) {
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 400), absl::StatusCode::kOk);
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 32), absl::StatusCode::kOk);
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 401), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Put("b", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 400), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Put("c", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 400), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Put("a", crypto::Role::kOperator, wire::BlobPurpose::kMaskedVector, 400),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(BlobAccessTest, NobodyFillsTheDiskWithVectors) {
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 400, std::to_string(i)),
              absl::StatusCode::kOk);
  }
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 400, "another"),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 400, "3"), absl::StatusCode::kOk);
}

TEST_F(BlobAccessTest, AnUpdateIsAboutTheSitesItNamesAlone) {
  JobBlobRights rights;
  rights.models = std::make_shared<DigestSet>();
  rights.sites[*SiteId::Parse("a")] = {rights.models, {}, 500};
  access_.Update(job_, {*SiteId::Parse("a"), *SiteId::Parse("c")}, rights);
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kMaskedVector, 400), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kSealedBaseline, 500), absl::StatusCode::kOk);
  EXPECT_EQ(Put("b", crypto::Role::kSite, wire::BlobPurpose::kSealedBaseline, 500), absl::StatusCode::kOk);
  EXPECT_FALSE(access_.MayGet(Peer("a", crypto::Role::kSite), model_).ok());
  EXPECT_FALSE(access_.MayGet(Peer("li", crypto::Role::kOperator), model_).ok());
  access_.Update(job_, {*SiteId::Parse("b")}, {});
  EXPECT_EQ(Put("b", crypto::Role::kSite, wire::BlobPurpose::kSealedBaseline, 500),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(BlobAccessTest, ABaselineIsSentOnceItIsAskedFor) {
  EXPECT_EQ(Put("b", crypto::Role::kSite, wire::BlobPurpose::kSealedBaseline, 500), absl::StatusCode::kOk);
  EXPECT_EQ(Put("b", crypto::Role::kSite, wire::BlobPurpose::kSealedBaseline, 501), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kSealedBaseline, 10), absl::StatusCode::kPermissionDenied);
}

TEST_F(BlobAccessTest, OperatorsSendModelsUpToTheLimit) {
  EXPECT_EQ(Put("li", crypto::Role::kOperator, wire::BlobPurpose::kInitialModel, 1000), absl::StatusCode::kOk);
  EXPECT_EQ(Put("li", crypto::Role::kOperator, wire::BlobPurpose::kInitialModel, 1001),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Put("a", crypto::Role::kSite, wire::BlobPurpose::kInitialModel, 10), absl::StatusCode::kPermissionDenied);
}

TEST_F(BlobAccessTest, OnlyWhatWasOfferedIsRead) {
  EXPECT_TRUE(access_.MayGet(Peer("a", crypto::Role::kSite), model_).ok());
  EXPECT_FALSE(access_.MayGet(Peer("b", crypto::Role::kSite), model_).ok());
  EXPECT_FALSE(access_.MayGet(Peer("c", crypto::Role::kSite), model_).ok());
  EXPECT_TRUE(access_.MayGet(Peer("li", crypto::Role::kOperator), model_).ok());
  EXPECT_FALSE(access_.MayGet(Peer("a", crypto::Role::kSite), crypto::Sha256("masked vector of b")).ok());
  EXPECT_FALSE(access_.MayGet(Peer("li", crypto::Role::kOperator), crypto::Sha256("masked vector of b")).ok());
}

}  // namespace
}  // namespace cloister::coordinator
