// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/sum_session.h"

#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/secagg/server_session.h"
#include "site_agent/storage/site_store.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_consortium.h"

namespace cloister::site {
namespace {

using ::cloister::testing::kTestNow;

// Three sites and one sum of three counters.
class SumSessionTest : public ::testing::Test {
 protected:
  static constexpr int kSites = 3;

  SumSessionTest() : server_(secagg::ServerSession::Create({Params(), pki_.ca(), Sites(), kTestNow}).value()) {
    for (int i = 0; i < kSites; ++i) {
      const std::filesystem::path data = folder_.path() / std::to_string(i);
      EXPECT_TRUE(MakeDirectories(data).ok());
      stores_.push_back(SiteStore::Open(data).value());
      sessions_.push_back(Open(i).value());
    }
  }

  static secagg::SumParams Params() {
    secagg::SumParams params;
    params.plan = crypto::Sha256("plan");
    params.job = JobId::Parse("job-1").value();
    params.round = 1;
    params.kind = "validate";
    params.model_root = crypto::Sha256("models");
    params.n_min = kSites;
    params.vectors = {{"counters", 3, 64}};
    return params;
  }
  static std::vector<SiteId> Sites() {
    std::vector<SiteId> sites;
    for (int i = 0; i < kSites; ++i) {
      sites.push_back(testing::TestConsortium::SiteName(i + 1));
    }
    return sites;
  }
  static SumKey Key() { return {Params().job, static_cast<int>(wire::SumKind::kValidate), 1, 0}; }

  // A new process: only the disk is left.
  absl::StatusOr<std::unique_ptr<SumSession>> Open(int site) {
    secagg::ClientInputs inputs{Params(),
                                pki_.site(site + 1),
                                pki_.ca(),
                                kTestNow,
                                crypto::SecretBytes::CopyOf(crypto::Sha256(std::to_string(site)).view()),
                                {},
                                true};
    return SumSession::Open(&stores_[static_cast<size_t>(site)]->sums(), Key(), std::move(inputs), Digest(),
                            folder_.path() / std::to_string(site) / "spool");
  }
  SumSession& session(int site) { return *sessions_[static_cast<size_t>(site)]; }
  SiteStore& store(int site) { return *stores_[static_cast<size_t>(site)]; }

  Bytes Heard(int site) { return server_.MessagesFor(Sites()[static_cast<size_t>(site)]).back(); }
  // Every site answers `phase`, and the coordinator closes it.
  void Advance(wire::SumPhase phase) {
    for (int i = 0; i < kSites; ++i) {
      const auto reply = session(i).Handle(phase, phase == wire::SumPhase::kAdvertise ? "" : Heard(i));
      ASSERT_TRUE(reply.ok()) << reply.status();
      ASSERT_TRUE(server_.Handle(Sites()[static_cast<size_t>(i)], reply->value()).ok());
    }
    ASSERT_TRUE(server_.Close().ok());
  }
  absl::StatusOr<std::vector<SumVectorRow>> Mask(int site) {
    CLOISTER_RETURN_IF_ERROR(session(site).Handle(wire::SumPhase::kMask, Heard(site)).status());
    const uint64_t first = static_cast<uint64_t>(site);
    return session(site).WriteVectors(
        [first] {
          return std::vector<VectorContent>{CountersContent({first, 10, 100})};
        },
        transport::StopSource());
  }

  testing::TestConsortium pki_;
  testing::TempDir folder_;
  secagg::ServerSession server_;
  std::vector<std::unique_ptr<SiteStore>> stores_;
  std::vector<std::unique_ptr<SumSession>> sessions_;
};

TEST_F(SumSessionTest, VectorsOfEarlierSumsMakeRoom) {
  Advance(wire::SumPhase::kAdvertise);
  Advance(wire::SumPhase::kShare);
  const std::filesystem::path spool = folder_.path() / "0" / "spool";
  ASSERT_TRUE(MakeDirectories(spool).ok());
  ASSERT_TRUE(WriteFileAtomically(spool / "job-1-1-0-update.masked", "old").ok());
  ASSERT_TRUE(WriteFileAtomically(spool / "baseline.sealed", "kept").ok());
  const auto vectors = Mask(0);
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  EXPECT_TRUE(std::filesystem::exists(vectors->front().path));
  EXPECT_FALSE(std::filesystem::exists(spool / "job-1-1-0-update.masked"));
  EXPECT_TRUE(std::filesystem::exists(spool / "baseline.sealed"));
}

// Killed when the masked vectors are on the disk but the promise to send no others is not: it masks again.
TEST_F(SumSessionTest, KilledBetweenTheVectorsAndTheirFactItGoesOn) {
  Advance(wire::SumPhase::kAdvertise);
  Advance(wire::SumPhase::kShare);
  ASSERT_TRUE(store(0)
                  .database()
                  .Execute("CREATE TRIGGER power_cut BEFORE INSERT ON sum_fact WHEN NEW.key LIKE '%/masked' "
                           "BEGIN SELECT RAISE(ABORT, 'power cut'); END")
                  .ok());
  ASSERT_FALSE(Mask(0).ok());
  ASSERT_TRUE(store(0).database().Execute("DROP TRIGGER power_cut").ok());

  absl::StatusOr<std::unique_ptr<SumSession>> again = Open(0);
  ASSERT_TRUE(again.ok()) << again.status();
  sessions_[0] = *std::move(again);
  std::vector<SumVectorRow> vectors;
  for (int i = 0; i < kSites; ++i) {
    const auto written = Mask(i);
    ASSERT_TRUE(written.ok()) << written.status();
    if (i == 0) {
      vectors = *written;
    }
    const auto commit = StoredReply(store(i).sums(), Key(), wire::SumPhase::kMask, Heard(i));
    ASSERT_TRUE(commit.ok() && commit->has_value());
    EXPECT_TRUE(server_.Handle(Sites()[static_cast<size_t>(i)], **commit).ok());
  }

  // From here on the same vectors, whatever happens.
  again = Open(0);
  ASSERT_TRUE(again.ok()) << again.status();
  sessions_[0] = *std::move(again);
  const auto once_more = Mask(0);
  ASSERT_TRUE(once_more.ok()) << once_more.status();
  EXPECT_EQ(once_more->front().digest, vectors.front().digest);
  EXPECT_TRUE(server_.Close().ok());
}

}  // namespace
}  // namespace cloister::site
