// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/agent.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/site_agent/agent/test_federation.h"

namespace cloister::site {
namespace {

class NoPacs final : public ResultSink {
 public:
  absl::StatusOr<StoreOutcome> Store(const std::vector<std::filesystem::path>&) override {
    return absl::UnavailableError("no PACS here");
  }
};

bool Soon(const std::function<bool()>& condition) {
  const transport::StopSource stop;
  for (int i = 0; i < 1000 && !condition(); ++i) {
    stop.WaitFor(absl::Milliseconds(20));
  }
  return condition();
}

TEST(AgentTest, SignOffsTakeEffectWhileTheCoordinatorIsAway) {
  TestFederation federation;
  ASSERT_TRUE(federation.Invite());
  SiteHarness& site = *federation.sites[2];
  site.StepReleases({federation.Release({{"round-0", federation.plan.model.initial_model}}, 0.5)});
  site.Kill();

  site.link.away = true;
  NoPacs sink;
  const std::unique_ptr<SiteStore> store = SiteStore::Open(site.config.data).value();
  storage::BlobStore blobs = storage::BlobStore::Open(site.config.data / "blobs").value();
  AgentParts parts;
  parts.config = site.config;
  parts.config.worker_program = CLOISTER_FAKE_WORKER;
  parts.store = store.get();
  parts.blobs = &blobs;
  parts.link = &site.link;
  parts.source = &site.pacs;
  parts.sink = &sink;
  parts.clock = &federation.clock;
  parts.signer = [signer = federation.pki.site(site.id)] { return signer; };
  parts.ca = federation.pki.ca();
  const std::unique_ptr<Agent> agent = Agent::Create(std::move(parts)).value();
  agent->Start();

  const ReleaseId release = ReleaseId::Parse("release-1").value();
  const auto state_becomes = [&](ReleaseState state) {
    return Soon([&] { return store->releases().Get(release)->state == state; });
  };
  SignOffRow sign_off;
  sign_off.release = release;
  sign_off.person = "Dr Demo";
  sign_off.decision = SignOffDecision::kAccept;
  ASSERT_TRUE(store->releases().AddSignOff(sign_off).ok());
  EXPECT_TRUE(state_becomes(ReleaseState::kActive));
  sign_off.decision = SignOffDecision::kRollback;
  ASSERT_TRUE(store->releases().AddSignOff(sign_off).ok());
  EXPECT_TRUE(state_becomes(ReleaseState::kRolledBack));

  federation.clock.Advance(absl::Minutes(1));
  const std::string now = std::to_string(absl::ToUnixMillis(federation.clock.Now()));
  EXPECT_TRUE(Soon([&] { return store->progress().Fact("heartbeat_unix_ms").value() == now; }));
  agent->Stop();
}

}  // namespace
}  // namespace cloister::site
