// SPDX-License-Identifier: Apache-2.0
#include "coordinator/registry/registry.h"

#include <sstream>

namespace cloister::coordinator {
namespace {

using storage::Blob;
using storage::Null;
using storage::Row;
using storage::Value;

const std::vector<storage::Migration>& Migrations() {
  static const std::vector<storage::Migration>* migrations =
      new std::vector<storage::Migration>{{"sites, models, releases", R"(
CREATE TABLE sites (
  site TEXT NOT NULL PRIMARY KEY,
  first_seen_ms INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL,
  agent_version TEXT NOT NULL,
  certificate_expires_ms INTEGER NOT NULL
);
CREATE TABLE models (
  job TEXT NOT NULL,
  id TEXT NOT NULL,
  round INTEGER NOT NULL,
  digest BLOB NOT NULL,
  size_bytes INTEGER NOT NULL,
  parent BLOB,
  samples INTEGER NOT NULL,
  sites TEXT NOT NULL,
  loss REAL NOT NULL,
  made_ms INTEGER NOT NULL,
  PRIMARY KEY (job, id)
);
CREATE TABLE releases (
  release TEXT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL,
  version TEXT NOT NULL,
  document BLOB NOT NULL,
  signature BLOB NOT NULL,
  certificate BLOB NOT NULL,
  published_ms INTEGER NOT NULL
);
CREATE TABLE release_sites (
  release TEXT NOT NULL REFERENCES releases (release),
  site TEXT NOT NULL,
  state INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  PRIMARY KEY (release, site)
);
)"},
                                          {"results of sums", "ALTER TABLE models ADD COLUMN result BLOB;"}};
  return *migrations;
}

absl::StatusOr<wire::ReleaseStatus> ReadRelease(const Row& row) {
  wire::ReleaseStatus release;
  CLOISTER_ASSIGN_OR_RETURN(const std::string id, row.Text(0));
  CLOISTER_ASSIGN_OR_RETURN(release.release, ReleaseId::Parse(id));
  CLOISTER_ASSIGN_OR_RETURN(const std::string job, row.Text(1));
  CLOISTER_ASSIGN_OR_RETURN(release.job, JobId::Parse(job));
  CLOISTER_ASSIGN_OR_RETURN(release.version, row.Text(2));
  CLOISTER_ASSIGN_OR_RETURN(release.manifest.document, row.Blob(3));
  CLOISTER_ASSIGN_OR_RETURN(release.manifest.signature, row.Blob(4));
  CLOISTER_ASSIGN_OR_RETURN(release.manifest.certificate, row.Blob(5));
  CLOISTER_ASSIGN_OR_RETURN(release.published_unix_ms, row.Int(6));
  return release;
}

absl::StatusOr<std::vector<wire::SiteReleaseState>> LoadReleaseSites(storage::Database& database,
                                                                     const ReleaseId& release) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query("SELECT site, state FROM release_sites WHERE release = ? ORDER BY site", {release.value()}));
  std::vector<wire::SiteReleaseState> sites;
  for (const Row& row : rows) {
    wire::SiteReleaseState site;
    CLOISTER_ASSIGN_OR_RETURN(const std::string id, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(site.site, SiteId::Parse(id));
    CLOISTER_ASSIGN_OR_RETURN(const int64_t state, row.Int(1));
    if (state < 1 || state > static_cast<int>(wire::ReleaseState::kInvalid)) {
      return absl::DataLossError("stored release: unknown state");
    }
    site.state = static_cast<wire::ReleaseState>(state);
    sites.push_back(std::move(site));
  }
  return sites;
}

}  // namespace

absl::Status MigrateRegistryTables(storage::Database& database) {
  return database.Migrate("registry", Migrations());
}

absl::Status PutSite(storage::Transaction& transaction, const wire::SiteStatus& site) {
  return transaction
      .Execute(
          "INSERT INTO sites (site, first_seen_ms, last_seen_ms, agent_version, certificate_expires_ms) VALUES "
          "(?, ?, ?, ?, ?) ON CONFLICT (site) DO UPDATE SET last_seen_ms = excluded.last_seen_ms, agent_version = "
          "excluded.agent_version, certificate_expires_ms = excluded.certificate_expires_ms",
          {site.site.value(), site.last_seen_unix_ms, site.last_seen_unix_ms, site.agent_version,
           site.certificate_expires_unix_ms})
      .status();
}

absl::StatusOr<std::vector<wire::SiteStatus>> LoadSites(storage::Database& database) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query(
          "SELECT site, first_seen_ms, last_seen_ms, agent_version, certificate_expires_ms FROM sites ORDER BY "
          "site"));
  std::vector<wire::SiteStatus> sites;
  for (const Row& row : rows) {
    wire::SiteStatus site;
    CLOISTER_ASSIGN_OR_RETURN(const std::string id, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(site.site, SiteId::Parse(id));
    CLOISTER_ASSIGN_OR_RETURN(site.first_seen_unix_ms, row.Int(1));
    CLOISTER_ASSIGN_OR_RETURN(site.last_seen_unix_ms, row.Int(2));
    CLOISTER_ASSIGN_OR_RETURN(site.agent_version, row.Text(3));
    CLOISTER_ASSIGN_OR_RETURN(site.certificate_expires_unix_ms, row.Int(4));
    sites.push_back(std::move(site));
  }
  return sites;
}

