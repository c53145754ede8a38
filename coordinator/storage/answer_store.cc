// SPDX-License-Identifier: Apache-2.0
#include "coordinator/storage/answer_store.h"

namespace cloister::coordinator {
namespace {

using storage::Blob;
using storage::Row;

absl::StatusOr<SiteId> SiteAt(const Row& row, size_t column) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string text, row.Text(column));
  return SiteId::Parse(text);
}

}  // namespace

absl::Status PutAcceptance(storage::Transaction& transaction, const JobId& job, const SiteId& site,
                           const wire::SignedDocument& acceptance) {
  return transaction
      .Execute(
          "INSERT OR REPLACE INTO acceptances (job, site, document, signature, certificate) VALUES (?, ?, ?, ?, ?)",
          {job.value(), site.value(), Blob{acceptance.document}, Blob{acceptance.signature},
           Blob{acceptance.certificate}})
      .status();
}

absl::StatusOr<std::map<SiteId, wire::SignedDocument>> LoadAcceptances(storage::Database& database, const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query("SELECT site, document, signature, certificate FROM acceptances WHERE job = ?", {job.value()}));
  std::map<SiteId, wire::SignedDocument> acceptances;
  for (const Row& row : rows) {
    CLOISTER_ASSIGN_OR_RETURN(const SiteId site, SiteAt(row, 0));
    wire::SignedDocument& document = acceptances[site];
    CLOISTER_ASSIGN_OR_RETURN(document.document, row.Blob(1));
    CLOISTER_ASSIGN_OR_RETURN(document.signature, row.Blob(2));
    CLOISTER_ASSIGN_OR_RETURN(document.certificate, row.Blob(3));
  }
  return acceptances;
}

absl::Status PutBaseline(storage::Transaction& transaction, const JobId& job, const StoredBaseline& baseline) {
  CLOISTER_RETURN_IF_ERROR(transaction
                               .Execute("INSERT INTO baselines (job, site, blob, size_bytes) VALUES (?, ?, ?, ?)",
                                        {job.value(), baseline.site.value(), baseline.blob, baseline.size_bytes})
                               .status());
  for (const auto& [reader, sealed] : baseline.keys) {
    CLOISTER_RETURN_IF_ERROR(transaction
                                 .Execute("INSERT INTO baseline_keys (job, origin, reader, sealed) VALUES (?, ?, ?, ?)",
                                          {job.value(), baseline.site.value(), reader.value(), Blob{sealed}})
                                 .status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<SiteId, StoredBaseline>> LoadBaselines(storage::Database& database, const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query("SELECT site, blob, size_bytes FROM baselines WHERE job = ?", {job.value()}));
  std::map<SiteId, StoredBaseline> baselines;
  for (const Row& row : rows) {
    StoredBaseline baseline;
    CLOISTER_ASSIGN_OR_RETURN(baseline.site, SiteAt(row, 0));
    CLOISTER_ASSIGN_OR_RETURN(baseline.blob, row.TakeDigest(1));
    CLOISTER_ASSIGN_OR_RETURN(baseline.size_bytes, row.Unsigned(2));
    const SiteId site = baseline.site;
    baselines[site] = std::move(baseline);
  }
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> keys,
      database.Query("SELECT origin, reader, sealed FROM baseline_keys WHERE job = ?", {job.value()}));
  for (const Row& row : keys) {
    CLOISTER_ASSIGN_OR_RETURN(const SiteId origin, SiteAt(row, 0));
    CLOISTER_ASSIGN_OR_RETURN(const SiteId reader, SiteAt(row, 1));
    CLOISTER_ASSIGN_OR_RETURN(baselines[origin].keys[reader], row.Blob(2));
  }
  return baselines;
}

absl::Status PutSummary(storage::Transaction& transaction, const JobId& job, plan::SumKind kind, const SiteId& site,
                        const std::string& model, const std::string& summary) {
  return transaction
      .Execute("INSERT OR REPLACE INTO summaries (job, kind, site, model, summary) VALUES (?, ?, ?, ?, ?)",
               {job.value(), static_cast<int>(kind), site.value(), model, summary})
      .status();
}

absl::StatusOr<std::map<SiteId, std::map<std::string, std::string>>> LoadSummaries(storage::Database& database,
                                                                                   const JobId& job,
                                                                                   plan::SumKind kind) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                            database.Query("SELECT site, model, summary FROM summaries WHERE job = ? AND kind = ?",
                                           {job.value(), static_cast<int>(kind)}));
  std::map<SiteId, std::map<std::string, std::string>> summaries;
  for (const Row& row : rows) {
    CLOISTER_ASSIGN_OR_RETURN(const SiteId site, SiteAt(row, 0));
    CLOISTER_ASSIGN_OR_RETURN(const std::string model, row.Text(1));
    CLOISTER_ASSIGN_OR_RETURN(summaries[site][model], row.Text(2));
  }
  return summaries;
}

