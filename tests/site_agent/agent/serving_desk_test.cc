// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/serving_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "tests/site_agent/agent/test_federation.h"
#include "tests/support/make_dicom.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

class NoPacs final : public ResultSink {
 public:
  absl::StatusOr<StoreOutcome> Store(const std::vector<std::filesystem::path>&) override {
    return absl::UnavailableError("no PACS here");
  }
};

class AnyPacs final : public ResultSink {
 public:
  absl::StatusOr<StoreOutcome> Store(const std::vector<std::filesystem::path>& files) override {
    stored += files.size();
    StoreOutcome outcome;
    outcome.stored = static_cast<int>(files.size());
    return outcome;
  }
  size_t stored = 0;
};

// A site with an active release whose worker gives `capture` (JSON) with its score; how many objects one study gets.
size_t ObjectsForCapture(const std::string& capture) {
  TestFederation federation;
  SiteHarness& site = *federation.sites[0];
  EXPECT_TRUE(federation.Invite());
  site.Kill();
  site.worker_environment["CLOISTER_FAKE_CAPTURE"] = capture;
  site.Start();
  site.Step(federation.job, {federation.BaselineItem()});
  site.StepReleases({federation.Release({{"round-0", federation.plan.model.initial_model}}, 0.5)});
  SignOffRow row;
  row.release = ReleaseId::Parse("release-1").value();
  row.decision = SignOffDecision::kAccept;
  row.person = "Dr Demo";
  row.role = "radiologist";
  row.time_unix_ms = absl::ToUnixMillis(federation.clock.Now());
  EXPECT_TRUE(site.store().releases().AddSignOff(row).ok());
  site.StepReleases({});

  AnyPacs pacs;
  ServingDesk desk(&site.context(), &pacs, ServingDesk::Options());
  ReceivedInstance instance;
  instance.path = federation.folder.path() / "film.dcm";
  EXPECT_TRUE(testing::MakeDicom({}, instance.path));
  instance.header = ReadHeader(instance.path).value();
  EXPECT_TRUE(desk.OnReceived(instance).ok());
  federation.clock.Advance(absl::Minutes(1));
  desk.Step(transport::StopSource());
  EXPECT_EQ(site.store().serving().List(1)->front().state, ServingState::kAnswered);
  return pacs.stored;
}

TEST(ServingDeskTest, ACaptureThatIsNoneIsLeftOut) {
  EXPECT_EQ(ObjectsForCapture(R"({"file": "capture.rgb", "rows": 4, "columns": 4})"), 2u);
  for (const char* bad : {R"({"file": "capture.rgb", "rows": "4", "columns": 4})", "[]"}) {
    EXPECT_EQ(ObjectsForCapture(bad), 1u) << bad;
  }
}

TEST(ServingDeskTest, AnUnreadablePolicyKeepsTheStudy) {
  TestFederation federation;
  SiteHarness& site = *federation.sites[0];
  NoPacs sink;
  ServingDesk desk(&site.context(), &sink, ServingDesk::Options());
  ReceivedInstance instance;
  instance.path = federation.folder.path() / "film.dcm";
  instance.header.sop_instance_uid = "1.2.3.4";
  instance.header.study_instance_uid = "1.2.3";
  instance.header.modality = "DX";
  instance.header.rows = 2;
  ASSERT_TRUE(WriteFileAtomically(instance.path, "film").ok());
  ASSERT_TRUE(desk.OnReceived(instance).ok());
  const auto study = [&] { return site.store().serving().List(1)->front(); };
  const auto step = [&] {
    federation.clock.Advance(absl::Minutes(1));
    desk.Step(transport::StopSource());
  };

  ASSERT_TRUE(WriteFileAtomically(site.config.policy, site.policy + "servin: never\n").ok());
  for (int i = 0; i < 5; ++i) {
    step();
  }
  EXPECT_EQ(study().state, ServingState::kReceived);
  EXPECT_EQ(study().attempts, 0) << "they are for what the study itself makes difficult";
  EXPECT_TRUE(std::filesystem::exists(instance.path));
  const auto events = *site.store().progress().Events(10);
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const EventRow& event) { return event.text.find("studies wait") != std::string::npos; }),
            1);

  ASSERT_TRUE(WriteFileAtomically(site.config.policy, site.policy).ok());
  step();
  EXPECT_EQ(study().state, ServingState::kIgnored);
  EXPECT_EQ(study().reason, "NO_RELEASE");
}

}  // namespace
}  // namespace cloister::site
