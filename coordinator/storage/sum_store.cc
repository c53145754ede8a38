// SPDX-License-Identifier: Apache-2.0
#include "coordinator/storage/sum_store.h"

#include <sstream>

namespace cloister::coordinator {
namespace {

using storage::Blob;
using storage::Row;

Bytes JoinDigests(const std::vector<Digest>& digests) {
  Bytes bytes;
  for (const Digest& digest : digests) {
    bytes += digest.view();
  }
  return bytes;
}

absl::StatusOr<std::vector<Digest>> SplitDigests(const Bytes& bytes) {
  std::vector<Digest> digests;
  for (size_t at = 0; at < bytes.size(); at += Digest::kSize) {
    CLOISTER_ASSIGN_OR_RETURN(Digest digest, Digest::FromBytes(ByteView(bytes).substr(at, Digest::kSize)));
    digests.push_back(digest);
  }
  return digests;
}

}  // namespace

absl::Status AppendSumMessage(storage::Transaction& transaction, const JobId& job, const SumKey& sum, uint64_t sequence,
                              const StoredSumMessage& message) {
  return transaction
      .Execute(
          "INSERT INTO sum_messages (job, kind, round, attempt, phase, site, sequence, message, vectors) VALUES "
          "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
          {job.value(), static_cast<int>(sum.kind), sum.round, sum.attempt, static_cast<int>(message.phase),
           message.site.value(), sequence, Blob{message.message}, Blob{JoinDigests(message.vectors)}})
      .status();
}

absl::StatusOr<std::vector<StoredSumMessage>> LoadSumMessages(storage::Database& database, const JobId& job,
                                                              const SumKey& sum) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query(
          "SELECT phase, site, message, vectors FROM sum_messages WHERE job = ? AND kind = ? AND round = ? AND "
          "attempt = ? ORDER BY sequence",
          {job.value(), static_cast<int>(sum.kind), sum.round, sum.attempt}));
  std::vector<StoredSumMessage> messages;
  for (const Row& row : rows) {
    StoredSumMessage message;
    CLOISTER_ASSIGN_OR_RETURN(const int64_t phase, row.Int(0));
    if (phase < 1 || phase > static_cast<int>(wire::SumPhase::kUnmask)) {
      return absl::DataLossError("stored message of an unknown phase");
    }
    message.phase = static_cast<wire::SumPhase>(phase);
    CLOISTER_ASSIGN_OR_RETURN(const std::string site, row.Text(1));
    CLOISTER_ASSIGN_OR_RETURN(message.site, SiteId::Parse(site));
    CLOISTER_ASSIGN_OR_RETURN(message.message, row.Blob(2));
    CLOISTER_ASSIGN_OR_RETURN(const Bytes vectors, row.Blob(3));
    CLOISTER_ASSIGN_OR_RETURN(message.vectors, SplitDigests(vectors));
    messages.push_back(std::move(message));
  }
  return messages;
}

absl::StatusOr<std::map<SiteId, std::vector<Digest>>> LoadSumVectors(storage::Database& database, const JobId& job,
                                                                     const SumKey& sum) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                            database.Query("SELECT site, vectors FROM sum_messages WHERE job = ? AND kind = ? AND "
                                           "round = ? AND attempt = ? AND phase = ?",
                                           {job.value(), static_cast<int>(sum.kind), sum.round, sum.attempt,
                                            static_cast<int>(wire::SumPhase::kMask)}));
  std::map<SiteId, std::vector<Digest>> by_site;
  for (const Row& row : rows) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string text, row.Text(0));
    CLOISTER_ASSIGN_OR_RETURN(SiteId site, SiteId::Parse(text));
    CLOISTER_ASSIGN_OR_RETURN(const Bytes vectors, row.Blob(1));
    CLOISTER_ASSIGN_OR_RETURN(by_site[std::move(site)], SplitDigests(vectors));
  }
  return by_site;
}

absl::StatusOr<bool> HasSumMessage(storage::Database& database, const JobId& job, const SumKey& sum,
                                   const StoredSumMessage& message) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query(
          "SELECT 1 FROM sum_messages WHERE job = ? AND kind = ? AND round = ? AND attempt = ? AND phase = ? "
          "AND site = ? AND message = ? AND vectors = ?",
          {job.value(), static_cast<int>(sum.kind), sum.round, sum.attempt, static_cast<int>(message.phase),
           message.site.value(), Blob{message.message}, Blob{JoinDigests(message.vectors)}}));
  return !rows.empty();
}

absl::Status PutTotal(storage::Transaction& transaction, const JobId& job, const SumKey& sum,
                      const StoredTotal& total) {
  CanonicalWriter counters;
  for (const uint64_t value : total.counters) {
    counters.U64(value);
  }
  std::string survivors;
  for (const SiteId& site : total.survivors) {
    survivors += (survivors.empty() ? "" : " ") + site.value();
  }
  return transaction
      .Execute("INSERT OR REPLACE INTO totals (job, kind, round, counters, survivors) VALUES (?, ?, ?, ?, ?)",
               {job.value(), static_cast<int>(sum.kind), sum.round, Blob{counters.Take()}, survivors})
      .status();
}

absl::StatusOr<StoredTotal> LoadTotal(storage::Database& database, const JobId& job, plan::SumKind kind,
                                      uint32_t round) {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      database.Query("SELECT counters, survivors FROM totals WHERE job = ? AND kind = ? AND round = ?",
                     {job.value(), static_cast<int>(kind), round}));
  if (rows.empty()) {
    return absl::NotFoundError("no total of this sum");
  }
  StoredTotal total;
  CLOISTER_ASSIGN_OR_RETURN(const Bytes counters, rows.front().Blob(0));
  CanonicalReader reader(counters);
  while (reader.remaining() > 0) {
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t value, reader.U64());
    total.counters.push_back(value);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::string survivors, rows.front().Text(1));
  std::istringstream words(survivors);
  for (std::string word; words >> word;) {
    CLOISTER_ASSIGN_OR_RETURN(SiteId site, SiteId::Parse(word));
    total.survivors.push_back(std::move(site));
  }
  return total;
}

}  // namespace cloister::coordinator
