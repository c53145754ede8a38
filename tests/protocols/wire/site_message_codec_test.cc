// SPDX-License-Identifier: Apache-2.0
// What a hostile or broken site may send, and what comes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "protocols/wire/codec.h"
#include "protocols/wire/message_bytes.h"
#include "tests/protocols/wire/wire_examples.h"

namespace cloister::wire {
namespace {

using ::testing::HasSubstr;

TEST(SiteMessageCodecTest, EveryKindComesBackTheSame) {
  for (const SiteMessage& message : AllSiteMessages()) {
    const Bytes bytes = SerializeSiteMessage(message);
    const auto again = ParseSiteMessage(bytes);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->index(), message.index());
    EXPECT_EQ(SerializeSiteMessage(*again), bytes);
  }
}

TEST(SiteMessageCodecTest, KeepsTheFieldsOfAMaskedInput) {
  const auto again = ParseSiteMessage(SerializeSiteMessage(AllSiteMessages()[4]));
  ASSERT_TRUE(again.ok());
  const SumMessage& sum = std::get<SumMessage>(*again);
  EXPECT_EQ(sum.job.value(), "job-1");
  EXPECT_EQ(sum.phase, SumPhase::kMask);
  EXPECT_EQ(sum.message, "commit");
  ASSERT_EQ(sum.vectors.size(), 2u);
  EXPECT_EQ(sum.vectors[1], MakeDigest('e'));
}

// Changes a valid message into an invalid one, and says what the refusal must name.
struct Damage {
  size_t example;
  std::function<void(v1::SiteMessage&)> apply;
  std::string names;
};

TEST(SiteMessageCodecTest, RefusesWhatIsNotValid) {
  const std::vector<Damage> damages = {
      {0, [](auto& m) { m.mutable_answer()->set_job_id("../../etc"); }, "job id"},
      {0, [](auto& m) { m.mutable_answer()->clear_job_id(); }, "job id"},
      {0, [](auto& m) { m.mutable_answer()->clear_acceptance(); }, "signed document"},
      {0, [](auto& m) { m.mutable_answer()->mutable_acceptance()->set_signature("short"); }, "5 bytes, not 64"},
      {0,
       [](auto& m) { m.mutable_answer()->mutable_acceptance()->set_document(std::string(kMaxDocumentBytes + 1, 'x')); },
       "at most 1048576"},
      {0, [](auto& m) { m.mutable_answer()->mutable_acceptance()->set_certificate(std::string(9000, 'x')); },
       "certificate"},
      {0, [](auto& m) { m.mutable_answer()->set_reason(v1::REFUSAL_REASON_DECLINED); }, "accepted"},
      {1, [](auto& m) { m.mutable_answer()->set_reason(v1::REFUSAL_REASON_UNSPECIFIED); }, "reason"},
      {1, [](auto& m) { m.mutable_answer()->set_reason(static_cast<v1::RefusalReason>(99)); }, "99"},
      {1, [](auto& m) { m.mutable_answer()->mutable_acceptance(); }, "refused"},
      {2, [](auto& m) { m.mutable_baseline()->set_blob(std::string(31, 'x')); }, "baseline blob"},
      {2, [](auto& m) { m.mutable_baseline()->clear_blob(); }, "without a blob"},
      {2, [](auto& m) { m.mutable_baseline()->mutable_keys(0)->set_site("SITE B"); }, "site id"},
      {2, [](auto& m) { m.mutable_baseline()->mutable_keys(0)->clear_sealed(); }, "empty"},
      {2, [](auto& m) { *m.mutable_baseline()->add_keys() = m.baseline().keys(0); }, "twice"},
      {2, [](auto& m) { m.mutable_baseline()->mutable_keys(0)->set_sealed(std::string(2000, 'k')); }, "sealed key"},
      {4, [](auto& m) { m.mutable_sum()->clear_vectors(); }, "MASK"},
      {4, [](auto& m) { m.mutable_sum()->add_vectors("short"); }, "masked vector"},
      {4, [](auto& m) { m.mutable_sum()->set_message(std::string(kMaxSecaggMessageBytes + 1, 'm')); }, "secure sum"},
      {4,
       [](auto& m) {
         for (size_t i = 0; i < kMaxVectors; ++i) m.mutable_sum()->add_vectors(std::string(32, 'v'));
       },
       "at most 16"},
      {5, [](auto& m) { m.mutable_sum()->add_vectors(std::string(32, 'v')); }, "MASK"},
      {5, [](auto& m) { m.mutable_sum()->set_phase(static_cast<v1::SumPhase>(-1)); }, "sum phase"},
      {6, [](auto& m) { m.mutable_summary()->set_kind(v1::SUM_KIND_TRAIN); }, "training"},
      {6, [](auto& m) { m.mutable_summary()->mutable_models(0)->set_model_id("Round 3"); }, "model id"},
      {6, [](auto& m) { *m.mutable_summary()->add_models() = m.summary().models(0); }, "twice"},
      {6, [](auto& m) { m.mutable_summary()->mutable_models(0)->set_summary(std::string(kMaxSummaryBytes + 1, ' ')); },
       "at most 65536"},
      {6,
       [](auto& m) {
         for (size_t i = 0; i < kMaxModels; ++i)
           m.mutable_summary()->add_models()->set_model_id("m" + std::to_string(i));
       },
       "at most 1024"},
      {7, [](auto& m) { m.mutable_release()->set_state(v1::RELEASE_STATE_OFFERED); }, "OFFERED"},
      {7, [](auto& m) { m.mutable_release()->set_release_id(std::string(64, 'r')); }, "release id"},
      {8, [](auto& m) { m.mutable_failure()->set_reason(v1::FAILURE_REASON_UNSPECIFIED); }, "failure reason"},
      {8, [](auto& m) { m.mutable_failure()->set_kind(static_cast<v1::SumKind>(4)); }, "sum kind"},
      {8, [](auto& m) { m.mutable_failure()->set_about("site-b"); }, "only BAD_SHARE"},
      {10, [](auto& m) { m.mutable_failure()->clear_about(); }, "only BAD_SHARE"},
      {10, [](auto& m) { m.mutable_failure()->set_about("a b"); }, "whom a failure is about"},
      {8, [](auto& m) { m.clear_body(); }, "does not know"},
      {10, [](auto& m) { m.mutable_reveal()->set_reveal("short"); }, "graph reveal"},
      {10, [](auto& m) { m.mutable_reveal()->clear_job_id(); }, "job id"},
  };
  const std::vector<SiteMessage> examples = AllSiteMessages();
  for (size_t i = 0; i < damages.size(); ++i) {
    v1::SiteMessage message = Encode(examples[damages[i].example]);
    damages[i].apply(message);
    const auto decoded = Decode(message);
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument) << "damage " << i;
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr(damages[i].names)) << "damage " << i;
  }
}

