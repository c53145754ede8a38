// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/schema.h"

namespace cloister::site {
namespace {

constexpr char kExperiments[] = R"sql(
CREATE TABLE experiment (
  job TEXT NOT NULL PRIMARY KEY,
  plan_digest BLOB NOT NULL CHECK (length(plan_digest) = 32),
  plan BLOB NOT NULL,
  name TEXT NOT NULL,
  task TEXT NOT NULL,
  sponsor TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('offered', 'accepted', 'refused', 'closed')),
  refusal TEXT NOT NULL,
  detail TEXT NOT NULL,
  acceptance BLOB NOT NULL,
  closed_phase TEXT NOT NULL,
  closed_reason TEXT NOT NULL,
  received_unix_ms INTEGER NOT NULL,
  answered_unix_ms INTEGER NOT NULL
);
CREATE TABLE approval (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  plan_digest BLOB NOT NULL CHECK (length(plan_digest) = 32),
  decision TEXT NOT NULL CHECK (decision IN ('approved', 'declined')),
  person TEXT NOT NULL CHECK (person <> ''),
  comment TEXT NOT NULL,
  time_unix_ms INTEGER NOT NULL
);
CREATE INDEX approval_of_plan ON approval (plan_digest, id);
)sql";

constexpr char kCohorts[] = R"sql(
CREATE TABLE study (
  task TEXT NOT NULL,
  study_instance_uid TEXT NOT NULL,
  accession_number TEXT NOT NULL,
  patient_id TEXT NOT NULL,
  patient_sex TEXT NOT NULL,
  study_date TEXT NOT NULL,
  outcome TEXT NOT NULL,
  message TEXT NOT NULL,
  image_path TEXT NOT NULL,
  sop_instance_uid TEXT NOT NULL,
  image_digest BLOB NOT NULL CHECK (length(image_digest) = 32),
  manufacturer TEXT NOT NULL,
  view_position TEXT NOT NULL,
  fetch_attempts INTEGER NOT NULL,
  updated_unix_ms INTEGER NOT NULL,
  PRIMARY KEY (task, study_instance_uid)
);
CREATE TABLE cohort_build (
  task TEXT NOT NULL PRIMARY KEY,
  report TEXT NOT NULL,
  built_unix_ms INTEGER NOT NULL
);
CREATE TABLE manifest (
  job TEXT NOT NULL PRIMARY KEY,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  task TEXT NOT NULL,
  document BLOB NOT NULL,
  prepared TEXT NOT NULL,
  report TEXT NOT NULL,
  frozen_unix_ms INTEGER NOT NULL
);
CREATE TRIGGER manifest_is_frozen BEFORE UPDATE ON manifest BEGIN SELECT RAISE(ABORT, 'a manifest is frozen'); END;
)sql";

constexpr char kWork[] = R"sql(
CREATE TABLE worker_job (
  key TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  experiment TEXT NOT NULL,
  folder TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  failure TEXT NOT NULL,
  message TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  started_unix_ms INTEGER NOT NULL,
  finished_unix_ms INTEGER NOT NULL
);
CREATE TABLE sum_fact (
  key TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL CHECK (length(value) = 32)
);
CREATE TRIGGER sum_fact_stays BEFORE UPDATE ON sum_fact BEGIN SELECT RAISE(ABORT, 'a fact stays'); END;
CREATE TRIGGER sum_fact_is_kept BEFORE DELETE ON sum_fact BEGIN SELECT RAISE(ABORT, 'a fact is kept'); END;
CREATE TABLE sum_message (
  job TEXT NOT NULL,
  kind INTEGER NOT NULL,
  round INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  phase INTEGER NOT NULL,
  message BLOB NOT NULL,
  reply BLOB NOT NULL,
  sent INTEGER NOT NULL CHECK (sent IN (0, 1)),
  PRIMARY KEY (job, kind, round, attempt, phase)
);
CREATE TABLE sum_vector (
  job TEXT NOT NULL,
  kind INTEGER NOT NULL,
  round INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  place INTEGER NOT NULL,
  name TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  root BLOB NOT NULL CHECK (length(root) = 32),
  length INTEGER NOT NULL,
  path TEXT NOT NULL,
  PRIMARY KEY (job, kind, round, attempt, place)
);
)sql";

constexpr char kReleases[] = R"sql(
CREATE TABLE release (
  release TEXT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL,
  task TEXT NOT NULL,
  version TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  manifest BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('offered', 'verified', 'gate_failed', 'active', 'declined', 'rolled_back',
                                       'invalid', 'superseded')),
  detail TEXT NOT NULL,
  report_html TEXT NOT NULL,
  report_json TEXT NOT NULL,
  numbers TEXT NOT NULL,
  received_unix_ms INTEGER NOT NULL,
  updated_unix_ms INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_active_release_a_task ON release (task) WHERE state = 'active';
CREATE TABLE sign_off (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  release TEXT NOT NULL REFERENCES release (release),
  decision TEXT NOT NULL CHECK (decision IN ('accept', 'decline', 'rollback')),
  person TEXT NOT NULL CHECK (person <> ''),
  role TEXT NOT NULL,
  comment TEXT NOT NULL,
  time_unix_ms INTEGER NOT NULL
);
CREATE TRIGGER sign_off_stays BEFORE UPDATE ON sign_off BEGIN SELECT RAISE(ABORT, 'a sign-off stays'); END;
CREATE TRIGGER sign_off_is_kept BEFORE DELETE ON sign_off BEGIN SELECT RAISE(ABORT, 'a sign-off is kept'); END;
)sql";

