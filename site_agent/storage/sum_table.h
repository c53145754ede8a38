#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a site keeps of secure sums: the facts it must never contradict, the coordinator's messages (so that a restarted
// site can hear them again), its replies, and the digests of what it masked.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/crypto/secret.h"
#include "protocols/storage/database.h"

namespace cloister::site {

// Names one attempt of one sum.
struct SumKey {
  JobId job;
  int kind = 0;  // wire.v1.SumKind
  uint32_t round = 0;
  uint32_t attempt = 0;

  friend bool operator<(const SumKey& a, const SumKey& b) {
    return std::tie(a.job, a.kind, a.round, a.attempt) < std::tie(b.job, b.kind, b.round, b.attempt);
  }
  friend bool operator==(const SumKey& a, const SumKey& b) { return !(a < b) && !(b < a); }
};

struct SumMessageRow {
  int phase = 0;  // wire.v1.SumPhase
  Bytes message;  // from the coordinator; empty for ADVERTISE
  Bytes reply;    // of the site; empty while there is none
  bool sent = false;
};

struct SumVectorRow {
  std::string name;
  Digest digest;  // SHA-256 of the masked bytes: the name of the upload
  uint64_t length = 0;
  std::string path;  // of the spool file
};

// By what a site checks the published totals of a sum that it finished.
struct SumCheckRow {
  Digest model;  // the global model that the sum trained from; zero for other kinds
  Digest ctx2;
  Digest survivors;
  crypto::SecretBytes seed;
};

// What one step of a session leaves behind.
struct SumStepRows {
  std::map<std::string, Digest> facts;
  std::optional<Bytes> reply;
  std::vector<SumVectorRow> vectors;  // in the order of the sum's; replace earlier ones
  std::optional<SumCheckRow> check;
};

// What is put here is on the disk with the audit record of what follows from it (storage::Durable::kWithNext): nothing
// leaves the site without one.
class SumTable {
 public:
  explicit SumTable(storage::Database* database) : database_(database) {}

  // All of it or nothing: masked vectors without the fact that commits to them would end the sum after a power cut.
  // ABORTED: a fact of that key is stored with another value.
  absl::Status PutStep(const SumKey& key, int phase, const SumStepRows& rows);
  absl::StatusOr<std::map<std::string, Digest>> Facts(const std::string& prefix) const;

  // The first message of a phase stays. ABORTED: another message of the same phase is stored.
  absl::Status PutMessage(const SumKey& key, int phase, const Bytes& message);
  absl::Status SetSent(const SumKey& key, int phase);
  // By phase.
  absl::StatusOr<std::vector<SumMessageRow>> Messages(const SumKey& key) const;

  // In the order they were put.
  absl::StatusOr<std::vector<SumVectorRow>> Vectors(const SumKey& key) const;

  // Of all attempts of a round that this site finished.
  absl::StatusOr<std::vector<SumCheckRow>> Checks(const JobId& job, int kind, uint32_t round) const;
  // This model is what plan and sums give: remembered for the job.
  absl::Status SetChecked(const JobId& job, const Digest& model);
  absl::StatusOr<bool> IsChecked(const JobId& job, const Digest& model) const;

  // Everything of the job except facts, which stay for ever.
  absl::Status ForgetJob(const JobId& job);

 private:
  storage::Database* database_;
};

}  // namespace cloister::site
