#pragma once
// SPDX-License-Identifier: Apache-2.0
// The status page's pages as functions from what the driver says to HTML.

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "coordinator/registry/registry.h"
#include "protocols/wire/names.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::coordinator {

struct PageLanguage {
  bool chinese = false;
  const char* Say(const char* english, const char* chinese_text) const { return chinese ? chinese_text : english; }
  wire::Language wire() const { return chinese ? wire::Language::kChinese : wire::Language::kEnglish; }
};

std::string OverviewHtml(const PageLanguage& language, const std::vector<wire::ExperimentStatus>& experiments,
                         const std::vector<wire::ReleaseStatus>& releases, const std::vector<wire::SiteStatus>& sites,
                         absl::Time now);
std::string ExperimentHtml(const PageLanguage& language, const wire::ExperimentStatus& experiment,
                           const std::vector<ModelRecord>& models);

}  // namespace cloister::coordinator