absl::Status PutGates(storage::Transaction& transaction, const JobId& job, const std::vector<plan::GateResult>& gates) {
  CLOISTER_RETURN_IF_ERROR(transaction.Execute("DELETE FROM gates WHERE job = ?", {job.value()}).status());
  int64_t position = 0;
  for (const plan::GateResult& gate : gates) {
    CLOISTER_RETURN_IF_ERROR(
        transaction
            .Execute(
                "INSERT INTO gates (job, position, rule, model, scope, verdict, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
                {job.value(), position++, gate.rule, gate.model_id, gate.scope, gate.verdict, gate.detail})
            .status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<plan::GateResult>> LoadGates(storage::Database& database, const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query("SELECT rule, model, scope, verdict, detail FROM gates WHERE job = ? ORDER BY position",
                     {job.value()}));
  std::vector<plan::GateResult> gates;
  for (const Row& row : rows) {
    plan::GateResult gate;
    CLOISTER_ASSIGN_OR_RETURN(gate.rule, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(gate.model_id, row.Text(1));
    CLOISTER_ASSIGN_OR_RETURN(gate.scope, row.Text(2));
    CLOISTER_ASSIGN_OR_RETURN(gate.verdict, row.Text(3));
    CLOISTER_ASSIGN_OR_RETURN(gate.detail, row.Text(4));
    gates.push_back(std::move(gate));
  }
  return gates;
}

absl::Status NoteUpload(storage::Transaction& transaction, const StoredUpload& upload) {
  return transaction
      .Execute("INSERT OR IGNORE INTO uploads (peer, digest, purpose, job, time_ms) VALUES (?, ?, ?, ?, ?)",
               {upload.peer, upload.digest, static_cast<int>(upload.purpose), upload.job, upload.time_ms})
      .status();
}

absl::StatusOr<std::vector<StoredUpload>> LoadUploads(storage::Database& database) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                            database.Query("SELECT peer, digest, purpose, job, time_ms FROM uploads"));
  std::vector<StoredUpload> uploads;
  for (const Row& row : rows) {
    StoredUpload upload;
    CLOISTER_ASSIGN_OR_RETURN(upload.peer, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(upload.digest, row.TakeDigest(1));
    CLOISTER_ASSIGN_OR_RETURN(const int64_t purpose, row.Int(2));
    if (purpose < 1 || purpose > static_cast<int>(wire::BlobPurpose::kSealedBaseline)) {
      return absl::DataLossError("stored upload for an unknown purpose");
    }
    upload.purpose = static_cast<wire::BlobPurpose>(purpose);
    CLOISTER_ASSIGN_OR_RETURN(upload.job, row.Text(3));
    CLOISTER_ASSIGN_OR_RETURN(upload.time_ms, row.Int(4));
    uploads.push_back(std::move(upload));
  }
  return uploads;
}

absl::Status ForgetUpload(storage::Transaction& transaction, const Digest& digest) {
  return transaction.Execute("DELETE FROM uploads WHERE digest = ?", {digest}).status();
}

}  // namespace cloister::coordinator
