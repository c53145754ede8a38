// SPDX-License-Identifier: Apache-2.0
#include "coordinator/storage/experiment_store.h"

namespace cloister::coordinator {

using storage::Blob;
using storage::Row;

absl::Status InsertExperiment(storage::Transaction& transaction, const StoredExperiment& e) {
  return transaction
      .Execute(
          "INSERT INTO experiments (job, name, task, sponsor, plan, plan_signature, plan_certificate, plan_digest, "
          "submitted_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
          {e.job.value(), e.name, e.task, e.sponsor, Blob{e.plan.document}, Blob{e.plan.signature},
           Blob{e.plan.certificate}, e.plan_digest, e.submitted_ms})
      .status();
}

absl::Status MarkExperimentEnded(storage::Transaction& transaction, const JobId& job, int64_t ended_ms) {
  return transaction.Execute("UPDATE experiments SET ended_ms = ? WHERE job = ?", {ended_ms, job.value()}).status();
}

absl::StatusOr<std::vector<StoredExperiment>> LoadExperiments(storage::Database& database) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                            database.Query("SELECT job, name, task, sponsor, plan, plan_signature, plan_certificate, "
                                           "plan_digest, submitted_ms FROM experiments ORDER BY submitted_ms, job"));
  std::vector<StoredExperiment> experiments;
  for (const Row& row : rows) {
    StoredExperiment e;
    CLOISTER_ASSIGN_OR_RETURN(const std::string job, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(e.job, JobId::Parse(job));
    CLOISTER_ASSIGN_OR_RETURN(e.name, row.Text(1));
    CLOISTER_ASSIGN_OR_RETURN(e.task, row.Text(2));
    CLOISTER_ASSIGN_OR_RETURN(e.sponsor, row.Text(3));
    CLOISTER_ASSIGN_OR_RETURN(e.plan.document, row.Blob(4));
    CLOISTER_ASSIGN_OR_RETURN(e.plan.signature, row.Blob(5));
    CLOISTER_ASSIGN_OR_RETURN(e.plan.certificate, row.Blob(6));
    CLOISTER_ASSIGN_OR_RETURN(e.plan_digest, row.TakeDigest(7));
    CLOISTER_ASSIGN_OR_RETURN(e.submitted_ms, row.Int(8));
    experiments.push_back(std::move(e));
  }
  return experiments;
}

absl::Status AppendFact(storage::Transaction& transaction, const JobId& job, uint64_t sequence, const Fact& fact) {
  return transaction
      .Execute("INSERT INTO facts (job, sequence, fact) VALUES (?, ?, ?)", {job.value(), sequence, EncodeFact(fact)})
      .status();
}

absl::StatusOr<std::vector<Fact>> LoadFacts(storage::Database& database, const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                            database.Query("SELECT fact FROM facts WHERE job = ? ORDER BY sequence", {job.value()}));
  std::vector<Fact> facts;
  for (const Row& row : rows) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string text, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(Fact fact, DecodeFact(text));
    facts.push_back(std::move(fact));
  }
  return facts;
}

absl::Status AppendNote(storage::Transaction& transaction, const JobId& job, const Note& note) {
  return transaction
      .Execute("INSERT INTO notes (job, sequence, time_ms, text) VALUES (?, ?, ?, ?)",
               {job.value(), note.sequence, note.time_ms, note.text})
      .status();
}

absl::StatusOr<std::vector<Note>> LoadNotes(storage::Database& database, const JobId& job, uint64_t after_sequence,
                                            size_t limit) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query(
          "SELECT sequence, time_ms, text FROM notes WHERE job = ? AND sequence > ? ORDER BY sequence LIMIT ?",
          {job.value(), after_sequence, limit}));
  std::vector<Note> notes;
  for (const Row& row : rows) {
    Note note;
    CLOISTER_ASSIGN_OR_RETURN(note.sequence, row.Unsigned(0));
    CLOISTER_ASSIGN_OR_RETURN(note.time_ms, row.Int(1));
    CLOISTER_ASSIGN_OR_RETURN(note.text, row.Text(2));
    notes.push_back(std::move(note));
  }
  return notes;
}

absl::StatusOr<uint64_t> LastNote(storage::Database& database, const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query("SELECT COALESCE(MAX(sequence), 0) FROM notes WHERE job = ?", {job.value()}));
  return rows.empty() ? absl::StatusOr<uint64_t>(0) : rows.front().Unsigned(0);
}

}  // namespace cloister::coordinator
