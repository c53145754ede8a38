#pragma once
// SPDX-License-Identifier: Apache-2.0
// The status page's pages, one function each: from what the driver says to HTML. No route, login or waiting lives here.

#include <absl/time/time.h>

#include <string>
#include <vector>

#include "coordinator/registry/registry.h"
#include "protocols/plan/documents.h"
#include "protocols/transport/page.h"
#include "protocols/wire/names.h"
#include "protocols/wire/operator_messages.h"

namespace cloister::coordinator {

struct PageContext {
  wire::Language language = wire::Language::kEnglish;
  absl::Time now;

  // The text of the page's language.
  const char* Say(const char* english, const char* chinese) const {
    return language == wire::Language::kChinese ? chinese : english;
  }
};

// The inside of a page.
std::string OverviewHtml(const PageContext& context, const std::vector<wire::ExperimentStatus>& experiments,
                         const std::vector<wire::SiteStatus>& sites, const std::vector<wire::ReleaseStatus>& releases);
// `models` by round; `events` newest first.
std::string ExperimentHtml(const PageContext& context, const wire::ExperimentStatus& experiment,
                           const std::vector<ModelRecord>& models, const std::vector<wire::ExperimentEvent>& events);
std::string ReleaseHtml(const PageContext& context, const wire::ReleaseStatus& release,
                        const plan::ReleaseManifest& manifest);

// {"experiments": [...], "sites": [...], "releases": [...]}: for scripts and monitors.
std::string StatusJson(const std::vector<wire::ExperimentStatus>& experiments,
                       const std::vector<wire::SiteStatus>& sites, const std::vector<wire::ReleaseStatus>& releases);

// Steps done of all: a baseline, the rounds, validation, calibration.
struct Steps {
  int done = 0;
  int total = 0;
};
Steps StepsOf(const wire::ExperimentStatus& experiment);

}  // namespace cloister::coordinator
