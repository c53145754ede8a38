// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/site_store.h"

#include "site_agent/storage/schema.h"

namespace cloister::site {

SiteStore::SiteStore(storage::Database database)
    : database_(std::move(database)),
      experiments_(&database_),
      cohorts_(&database_),
      worker_jobs_(&database_),
      sums_(&database_),
      releases_(&database_),
      serving_(&database_),
      progress_(&database_),
      privacy_(&database_) {}

absl::StatusOr<std::unique_ptr<SiteStore>> SiteStore::Open(const std::filesystem::path& folder) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Database database, storage::Database::Open(folder / "site.db"));
  CLOISTER_RETURN_IF_ERROR(database.Migrate("site", SiteMigrations()));
  std::unique_ptr<SiteStore> store(new SiteStore(std::move(database)));
  CLOISTER_ASSIGN_OR_RETURN(store->audit_, storage::AuditLog::Create(&store->database_));
  return store;
}

}  // namespace cloister::site
