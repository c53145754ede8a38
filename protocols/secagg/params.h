#pragma once
// SPDX-License-Identifier: Apache-2.0
// What one secure sum is about, as every party derives it from the plan it accepted. The coordinator supplies none of
// it: a party with other parameters has another ctx0 and is refused.   Source: docs/secagg.md.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"

namespace cloister::secagg {

inline constexpr int kCohortFloor = 3;        // no sum over fewer sites, whatever a plan says
inline constexpr int kDefaultMinimum = 5;     // n_min unless the plan says otherwise
inline constexpr int kFullGraphSites = 64;    // up to so many participants everybody shares with everybody
inline constexpr int kMostOnFullGraph = 128;  // and could up to here
inline constexpr int kMaximumSites = 4096;    // on a sparse graph

// One vector of the sum: `length` elements of Z_2^ring_bits.
struct VectorSpec {
  std::string name;     // an identifier, unique in the sum: part of the mask keys
  uint64_t length = 0;  // at least 1; a keystream holds 64 GiB
  int ring_bits = 32;   // 16, 24, 32 or 64: secagg/ring.h

  friend bool operator==(const VectorSpec& a, const VectorSpec& b) {
    return a.name == b.name && a.length == b.length && a.ring_bits == b.ring_bits;
  }
};

// Where the graph of a sum among more than kFullGraphSites participants comes from: graph_seed.h.
struct SparseGraph {
  Digest seed;         // the experiment's, that all participants have drawn together
  int64_t graphs = 1;  // how many may be drawn from it: every (round, attempt) that a site accepts
};

struct SumParams {
  Digest plan;  // the accepted plan
  JobId job;
  uint32_t round = 0;
  uint32_t attempt = 0;  // grows when a sum is tried again with new keys
  std::string kind;      // "training", "validation", ...: an identifier; sums of one round differ in it
  Digest model_root;     // crypto::MerkleRoot of the weights this party actually loaded
  int n_min = kDefaultMinimum;
  int colluders = 0;                 // c: how many sites may conspire with the coordinator
  std::vector<SiteId> participants;  // who may be in the roster; empty: any site certified by the CA
  std::vector<VectorSpec> vectors;
  // Of the participants, who are then all named. None: everybody shares with everybody. Bound by ctx1.
  std::optional<SparseGraph> graph;
};

// INVALID_ARGUMENT: names the field. FAILED_PRECONDITION: n_min below the floor, or no sparse graph is safe enough.
absl::Status CheckParams(const SumParams& params);

// ctx0: the digest of everything above but the graph. Equal at two parties exactly when they mean the same sum.
Digest ContextOf(const SumParams& params);

// t(n) = floor(2n/3) + 1: how many sites it takes to recover, to agree and to finish.
int Threshold(int n);

// May a roster of n sites go on? FAILED_PRECONDITION with the numbers: n < max(n_min, floor), n above what the graph
// can have, or 2t <= n + c.
absl::Status CheckCohort(const SumParams& params, int n);

// "round 7 (training, attempt 0)": how messages name this sum.
std::string NameOf(const SumParams& params);

}  // namespace cloister::secagg