constexpr char kServing[] = R"sql(
CREATE TABLE serving_study (
  study_instance_uid TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('received', 'answered', 'not_analysed', 'ignored', 'failed')),
  release TEXT NOT NULL,
  reason TEXT NOT NULL,
  message TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  first_received_unix_ms INTEGER NOT NULL,
  last_received_unix_ms INTEGER NOT NULL,
  not_before_unix_ms INTEGER NOT NULL,
  finished_unix_ms INTEGER NOT NULL
);
CREATE INDEX serving_by_state ON serving_study (state, last_received_unix_ms);
CREATE TABLE serving_instance (
  sop_instance_uid TEXT NOT NULL PRIMARY KEY,
  study_instance_uid TEXT NOT NULL REFERENCES serving_study (study_instance_uid),
  path TEXT NOT NULL,
  modality TEXT NOT NULL,
  view_position TEXT NOT NULL,
  series_number INTEGER NOT NULL,
  instance_number INTEGER NOT NULL
);
CREATE INDEX serving_instances ON serving_instance (study_instance_uid);
)sql";

constexpr char kProgress[] = R"sql(
CREATE TABLE progress (
  job TEXT NOT NULL PRIMARY KEY,
  step TEXT NOT NULL,
  round INTEGER NOT NULL,
  rounds INTEGER NOT NULL,
  phase TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  epochs INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  batches INTEGER NOT NULL,
  loss REAL NOT NULL,
  images_per_second REAL NOT NULL,
  eta_seconds REAL NOT NULL,
  updated_unix_ms INTEGER NOT NULL
);
CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time_unix_ms INTEGER NOT NULL,
  job TEXT NOT NULL,
  text TEXT NOT NULL
);
CREATE TABLE agent_fact (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);
)sql";

// Words from before were about the plan alone; they stand for the job that was accepted with them, if one was.
constexpr char kApprovalsOfJobs[] = R"sql(
ALTER TABLE approval ADD COLUMN job TEXT NOT NULL DEFAULT '';
UPDATE approval SET job = COALESCE((SELECT job FROM experiment WHERE experiment.plan_digest = approval.plan_digest
  ORDER BY acceptance = x'', received_unix_ms LIMIT 1), '');
DROP INDEX approval_of_plan;
CREATE INDEX approval_of_job ON approval (job, plan_digest, id);
)sql";

constexpr char kSumChecks[] = R"sql(
ALTER TABLE sum_vector DROP COLUMN root;
CREATE TABLE sum_check (
  job TEXT NOT NULL,
  kind INTEGER NOT NULL,
  round INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  model BLOB NOT NULL,
  ctx2 BLOB NOT NULL,
  survivors BLOB NOT NULL,
  seed BLOB NOT NULL,
  PRIMARY KEY (job, kind, round, attempt)
);
CREATE TABLE checked_model (
  job TEXT NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (job, digest)
);
)sql";

constexpr char kPrivacy[] = R"sql(
CREATE TABLE privacy (
  job TEXT NOT NULL PRIMARY KEY,
  task TEXT NOT NULL,
  experiment TEXT NOT NULL,
  unit TEXT NOT NULL CHECK (unit IN ('patient', 'site')),
  epsilon REAL NOT NULL CHECK (epsilon >= 0),
  delta REAL NOT NULL CHECK (delta > 0),
  max_epsilon REAL NOT NULL,
  noise_multiplier REAL NOT NULL,
  clip_norm REAL NOT NULL,
  sampling_probability REAL NOT NULL,
  steps INTEGER NOT NULL,
  rounds INTEGER NOT NULL,
  training_patients INTEGER NOT NULL,
  accountant TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('quoted', 'promised', 'ended')),
  trainings INTEGER NOT NULL,
  spent_epsilon REAL NOT NULL,
  updated_unix_ms INTEGER NOT NULL
);
CREATE TRIGGER privacy_is_kept BEFORE DELETE ON privacy BEGIN SELECT RAISE(ABORT, 'the ledger is kept'); END;
CREATE TRIGGER privacy_only_rises BEFORE UPDATE ON privacy
  WHEN NEW.trainings < OLD.trainings OR NEW.spent_epsilon < OLD.spent_epsilon OR OLD.state = 'ended'
  BEGIN SELECT RAISE(ABORT, 'what is spent stays spent'); END;
CREATE TABLE privacy_spending (
  job TEXT NOT NULL REFERENCES privacy (job),
  training BLOB NOT NULL CHECK (length(training) = 32),
  epsilon_after REAL NOT NULL,
  time_unix_ms INTEGER NOT NULL,
  PRIMARY KEY (job, training)
);
CREATE TRIGGER privacy_spending_stays BEFORE UPDATE ON privacy_spending
  BEGIN SELECT RAISE(ABORT, 'what is spent stays spent'); END;
CREATE TRIGGER privacy_spending_is_kept BEFORE DELETE ON privacy_spending
  BEGIN SELECT RAISE(ABORT, 'what is spent stays spent'); END;
)sql";

}  // namespace

const std::vector<storage::Migration>& SiteMigrations() {
  static const auto* const kMigrations = new std::vector<storage::Migration>{
      {"experiments and approvals", kExperiments},
      {"cohorts and manifests", kCohorts},
      {"worker jobs and secure sums", kWork},
      {"releases and sign-offs", kReleases},
      {"serving queue", kServing},
      {"progress", kProgress},
      {"approvals of jobs", kApprovalsOfJobs},
      {"checks of sums", kSumChecks},
      {"privacy ledger", kPrivacy},
  };
  return *kMigrations;
}

}  // namespace cloister::site
