#pragma once
// SPDX-License-Identifier: Apache-2.0
// Experiments as they are stored: the signed plan, the facts that rebuild its machine, and the notes people read.
// Writes take part in the caller's transaction, so that a fact and what belongs to it are kept together or not at all.
// Codes of every call: as storage::Database; DATA_LOSS also for a row that does not parse.

#include <vector>

#include "coordinator/rounds/events.h"
#include "protocols/storage/database.h"
#include "protocols/wire/messages.h"

namespace cloister::coordinator {

struct StoredExperiment {
  JobId job;
  std::string name;
  std::string task;
  std::string sponsor;
  wire::SignedDocument plan;
  Digest plan_digest;
  int64_t submitted_ms = 0;
};

struct Note {
  uint64_t sequence = 0;  // from 1, without gaps, for each job
  int64_t time_ms = 0;
  std::string text;
};

absl::Status InsertExperiment(storage::Transaction& transaction, const StoredExperiment& experiment);
absl::Status MarkExperimentEnded(storage::Transaction& transaction, const JobId& job, int64_t ended_ms);
// In the order of submission.
absl::StatusOr<std::vector<StoredExperiment>> LoadExperiments(storage::Database& database);

// `sequence` counts from 0 and must be the next. ALREADY_EXISTS: it is taken.
absl::Status AppendFact(storage::Transaction& transaction, const JobId& job, uint64_t sequence, const Fact& fact);
absl::StatusOr<std::vector<Fact>> LoadFacts(storage::Database& database, const JobId& job);

absl::Status AppendNote(storage::Transaction& transaction, const JobId& job, const Note& note);
// Up to `limit` notes after `after_sequence`, in order.
absl::StatusOr<std::vector<Note>> LoadNotes(storage::Database& database, const JobId& job, uint64_t after_sequence,
                                            size_t limit);
absl::StatusOr<uint64_t> LastNote(storage::Database& database, const JobId& job);  // 0: none

}  // namespace cloister::coordinator
