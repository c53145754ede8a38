#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where a site finds a task by its name: the folder of task files that site.yaml names, else the newest plan that was
// offered here with that task in it.

#include <string>

#include "protocols/plan/task.h"
#include "site_agent/agent/site_config.h"
#include "site_agent/storage/experiment_table.h"

namespace cloister::site {

// NOT_FOUND: neither has it; says where a task file belongs and which tasks there are. INVALID_ARGUMENT: the name, or
// the file ("file:line:column: ...").
absl::StatusOr<plan::Task> FindTask(const SiteConfig& config, const ExperimentTable& experiments,
                                    const std::string& name);

}  // namespace cloister::site
