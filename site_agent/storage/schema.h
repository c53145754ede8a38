#pragma once
// SPDX-License-Identifier: Apache-2.0
// The tables of site.db as numbered migrations. A released step is never edited: append the next.

#include <vector>

#include "protocols/storage/database.h"

namespace cloister::site {

const std::vector<storage::Migration>& SiteMigrations();

}  // namespace cloister::site
