// SPDX-License-Identifier: Apache-2.0
// The documents that parties sign: what is accepted is in canonical form, so that one document has one digest.
#include "protocols/plan/documents.h"
#include "tests/fuzz/plan_examples.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const size_t choice = TakeChoice(input, 3);
  const Bytes document(input);
  if (choice == 0) {
    const absl::StatusOr<plan::Experiment> plan = plan::ParsePlan(document);
    if (plan.ok()) RequireSame(plan::PlanDocument(*plan), document, "a plan has one form");
  } else if (choice == 1) {
    const absl::StatusOr<plan::Acceptance> acceptance = plan::ParseAcceptance(document);
    if (acceptance.ok()) RequireSame(plan::AcceptanceDocument(*acceptance), document, "an acceptance has one form");
  } else {
    const absl::StatusOr<plan::ReleaseManifest> release = plan::ParseRelease(document);
    if (release.ok()) RequireSame(plan::ReleaseDocument(*release), document, "a manifest has one form");
  }
}

std::vector<Bytes> Seeds() {
  const plan::Experiment experiment = *plan::ParseExperiment(kExperiment, "experiment.yaml", LoadTask);
  plan::ReleaseManifest release;
  release.id = *ReleaseId::Parse("release-1");
  release.version = "1.0.0.0";
  release.device_uid = "2.25.1";
  release.job = *JobId::Parse("job-1");
  release.task = experiment.task;
  release.architecture = "resnet18";
  release.members = {{"round-8", {}, 44}};
  release.combiner = "mean_logit";
  release.operating_point = 0.5;
  release.gates = {{"AUC at least 0.70", "round-8", "pooled", "pass", "0.91"}};
  release.results = {{*SiteId::Parse("site-a"), "round-8", "{}"}};
  release.sites = {"site-a", "site-b"};
  release.rounds = 8;
  return {WithChoice(0, plan::PlanDocument(experiment)),
          WithChoice(1, plan::AcceptanceDocument({{}, *SiteId::Parse("site-a"), Bytes(32, 'k')})),
          WithChoice(2, plan::ReleaseDocument(release))};
}

}  // namespace cloister::fuzz
