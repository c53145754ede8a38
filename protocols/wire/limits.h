#pragma once
// SPDX-License-Identifier: Apache-2.0
// The largest of everything that may travel. What is larger is refused before anything is stored.

#include <cstddef>
#include <cstdint>

namespace cloister::wire {

inline constexpr size_t kMaxDocumentBytes = size_t{1} << 20;     // a plan, acceptance or manifest
inline constexpr size_t kMaxCertificateBytes = size_t{8} << 10;  // DER
inline constexpr size_t kSignatureBytes = 64;                    // Ed25519
inline constexpr size_t kMaxSecaggMessageBytes = size_t{16} << 20;
inline constexpr size_t kMaxSummaryBytes = size_t{64} << 10;  // JSON about one model at one site
inline constexpr size_t kMaxSealedKeyBytes = 1024;
inline constexpr size_t kMaxModels = 1024;              // in one step or summary
inline constexpr size_t kMaxRefusedRounds = 128;        // since a model
inline constexpr size_t kMaxVectors = 16;               // of one secure sum
inline constexpr size_t kMaxSites = 4096;               // in one experiment
inline constexpr size_t kMaxItems = 1024;               // of open work for one site
inline constexpr size_t kMaxTextBytes = 4096;           // any line for people
inline constexpr size_t kMaxVersionTextBytes = 64;      // an agent's version
inline constexpr uint32_t kMaxWaitMs = 10 * 60 * 1000;  // of one long poll
inline constexpr size_t kBlobChunkBytes = size_t{1} << 20;
inline constexpr uint64_t kMaxBlobBytes = uint64_t{64} << 30;  // unless a server sets less

// What one gRPC message may hold: the largest message above and its envelope. A reply may carry several open steps.
inline constexpr int kMaxRequestBytes = (16 << 20) + (1 << 20);
inline constexpr int kMaxReplyBytes = 256 << 20;

}  // namespace cloister::wire
