// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "protocols/crypto/ctr_stream.h"
#include "protocols/crypto/hash.h"
#include "protocols/secagg/neighbourhoods.h"

namespace cloister::secagg {
namespace {

constexpr size_t kMaximumVectors = 16;

absl::Status CheckVectors(const std::vector<VectorSpec>& vectors) {
  if (vectors.empty() || vectors.size() > kMaximumVectors) {
    return absl::InvalidArgumentError(
        fmt::format("a sum has 1 to {} vectors, not {}", kMaximumVectors, vectors.size()));
  }
  std::set<std::string> names;
  for (const VectorSpec& vector : vectors) {
    CLOISTER_RETURN_IF_ERROR(CheckIdentifier(vector.name, "vector name"));
    if (!names.insert(vector.name).second) {
      return absl::InvalidArgumentError(fmt::format("two vectors are called {}", vector.name));
    }
    if (vector.ring_bits != 32 && vector.ring_bits != 64) {
      return absl::InvalidArgumentError(
          fmt::format("vector {}: ring of {} bits, not 32 or 64", vector.name, vector.ring_bits));
    }
    const uint64_t limit = crypto::CtrStream::kMaxBytes / static_cast<uint64_t>(vector.ring_bits / 8);
    if (vector.length < 1 || vector.length > limit) {
      return absl::InvalidArgumentError(
          fmt::format("vector {}: {} elements, not 1 to {}", vector.name, vector.length, limit));
    }
  }
  return absl::OkStatus();
}

int MostSites(const SumParams& params) {
  return params.graph.has_value() ? kMaximumSites : kMostOnFullGraph;
}

std::vector<SiteId> Sorted(std::vector<SiteId> sites) {
  std::sort(sites.begin(), sites.end());
  return sites;
}

}  // namespace

absl::Status CheckParams(const SumParams& params) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(params.job.value(), "job id"));
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(params.kind, "kind of sum"));
  if (params.n_min < kCohortFloor) {
    return absl::FailedPreconditionError(
        fmt::format("a secure sum needs at least {} sites; this plan says {}", kCohortFloor, params.n_min));
  }
  const int most = MostSites(params);
  if (params.n_min > most || params.colluders < 0 || params.colluders > most / 3) {
    return absl::InvalidArgumentError(fmt::format("n_min {} is at most {}, colluders {} are 0 to {}", params.n_min,
                                                  most, params.colluders, most / 3));
  }
  const std::vector<SiteId> participants = Sorted(params.participants);
  for (size_t i = 0; i < participants.size(); ++i) {
    CLOISTER_RETURN_IF_ERROR(CheckIdentifier(participants[i].value(), "participant"));
    if (i > 0 && participants[i] == participants[i - 1]) {
      return absl::InvalidArgumentError(fmt::format("participant {} is listed twice", participants[i].value()));
    }
  }
  if (params.graph.has_value()) {
    if (participants.size() <= size_t{kFullGraphSites} || participants.size() > size_t{kMaximumSites}) {
      return absl::InvalidArgumentError(fmt::format("a sparse graph of {} participants, not {} to {}",
                                                    participants.size(), kFullGraphSites + 1, kMaximumSites));
    }
    CLOISTER_RETURN_IF_ERROR(Annotate(
        SparseParametersOf(participants.size(), params.colluders, params.graph->graphs).status(), NameOf(params)));
  }
  return CheckVectors(params.vectors);
}

Digest ContextOf(const SumParams& params) {
  CanonicalWriter writer;
  writer.Blob("CSA1/ctx0").Put(params.plan).Blob(params.job.value()).U32(params.round).U32(params.attempt);
  writer.Blob(params.kind).Put(params.model_root);
  writer.U32(static_cast<uint32_t>(params.n_min)).U32(static_cast<uint32_t>(params.colluders));
  writer.U64(params.participants.size());
  for (const SiteId& site : Sorted(params.participants)) writer.Blob(site.value());
  writer.U64(params.vectors.size());
  for (const VectorSpec& vector : params.vectors) {
    writer.Blob(vector.name).U64(vector.length).U32(static_cast<uint32_t>(vector.ring_bits));
  }
  return crypto::Sha256(writer.bytes());
}

int Threshold(int n) {
  return 2 * n / 3 + 1;
}

absl::Status CheckCohort(const SumParams& params, int n) {
  const int minimum = std::max(params.n_min, kCohortFloor);
  if (n < minimum || n > MostSites(params)) {
    return absl::FailedPreconditionError(
        fmt::format("{}: {} sites, wanted {} to {}", NameOf(params), n, minimum, MostSites(params)));
  }
  if (2 * Threshold(n) <= n + params.colluders) {
    return absl::FailedPreconditionError(
        fmt::format("{}: {} sites with threshold {} do not protect against {} colluders", NameOf(params), n,
                    Threshold(n), params.colluders));
  }
  return absl::OkStatus();
}

std::string NameOf(const SumParams& params) {
  return fmt::format("{} round {} ({}, attempt {})", params.job.value(), params.round, params.kind, params.attempt);
}

}  // namespace cloister::secagg