TEST(SiteMessageCodecTest, SurvivesEveryTruncationAndRandomFlips) {
  std::mt19937_64 random(7);
  for (const SiteMessage& example : AllSiteMessages()) {
    const Bytes bytes = SerializeSiteMessage(example);
    for (size_t size = 0; size <= bytes.size(); ++size) {
      ParseSiteMessage(ByteView(bytes).substr(0, size)).IgnoreError();
    }
    for (int i = 0; i < 2000; ++i) {
      Bytes flipped = bytes;
      flipped[random() % flipped.size()] ^= static_cast<char>(1u << (random() % 8));
      const auto parsed = ParseSiteMessage(flipped);
      if (parsed.ok()) {
        EXPECT_TRUE(ParseSiteMessage(SerializeSiteMessage(*parsed)).ok());
      }
    }
  }
}

TEST(BlobCodecTest, ChecksTheHeader) {
  const BlobHeader header{MakeDigest('a'), 1000, BlobPurpose::kMaskedVector, MakeId<JobId>("job-1")};
  const auto again = Decode(Encode(header));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->digest, header.digest);
  EXPECT_EQ(again->job.value(), "job-1");

  v1::BlobHeader message = Encode(header);
  message.set_size_bytes(0);
  EXPECT_FALSE(Decode(message).ok());
  message.set_size_bytes(kMaxBlobBytes + 1);
  EXPECT_FALSE(Decode(message).ok());
  message = Encode(header);
  message.clear_job_id();
  EXPECT_FALSE(Decode(message).ok());
  message = Encode(header);
  message.set_purpose(v1::BLOB_PURPOSE_INITIAL_MODEL);
  EXPECT_FALSE(Decode(message).ok());
  message = Encode(header);
  message.set_digest("short");
  EXPECT_FALSE(Decode(message).ok());
}

}  // namespace
}  // namespace cloister::wire
