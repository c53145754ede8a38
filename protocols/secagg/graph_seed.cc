// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_seed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

absl::StatusOr<GraphSeedAgreement> GraphSeedAgreement::Create(const JobId& job, std::vector<SiteId> participants) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(job.value(), "job id"));
  if (participants.size() < size_t{kCohortFloor}) {
    return absl::InvalidArgumentError(fmt::format("{}: a graph seed of {} participants, wanted at least {}",
                                                  job.value(), participants.size(), kCohortFloor));
  }
  std::sort(participants.begin(), participants.end());
  CanonicalWriter writer;
  writer.Blob("CSA1/graph-context").Blob(job.value()).U64(participants.size());
  for (size_t i = 0; i < participants.size(); ++i) {
    CLOISTER_RETURN_IF_ERROR(CheckIdentifier(participants[i].value(), "participant"));
    if (i > 0 && participants[i] == participants[i - 1]) {
      return absl::InvalidArgumentError(
          fmt::format("{}: participant {} is listed twice", job.value(), participants[i].value()));
    }
    writer.Blob(participants[i].value());
  }
  return GraphSeedAgreement(std::move(participants), crypto::Sha256(writer.bytes()));
}

absl::StatusOr<Digest> GraphSeedAgreement::Commit(const SiteId& site, const crypto::SecretBytes& reveal) const {
  if (!IsParticipant(site)) {
    return absl::InvalidArgumentError(fmt::format("graph seed: {} is not a participant", site.value()));
  }
  if (reveal.size() != kGraphRevealBytes) {
    return absl::InvalidArgumentError(
        fmt::format("graph seed: {} bytes to commit to, not {}", reveal.size(), kGraphRevealBytes));
  }
  return CommitmentTo(site, reveal.view());
}

absl::Status GraphSeedAgreement::CheckCommits(const std::map<SiteId, Digest>& commits) const {
  for (const SiteId& site : participants_) {
    if (commits.count(site) == 0) {
      return absl::FailedPreconditionError(fmt::format("graph seed: site {} has not committed", site.value()));
    }
  }
  for (const auto& [site, commitment] : commits) {
    if (!IsParticipant(site)) {
      return absl::InvalidArgumentError(fmt::format("graph seed: {} commits but is not a participant", site.value()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Digest> GraphSeedAgreement::Combine(const std::map<SiteId, Digest>& commits,
                                                   const std::map<SiteId, Bytes>& reveals) const {
  CLOISTER_RETURN_IF_ERROR(CheckCommits(commits));
  for (const auto& [site, reveal] : reveals) {
    if (!IsParticipant(site)) {
      return absl::InvalidArgumentError(fmt::format("graph seed: {} reveals but is not a participant", site.value()));
    }
  }
  CanonicalWriter writer;
  writer.Blob("CSA1/graph-seed").Put(context_).U64(participants_.size());
  for (const SiteId& site : participants_) {
    const auto reveal = reveals.find(site);
    if (reveal == reveals.end()) {
      return absl::AbortedError(fmt::format("graph seed: site {} has not revealed", site.value()));
    }
    if (reveal->second.size() != kGraphRevealBytes || CommitmentTo(site, reveal->second) != commits.at(site)) {
      return absl::AbortedError(
          fmt::format("graph seed: site {} reveals something else than it committed to", site.value()));
    }
    writer.Blob(site.value()).Blob(reveal->second);
  }
  return crypto::Sha256(writer.bytes());
}

bool GraphSeedAgreement::IsParticipant(const SiteId& site) const {
  return std::binary_search(participants_.begin(), participants_.end(), site);
}

Digest GraphSeedAgreement::CommitmentTo(const SiteId& site, ByteView reveal) const {
  const Bytes head = CanonicalWriter().Blob("CSA1/graph-commit").Put(context_).Blob(site.value()).Take();
  return crypto::Sha256Stream().Update(head).Update(reveal).Finish();
}

Digest RoundGraphSeed(const Digest& experiment_seed, const JobId& job, uint32_t round, uint32_t attempt) {
  const crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(experiment_seed.view());
  const Bytes info = CanonicalWriter().Blob(job.value()).U32(round).U32(attempt).Take();
  return Digest::FromBytes(crypto::Hkdf("CSA1/graph-round", secret, info, Digest::kSize).view()).value();
}

}  // namespace cloister::secagg
