#pragma once
// SPDX-License-Identifier: Apache-2.0
// One attempt of one secure sum at this site: the driver around secagg::ClientSession. Stores the coordinator's
// messages and every fact before a reply exists, so a site killed anywhere creates the session again, hears the same
// messages and says the same bytes. Sends nothing itself.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocols/secagg/client_session.h"
#include "protocols/transport/stop.h"
#include "protocols/wire/messages.h"
#include "site_agent/storage/sum_table.h"

namespace cloister::site {

class SpoolFile;

// What this site adds to one vector, before masking: the function whose type holds its elements gives those from
// `first` on.
struct VectorContent {
  uint64_t length = 0;                                                                // elements that there are
  std::function<absl::Status(uint64_t first, absl::Span<uint32_t> residues)> narrow;  // 16, 24 or 32 bits
  std::function<absl::Status(uint64_t first, absl::Span<uint64_t> residues)> wide;    // 64 bits
};
VectorContent CountersContent(std::vector<uint64_t> counters);

class SumSession {
 public:
  // `inputs.facts` is filled in here. `model`: the global model that the sum trains from; zero for other kinds. Replays
  // what is stored under `key`. Codes as secagg::ClientSession.
  static absl::StatusOr<std::unique_ptr<SumSession>> Open(SumTable* table, SumKey key, secagg::ClientInputs inputs,
                                                          const Digest& model, std::filesystem::path spool);

  // The reply to the coordinator's message of a phase, stored. kMask has none yet: WriteVectors makes it.
  absl::StatusOr<std::optional<Bytes>> Handle(wire::SumPhase phase, const Bytes& message);

  // Masks `contents` into spool files and commits to them, once: later calls return what is stored. The reply of kMask
  // is then stored too. `contents` is not read when the vectors are there already.
  absl::StatusOr<std::vector<SumVectorRow>> WriteVectors(
      const std::function<absl::StatusOr<std::vector<VectorContent>>()>& contents, const transport::StopSource& stop);

  const secagg::ClientSession& secagg() const { return session_; }

 private:
  SumSession(SumTable* table, SumKey key, secagg::ClientSession session, const Digest& model,
             std::filesystem::path spool)
      : table_(table), key_(std::move(key)), session_(std::move(session)), model_(model), spool_(std::move(spool)) {}

  absl::StatusOr<std::optional<Bytes>> Apply(wire::SumPhase phase, const Bytes& message);
  absl::Status Store(wire::SumPhase phase, const secagg::ClientStep& step, const std::vector<SumVectorRow>& vectors);
  absl::Status CommitTo(const std::vector<SumVectorRow>& vectors);
  std::string SpoolPrefix() const;
  void DropEarlierVectors() const;
  absl::StatusOr<SumVectorRow> Spool(size_t index, const VectorContent& content, const transport::StopSource& stop);
  template <typename T>
  absl::Status MaskInto(SpoolFile& file, size_t index,
                        const std::function<absl::Status(uint64_t, absl::Span<T>)>& content,
                        const transport::StopSource& stop);

  SumTable* table_;
  SumKey key_;
  secagg::ClientSession session_;
  Digest model_;
  std::filesystem::path spool_;
  bool committed_ = false;
};

// The stored reply to exactly this message, if there is one: enough to say the same again after a restart.
absl::StatusOr<std::optional<Bytes>> StoredReply(const SumTable& table, const SumKey& key, wire::SumPhase phase,
                                                 const Bytes& message);

}  // namespace cloister::site