absl::Status PutModel(storage::Transaction& transaction, const ModelRecord& model) {
  std::string sites;
  for (const SiteId& site : model.sites) {
    sites += (sites.empty() ? "" : " ") + site.value();
  }
  return transaction
      .Execute(
          "INSERT OR REPLACE INTO models (job, id, round, digest, size_bytes, parent, samples, sites, loss, made_ms, "
          "result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          {model.job.value(), model.id, model.round, model.digest, model.size_bytes,
           model.parent ? Value(*model.parent) : Value(Null{}), model.samples, sites, model.loss, model.made_ms,
           model.result ? Value(*model.result) : Value(Null{})})
      .status();
}

absl::StatusOr<std::vector<ModelRecord>> LoadModels(storage::Database& database, const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query(
          "SELECT id, round, digest, size_bytes, parent, samples, sites, loss, made_ms, result FROM models WHERE job = "
          "? ORDER BY round",
          {job.value()}));
  std::vector<ModelRecord> models;
  for (const Row& row : rows) {
    ModelRecord model;
    model.job = job;
    CLOISTER_ASSIGN_OR_RETURN(model.id, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t round, row.Unsigned(1));
    model.round = static_cast<uint32_t>(round);
    CLOISTER_ASSIGN_OR_RETURN(model.digest, row.TakeDigest(2));
    CLOISTER_ASSIGN_OR_RETURN(model.size_bytes, row.Unsigned(3));
    if (!row.is_null(4)) {
      CLOISTER_ASSIGN_OR_RETURN(model.parent, row.TakeDigest(4));
    }
    CLOISTER_ASSIGN_OR_RETURN(model.samples, row.Unsigned(5));
    CLOISTER_ASSIGN_OR_RETURN(const std::string sites, row.Text(6));
    std::istringstream words(sites);
    for (std::string word; words >> word;) {
      CLOISTER_ASSIGN_OR_RETURN(SiteId site, SiteId::Parse(word));
      model.sites.push_back(std::move(site));
    }
    CLOISTER_ASSIGN_OR_RETURN(model.loss, row.Double(7));
    CLOISTER_ASSIGN_OR_RETURN(model.made_ms, row.Int(8));
    if (!row.is_null(9)) {
      CLOISTER_ASSIGN_OR_RETURN(model.result, row.TakeDigest(9));
    }
    models.push_back(std::move(model));
  }
  return models;
}

absl::StatusOr<std::vector<Digest>> LoadAllModelDigests(storage::Database& database) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> rows, database.Query("SELECT DISTINCT digest FROM models"));
  std::vector<Digest> digests;
  for (const Row& row : rows) {
    CLOISTER_ASSIGN_OR_RETURN(const Digest digest, row.TakeDigest(0));
    digests.push_back(digest);
  }
  return digests;
}

absl::Status PutRelease(storage::Transaction& transaction, const wire::ReleaseStatus& release) {
  CLOISTER_RETURN_IF_ERROR(
      transaction
          .Execute(
              "INSERT INTO releases (release, job, version, document, signature, certificate, published_ms) VALUES "
              "(?, ?, ?, ?, ?, ?, ?)",
              {release.release.value(), release.job.value(), release.version, Blob{release.manifest.document},
               Blob{release.manifest.signature}, Blob{release.manifest.certificate}, release.published_unix_ms})
          .status());
  for (const wire::SiteReleaseState& site : release.sites) {
    CLOISTER_RETURN_IF_ERROR(
        transaction
            .Execute(
                "INSERT INTO release_sites (release, site, state, changed_ms) VALUES (?, ?, ?, ?)",
                {release.release.value(), site.site.value(), static_cast<int>(site.state), release.published_unix_ms})
            .status());
  }
  return absl::OkStatus();
}

absl::Status SetReleaseState(storage::Transaction& transaction, const ReleaseId& release, const SiteId& site,
                             wire::ReleaseState state, int64_t time_ms) {
  CLOISTER_ASSIGN_OR_RETURN(
      const int64_t changed,
      transaction.Execute("UPDATE release_sites SET state = ?, changed_ms = ? WHERE release = ? AND site = ?",
                          {static_cast<int>(state), time_ms, release.value(), site.value()}));
  if (changed == 0) {
    return absl::NotFoundError("release " + release.value() + " was not offered to " + site.value());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<wire::ReleaseStatus>> LoadReleases(storage::Database& database) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query(
          "SELECT release, job, version, document, signature, certificate, published_ms FROM releases ORDER BY "
          "published_ms, release"));
  std::vector<wire::ReleaseStatus> releases;
  for (const Row& row : rows) {
    CLOISTER_ASSIGN_OR_RETURN(wire::ReleaseStatus release, ReadRelease(row));
    CLOISTER_ASSIGN_OR_RETURN(release.sites, LoadReleaseSites(database, release.release));
    releases.push_back(std::move(release));
  }
  return releases;
}

absl::StatusOr<wire::ReleaseStatus> LoadRelease(storage::Database& database, const ReleaseId& release) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query("SELECT release, job, version, document, signature, certificate, published_ms FROM releases WHERE "
                     "release = ?",
                     {release.value()}));
  if (rows.empty()) {
    return absl::NotFoundError("no release " + release.value());
  }
  CLOISTER_ASSIGN_OR_RETURN(wire::ReleaseStatus found, ReadRelease(rows.front()));
  CLOISTER_ASSIGN_OR_RETURN(found.sites, LoadReleaseSites(database, release));
  return found;
}

}  // namespace cloister::coordinator
