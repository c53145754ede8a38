#pragma once
// SPDX-License-Identifier: Apache-2.0
// The PACS that site.yaml names, for the agent, the doctor and cohorts alike.

#include "site_agent/agent/site_config.h"
#include "site_agent/ingest/pacs_client.h"

namespace cloister::site {

PacsConfig PacsOf(const SiteConfig& config);

}  // namespace cloister::site
