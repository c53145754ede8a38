#pragma once
// SPDX-License-Identifier: Apache-2.0
// Three sites and a coordinator made of the pure server session, in one process: what a test needs to take an
// experiment from the offer to a signed release, and to kill a site between any two steps.

#include <functional>
#include <memory>
#include <vector>

#include "protocols/plan/documents.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/server_session.h"
#include "tests/site_agent/agent/site_harness.h"

namespace cloister::site {

class TestFederation {
 public:
  explicit TestFederation(const std::string& experiment_yaml = "");

  // After a change of `plan`, before anybody is invited.
  void Freeze();
  wire::ExperimentOffer Offer();
  // Every site hears the offer; true when all have accepted.
  bool Invite();
  wire::BaselineTask BaselineItem() const;
  wire::ModelRef GlobalModel(int round, const Digest& blob) const;
  // What site `reader` is told about the baseline that `origin` sent.
  wire::ModelRef BaselineModel(size_t origin, size_t reader) const;

  struct Total {
    std::vector<uint32_t> update;  // TRAIN; of up to 32 bits
    std::vector<uint64_t> counters;
    secagg::ServerSession::Published published;
  };
  // Runs one secure sum over all sites. `models_of`: the step's models as site i is told. `between` is called before a
  // site is given a phase (its index, the phase).
  using Between = std::function<void(size_t site, wire::SumPhase phase)>;
  Total RunSum(wire::SumKind kind, uint32_t round, uint32_t attempt,
               const std::function<std::vector<wire::ModelRef>(size_t)>& models_of, const Between& between = nullptr);

  // Publishes the totals of training round `round` and the model that follows from them, whatever the guards say.
  wire::ModelRef PublishModel(const Total& total, uint32_t round, const Digest& parent);

  wire::ReleaseOffer Release(const std::vector<std::pair<std::string, Digest>>& members, double operating_point,
                             const std::string& id = "release-1");

  testing::TestConsortium pki;
  FakeClock clock{testing::kTestNow};
  testing::TempDir folder;
  std::map<Digest, Bytes> published;
  plan::Experiment plan;
  Bytes plan_document;
  Digest plan_digest;
  Bytes initial_model;
  JobId job = JobId::Parse("job-1").value();
  std::vector<std::unique_ptr<SiteHarness>> sites;
};

}  // namespace cloister::site
