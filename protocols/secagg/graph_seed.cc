// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_seed.h"

#include <fmt/format.h>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {
namespace {

absl::StatusOr<SiteId> TakeSite(CanonicalReader& reader) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, reader.Blob());
  return SiteId::Parse(text);
}

// Of each site 32 bytes.
template <typename T>
Bytes Encode(const std::map<SiteId, T>& by_site) {
  CanonicalWriter writer;
  writer.U32(static_cast<uint32_t>(by_site.size()));
  for (const auto& [site, value] : by_site) writer.Blob(site.value()).Fixed(ByteView(value));
  return writer.Take();
}

absl::StatusOr<GraphReveals> Decode(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t count, reader.U32());
  if (count > static_cast<uint32_t>(kMaximumSites)) {
    return absl::DataLossError(fmt::format("{} sites of a graph seed, at most {}", count, kMaximumSites));
  }
  GraphReveals by_site;
  for (uint32_t i = 0; i < count; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const SiteId site, TakeSite(reader));
    CLOISTER_ASSIGN_OR_RETURN(const Bytes value, reader.Fixed(kGraphRevealBytes));
    if (!by_site.empty() && !(by_site.rbegin()->first < site)) {
      return absl::InvalidArgumentError(fmt::format("graph seed: {} is listed twice or out of order", site.value()));
    }
    by_site.emplace(site, value);
  }
  CLOISTER_RETURN_IF_ERROR(reader.Finish());
  return by_site;
}

}  // namespace

crypto::SecretBytes GraphReveal(const JobId& job, const SiteId& site, const crypto::SecretBytes& job_secret) {
  const Bytes info = CanonicalWriter().Blob(job.value()).Blob(site.value()).Take();
  return crypto::Hkdf("CSA1/graph-reveal", job_secret, info, kGraphRevealBytes);
}

Digest GraphCommitment(const JobId& job, const SiteId& site, ByteView reveal) {
  const Bytes head = CanonicalWriter().Blob("CSA1/graph-commit").Blob(job.value()).Blob(site.value()).Take();
  return crypto::Sha256Stream().Update(head).Update(reveal).Finish();
}

Bytes EncodeGraphCommits(const GraphCommits& commits) {
  std::map<SiteId, ByteView> views;
  for (const auto& [site, commitment] : commits) views.emplace(site, commitment.view());
  return Encode(views);
}

absl::StatusOr<GraphCommits> DecodeGraphCommits(ByteView bytes) {
  CLOISTER_ASSIGN_OR_RETURN(const GraphReveals decoded, Decode(bytes));
  GraphCommits commits;
  for (const auto& [site, value] : decoded) commits.emplace(site, Digest::FromBytes(value).value());
  return commits;
}

Bytes EncodeGraphReveals(const GraphReveals& reveals) {
  return Encode(reveals);
}

absl::StatusOr<GraphReveals> DecodeGraphReveals(ByteView bytes) {
  return Decode(bytes);
}

absl::StatusOr<Digest> CombineGraphReveals(const JobId& job, const GraphCommits& commits, const GraphReveals& reveals) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(job.value(), "job id"));
  if (commits.size() < size_t{kCohortFloor}) {
    return absl::InvalidArgumentError(fmt::format("{}: a graph seed of {} participants, wanted at least {}",
                                                  job.value(), commits.size(), kCohortFloor));
  }
  for (const auto& [site, reveal] : reveals) {
    if (commits.count(site) == 0) {
      return absl::InvalidArgumentError(fmt::format("graph seed: {} reveals but has not committed", site.value()));
    }
  }
  CanonicalWriter writer;
  writer.Blob("CSA1/graph-seed").Blob(job.value()).U64(commits.size());
  for (const auto& [site, commitment] : commits) {
    CLOISTER_RETURN_IF_ERROR(CheckIdentifier(site.value(), "participant"));
    const auto reveal = reveals.find(site);
    if (reveal == reveals.end()) {
      return absl::AbortedError(fmt::format("graph seed: site {} has not revealed", site.value()));
    }
    if (reveal->second.size() != kGraphRevealBytes || GraphCommitment(job, site, reveal->second) != commitment) {
      return absl::AbortedError(
          fmt::format("graph seed: site {} reveals something else than it committed to", site.value()));
    }
    writer.Blob(site.value()).Fixed(reveal->second);
  }
  return crypto::Sha256(writer.bytes());
}

Digest RoundGraphSeed(const Digest& experiment_seed, const JobId& job, uint32_t round, uint32_t attempt) {
  const crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(experiment_seed.view());
  const Bytes info = CanonicalWriter().Blob(job.value()).U32(round).U32(attempt).Take();
  return Digest::FromBytes(crypto::Hkdf("CSA1/graph-round", secret, info, Digest::kSize).view()).value();
}

}  // namespace cloister::secagg
