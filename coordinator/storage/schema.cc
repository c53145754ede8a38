// SPDX-License-Identifier: Apache-2.0
#include "coordinator/storage/schema.h"

namespace cloister::coordinator {
namespace {

// A released migration is never edited: append the next.
const std::vector<storage::Migration>& Migrations() {
  static const std::vector<storage::Migration>* migrations =
      new std::vector<storage::Migration>{{"experiments, what sites sent, and what came of it", R"(
CREATE TABLE experiments (
  job TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  task TEXT NOT NULL,
  sponsor TEXT NOT NULL,
  plan BLOB NOT NULL,
  plan_signature BLOB NOT NULL,
  plan_certificate BLOB NOT NULL,
  plan_digest BLOB NOT NULL,
  submitted_ms INTEGER NOT NULL,
  ended_ms INTEGER
);
CREATE TABLE facts (
  job TEXT NOT NULL REFERENCES experiments (job),
  sequence INTEGER NOT NULL,
  fact TEXT NOT NULL,
  PRIMARY KEY (job, sequence)
);
CREATE TABLE notes (
  job TEXT NOT NULL REFERENCES experiments (job),
  sequence INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (job, sequence)
);
CREATE TABLE acceptances (
  job TEXT NOT NULL REFERENCES experiments (job),
  site TEXT NOT NULL,
  document BLOB NOT NULL,
  signature BLOB NOT NULL,
  certificate BLOB NOT NULL,
  PRIMARY KEY (job, site)
);
CREATE TABLE baselines (
  job TEXT NOT NULL REFERENCES experiments (job),
  site TEXT NOT NULL,
  blob BLOB NOT NULL,
  size_bytes INTEGER NOT NULL,
  PRIMARY KEY (job, site)
);
CREATE TABLE baseline_keys (
  job TEXT NOT NULL,
  origin TEXT NOT NULL,
  reader TEXT NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (job, origin, reader),
  FOREIGN KEY (job, origin) REFERENCES baselines (job, site)
);
CREATE TABLE sum_messages (
  job TEXT NOT NULL REFERENCES experiments (job),
  kind INTEGER NOT NULL,
  round INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  phase INTEGER NOT NULL,
  site TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  message BLOB NOT NULL,
  vectors BLOB NOT NULL,
  PRIMARY KEY (job, kind, round, attempt, phase, site)
);
CREATE TABLE totals (
  job TEXT NOT NULL REFERENCES experiments (job),
  kind INTEGER NOT NULL,
  round INTEGER NOT NULL,
  counters BLOB NOT NULL,
  survivors TEXT NOT NULL,
  PRIMARY KEY (job, kind, round)
);
CREATE TABLE summaries (
  job TEXT NOT NULL REFERENCES experiments (job),
  kind INTEGER NOT NULL,
  site TEXT NOT NULL,
  model TEXT NOT NULL,
  summary TEXT NOT NULL,
  PRIMARY KEY (job, kind, site, model)
);
CREATE TABLE gates (
  job TEXT NOT NULL REFERENCES experiments (job),
  position INTEGER NOT NULL,
  rule TEXT NOT NULL,
  model TEXT NOT NULL,
  scope TEXT NOT NULL,
  verdict TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (job, position)
);
CREATE TABLE uploads (
  peer TEXT NOT NULL,
  digest BLOB NOT NULL,
  purpose INTEGER NOT NULL,
  job TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY (peer, digest, purpose, job)
);
)"}};
  return *migrations;
}

}  // namespace

absl::Status MigrateExperimentTables(storage::Database& database) {
  return database.Migrate("coordinator", Migrations());
}

}  // namespace cloister::coordinator
