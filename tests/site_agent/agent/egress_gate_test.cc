// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/egress_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "protocols/wire/message_bytes.h"
#include "site_agent/storage/site_store.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

// Looks into the audit log at the moment of sending.
class RecordingLink final : public CoordinatorLink {
 public:
  explicit RecordingLink(storage::AuditLog* audit) : audit_(audit) {}
  absl::StatusOr<wire::Work> PullWork(uint64_t, absl::Duration, const transport::StopSource&) override {
    return absl::UnimplementedError("");
  }
  absl::Status Submit(const wire::SiteMessage& message, const transport::StopSource&) override {
    sent.push_back(message);
    audited_when_sent.push_back(audit_->Head()->sequence);
    return answer;
  }
  absl::Status Upload(const wire::BlobHeader& header, const std::filesystem::path&,
                      const transport::StopSource&) override {
    uploaded.push_back(header);
    audited_when_sent.push_back(audit_->Head()->sequence);
    return answer;
  }
  absl::Status Download(const Digest&, uint64_t, storage::BlobStore*, const transport::StopSource&) override {
    return absl::UnimplementedError("");
  }

  std::vector<wire::SiteMessage> sent;
  std::vector<wire::BlobHeader> uploaded;
  std::vector<uint64_t> audited_when_sent;
  absl::Status answer;

 private:
  storage::AuditLog* audit_;
};

class EgressGateTest : public ::testing::Test {
 protected:
  EgressGateTest()
      : store_(SiteStore::Open(dir_.path()).value()),
        link_(&store_->audit()),
        gate_(&link_, &store_->audit(), &clock_, SiteId::Parse("north").value()) {
    plan_.model.parameters = 1000;
    plan_.algorithm.rounds = 2;
    plan_.evaluation.histogram_bins = 10;
  }

  absl::Status Upload(wire::BlobPurpose purpose, size_t size, std::optional<size_t> said = std::nullopt) {
    const std::filesystem::path file = dir_.path() / "file";
    EXPECT_TRUE(WriteFileAtomically(file, Bytes(size, 'x')).ok());
    wire::BlobHeader header;
    header.size_bytes = said.value_or(size);
    header.purpose = purpose;
    header.job = job_;
    return gate_.Upload(header, file, stop_);
  }

  testing::TempDir dir_;
  FakeClock clock_{absl::FromUnixSeconds(1800000000)};
  transport::StopSource stop_;
  std::unique_ptr<SiteStore> store_;
  RecordingLink link_;
  EgressGate gate_;
  JobId job_ = JobId::Parse("job-1").value();
  plan::Experiment plan_;
};

TEST_F(EgressGateTest, TheRecordStandsBeforeTheMessageLeaves) {
  wire::SumMessage message;
  message.job = job_;
  message.round = 3;
  message.message = "secagg bytes";
  link_.answer = absl::UnavailableError("not now");
  EXPECT_TRUE(absl::IsUnavailable(gate_.Submit(message, stop_)));
  ASSERT_EQ(link_.sent.size(), 1u);
  EXPECT_EQ(link_.audited_when_sent[0], 1u);
  const auto records = store_->audit().Read(1, 10);
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 1u);
  const audit::Event& event = records->front().event;
  EXPECT_EQ(event.action, "egress");
  EXPECT_EQ(event.actor, "north");
  EXPECT_EQ(event.subject, "job-1");
  EXPECT_EQ(event.type, "sum_message");
  EXPECT_EQ(event.size_bytes, wire::SerializeSiteMessage(message).size());
  EXPECT_THAT(event.detail, HasSubstr("\"round\":3"));
  EXPECT_FALSE(store_->audit().Verify()->has_value());
}

TEST_F(EgressGateTest, RefusesWhatIsTooLarge) {
  wire::BaselineReady ready;
  ready.job = job_;
  ready.keys.push_back({SiteId::Parse("south").value(), Bytes(64 << 20, 'x')});
  EXPECT_TRUE(absl::IsPermissionDenied(gate_.Submit(ready, stop_)));
  EXPECT_TRUE(link_.sent.empty());
  EXPECT_EQ(store_->audit().Head()->sequence, 0u);
}

TEST_F(EgressGateTest, ASummaryMustBeInItsForm) {
  wire::SiteSummary summary;
  summary.job = job_;
  summary.models.push_back({"round-1", "{\"patient\": \"DOE^JANE\"}"});
  const absl::Status status = gate_.Submit(summary, stop_);
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), ::testing::Not(HasSubstr("DOE")));
  EXPECT_TRUE(link_.sent.empty());
}

TEST_F(EgressGateTest, FilesLeaveOnlyInTheSizesOfAnAcceptedPlan) {
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kMaskedVector, 4000)));  // no plan yet
  gate_.AllowFiles(job_, plan_);
  EXPECT_TRUE(Upload(wire::BlobPurpose::kMaskedVector, 4000).ok());
  EXPECT_TRUE(Upload(wire::BlobPurpose::kMaskedVector, 32).ok());
  EXPECT_TRUE(Upload(wire::BlobPurpose::kSealedBaseline, 4100).ok());
  EXPECT_EQ(link_.uploaded.size(), 3u);
  EXPECT_EQ(link_.audited_when_sent.back(), 3u);
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kMaskedVector, 4001)));
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kMaskedVector, 4000, 3999)));
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kSealedBaseline, 64 << 20)));
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kInitialModel, 4000)));
  gate_.ForgetJob(job_);
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kMaskedVector, 4000)));
  EXPECT_EQ(link_.uploaded.size(), 3u);
}

TEST_F(EgressGateTest, NoBaselineLeavesAPlanWithDifferentialPrivacy) {
  plan_.privacy.differential_privacy = plan::DifferentialPrivacy{plan::kPatientUnit, 1, 1, 1e-5, 8};
  gate_.AllowFiles(job_, plan_);
  EXPECT_TRUE(Upload(wire::BlobPurpose::kMaskedVector, 4000).ok());
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kSealedBaseline, 4100)));
  EXPECT_TRUE(absl::IsPermissionDenied(Upload(wire::BlobPurpose::kSealedBaseline, 1)));
}

}  // namespace
}  // namespace cloister::site
