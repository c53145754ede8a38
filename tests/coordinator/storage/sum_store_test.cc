// SPDX-License-Identifier: Apache-2.0
#include "coordinator/storage/sum_store.h"

#include <gmock/gmock.h>

#include "protocols/crypto/hash.h"
#include "tests/coordinator/storage/store_fixture.h"

namespace cloister::coordinator {
namespace {

using SumStoreTest = StoreFixture;

SiteId Site(const char* id) {
  return *SiteId::Parse(id);
}

TEST_F(SumStoreTest, MessagesComeBackInTheOrderTheyWereTaken) {
  const SumKey sum{plan::SumKind::kTrain, 2, 1};
  const std::vector<StoredSumMessage> messages = {
      {wire::SumPhase::kAdvertise, Site("b"), Bytes("\0advert b", 9), {}},
      {wire::SumPhase::kAdvertise, Site("a"), "advert a", {}},
      {wire::SumPhase::kMask, Site("b"), "commit b", {crypto::Sha256("1"), crypto::Sha256("2")}}};
  for (size_t i = 0; i < messages.size(); ++i) {
    Write([&](storage::Transaction& t) { return AppendSumMessage(t, job_, sum, 7 * i, messages[i]); });
  }
  EXPECT_EQ(Try([&](storage::Transaction& t) { return AppendSumMessage(t, job_, sum, 99, messages[1]); }).code(),
            absl::StatusCode::kAlreadyExists);
  const auto loaded = LoadSumMessages(*database_, job_, sum);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->size(), 3);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*loaded)[i].site, messages[i].site);
    EXPECT_EQ((*loaded)[i].message, messages[i].message);
    EXPECT_EQ((*loaded)[i].vectors, messages[i].vectors);
  }
  EXPECT_TRUE(LoadSumMessages(*database_, job_, {plan::SumKind::kTrain, 2, 0})->empty());
  const auto vectors = LoadSumVectors(*database_, job_, sum);
  ASSERT_TRUE(vectors.ok()) << vectors.status();
  ASSERT_EQ(vectors->size(), 1) << "of the masked input alone";
  EXPECT_EQ(vectors->at(Site("b")), messages[2].vectors);
  EXPECT_TRUE(*HasSumMessage(*database_, job_, sum, messages[2]));
  StoredSumMessage other = messages[2];
  other.vectors.pop_back();
  EXPECT_FALSE(*HasSumMessage(*database_, job_, sum, other));
}

TEST_F(SumStoreTest, ATotalIsReplacedByALaterOne) {
  const SumKey sum{plan::SumKind::kValidate, 1, 0};
  EXPECT_EQ(LoadTotal(*database_, job_, plan::SumKind::kValidate, 1).status().code(), absl::StatusCode::kNotFound);
  Write([&](storage::Transaction& t) { return PutTotal(t, job_, sum, {{1, 2}, {Site("a")}}); });
  Write([&](storage::Transaction& t) {
    return PutTotal(t, job_, sum, {{~uint64_t{0}, 0, 7}, {Site("a"), Site("b")}});
  });
  const auto total = LoadTotal(*database_, job_, plan::SumKind::kValidate, 1);
  ASSERT_TRUE(total.ok()) << total.status();
  EXPECT_THAT(total->counters, ::testing::ElementsAre(~uint64_t{0}, 0, 7));
  EXPECT_THAT(total->survivors, ::testing::ElementsAre(Site("a"), Site("b")));
}

}  // namespace
}  // namespace cloister::coordinator
