// SPDX-License-Identifier: Apache-2.0
// Holds the enumerations of messages.h, their names and their advice to those of the .proto.
#include "protocols/wire/names.h"

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "protocols/wire/codec.h"
#include "tests/protocols/wire/wire_examples.h"

namespace cloister::wire {
namespace {

// Every value of the .proto but 0 has the same number here and the same name without its prefix, in both directions.
template <typename Enum>
void ExpectSameAs(const google::protobuf::EnumDescriptor* descriptor, const std::string& prefix) {
  for (int i = 0; i < descriptor->value_count(); ++i) {
    const auto* value = descriptor->value(i);
    if (value->number() == 0) {
      continue;
    }
    const std::string name = value->name().substr(prefix.size());
    EXPECT_EQ(NameOf(static_cast<Enum>(value->number())), name);
    const auto again = FromName<Enum>(name);
    ASSERT_TRUE(again.has_value()) << name;
    EXPECT_EQ(static_cast<int>(*again), value->number());
  }
  EXPECT_EQ(NameOf(static_cast<Enum>(descriptor->value_count())), "UNKNOWN");
  EXPECT_FALSE(FromName<Enum>("NO_SUCH_NAME").has_value());
}

TEST(NamesTest, AreThoseOfTheProto) {
  ExpectSameAs<SumKind>(v1::SumKind_descriptor(), "SUM_KIND_");
  ExpectSameAs<SumPhase>(v1::SumPhase_descriptor(), "SUM_PHASE_");
  ExpectSameAs<ModelKind>(v1::ModelKind_descriptor(), "MODEL_KIND_");
  ExpectSameAs<RefusalReason>(v1::RefusalReason_descriptor(), "REFUSAL_REASON_");
  ExpectSameAs<FailureReason>(v1::FailureReason_descriptor(), "FAILURE_REASON_");
  ExpectSameAs<ReleaseState>(v1::ReleaseState_descriptor(), "RELEASE_STATE_");
  ExpectSameAs<BlobPurpose>(v1::BlobPurpose_descriptor(), "BLOB_PURPOSE_");
  ExpectSameAs<ExperimentPhase>(v1::ExperimentPhase_descriptor(), "EXPERIMENT_PHASE_");
}

TEST(NamesTest, EveryReasonHasAdviceInBothLanguages) {
  for (int i = 1; i < v1::RefusalReason_descriptor()->value_count(); ++i) {
    for (const Language language : {Language::kEnglish, Language::kChinese}) {
      EXPECT_FALSE(Advice(static_cast<RefusalReason>(i), language).empty()) << i;
    }
  }
  for (int i = 1; i < v1::FailureReason_descriptor()->value_count(); ++i) {
    for (const Language language : {Language::kEnglish, Language::kChinese}) {
      EXPECT_FALSE(Advice(static_cast<FailureReason>(i), language).empty()) << i;
    }
  }
  for (int i = 1; i < v1::ReleaseState_descriptor()->value_count(); ++i) {
    EXPECT_FALSE(Advice(static_cast<ReleaseState>(i), Language::kChinese).empty()) << i;
  }
  for (int i = 1; i < v1::ExperimentPhase_descriptor()->value_count(); ++i) {
    EXPECT_FALSE(Title(static_cast<ExperimentPhase>(i), Language::kChinese).empty()) << i;
  }
}

TEST(NamesTest, OfMessages) {
  EXPECT_EQ(NameOf(SiteMessage(SumMessage{})), "sum_message");
  EXPECT_EQ(NameOf(SiteMessage(SiteFailure{})), "site_failure");
  EXPECT_EQ(NameOf(WorkItem(ExperimentClosed{})), "experiment_closed");
}

TEST(NamesTest, APersonTheClockOrNewStudiesCanChangeARefusal) {
  for (const RefusalReason reason :
       {RefusalReason::kNotApproved, RefusalReason::kOutsideHours, RefusalReason::kNoCohort,
        RefusalReason::kCohortTooSmall, RefusalReason::kDifferentialPrivacy}) {
    EXPECT_TRUE(MayChange(reason)) << NameOf(reason);
  }
  for (const RefusalReason reason :
       {RefusalReason::kTaskNotAllowed, RefusalReason::kSecureAggregationRequired, RefusalReason::kMinimumSitesTooLow,
        RefusalReason::kSignatureInvalid, RefusalReason::kPlanInvalid, RefusalReason::kUnsupportedModel,
        RefusalReason::kDeclined}) {
    EXPECT_FALSE(MayChange(reason)) << NameOf(reason);
  }
}

}  // namespace
}  // namespace cloister::wire
