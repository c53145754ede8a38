// SPDX-License-Identifier: Apache-2.0
// A site's own files: its configuration and its policy, which is never less strict than the least it may be.
#include "site_agent/agent/site_config.h"
#include "site_agent/policy/policy.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

void CheckPolicy(const Bytes& text) {
  const absl::StatusOr<site::Policy> policy = site::ParsePolicy(text, "policy.yaml");
  if (!policy.ok()) return;
  Require(policy->secure_aggregation_required && policy->minimum_sites >= 3 && policy->minimum_cohort >= 1,
          "no policy allows less than the floor");
  Require(policy->minimum_auc >= 0 && policy->minimum_auc <= 1, "a bound on an AUC can be met");
  for (const int minute : {policy->hours.from_minute, policy->hours.to_minute}) {
    Require(minute >= 0 && minute < 24 * 60, "hours lie within the day");
  }
}

void CheckConfig(const Bytes& text) {
  const absl::StatusOr<site::SiteConfig> config = site::ParseSiteConfig(text, "/etc/cloister/site.yaml");
  if (!config.ok()) return;
  Require(!config->site.empty() && config->data.is_absolute() && config->policy.is_absolute(),
          "a configuration says who and where");
  Require(config->pacs_port > 0 && config->pacs_port < 65536 && config->worker_threads > 0, "numbers are in range");
  for (const site::LabelConfig& labels : config->labels) {
    Require(config->LabelsOf(labels.task) != nullptr && labels.file.is_absolute(), "a task has its label file");
  }
}

}  // namespace

void FuzzOne(ByteView input) {
  const size_t choice = TakeChoice(input, 2);
  choice == 0 ? CheckPolicy(Bytes(input)) : CheckConfig(Bytes(input));
}

std::vector<Bytes> Seeds() {
  return {WithChoice(0, site::SamplePolicy()), WithChoice(0, "hours: {from: \"18:00\", to: \"07:00\"}"),
          WithChoice(1, site::SampleSiteConfig("site-a"))};
}

}  // namespace cloister::fuzz
