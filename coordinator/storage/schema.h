#pragma once
// SPDX-License-Identifier: Apache-2.0
// The coordinator's tables of experiments. What a row means is said by the stores beside this file; the registry's
// tables are in coordinator/registry.

#include "protocols/storage/database.h"

namespace cloister::coordinator {

// Codes as storage::Database::Migrate.
absl::Status MigrateExperimentTables(storage::Database& database);

}  // namespace cloister::coordinator
