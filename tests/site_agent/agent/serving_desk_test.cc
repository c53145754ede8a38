// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/serving_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/base/file.h"
#include "tests/site_agent/agent/test_federation.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

class NoPacs final : public ResultSink {
 public:
  absl::StatusOr<StoreOutcome> Store(const std::vector<std::filesystem::path>&) override {
    return absl::UnavailableError("no PACS here");
  }
};

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
