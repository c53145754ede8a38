#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the coordinator publishes of a finished sum: the totals, and what binds them to the session that made them. A
// file, so that a site reads a hundred million parameters through mmap: a header, then the vectors, packed
// (secagg/ring.h), each from a multiple of 8 bytes on.

#include <absl/types/span.h>

#include <filesystem>
#include <vector>

#include "protocols/base/descriptor.h"
#include "protocols/base/file_mapping.h"
#include "protocols/secagg/check_tag.h"
#include "protocols/secagg/params.h"
#include "protocols/secagg/ring.h"

namespace cloister::plan {

struct SumResultHeader {
  Digest ctx2;
  Digest survivors;
  uint64_t tag = 0;  // below kFieldPrime
  std::vector<secagg::VectorSpec> vectors;
};

// The size of the file of a sum with these vectors, at most.
uint64_t MostSumResultBytes(const std::vector<secagg::VectorSpec>& vectors);

// Makes the file, piece by piece. Thread-safe.
class SumResultWriter {
 public:
  // RESOURCE_EXHAUSTED: the disk is full; also as WriteFileAtomically.
  static absl::StatusOr<SumResultWriter> Create(const std::filesystem::path& path, const SumResultHeader& header);
  // Elements of vector `index` from `first` on, packed. INVALID_ARGUMENT: outside the vector.
  absl::Status Write(size_t index, uint64_t first, ByteView elements) const;

 private:
  SumResultWriter(Descriptor file, std::filesystem::path path, std::vector<secagg::VectorSpec> vectors,
                  std::vector<uint64_t> offsets)
      : file_(std::move(file)), path_(std::move(path)), vectors_(std::move(vectors)), offsets_(std::move(offsets)) {}

  Descriptor file_;
  std::filesystem::path path_;
  std::vector<secagg::VectorSpec> vectors_;
  std::vector<uint64_t> offsets_;  // in bytes
};

// No honest counter comes near it. Adding a multiple of the field's prime to one would go unseen.
inline constexpr uint64_t kImpossibleCounter = uint64_t{1} << 60;

class SumResult {
 public:
  // DATA_LOSS: no such file, or one that was cut; also as FileMapping::Open.
  static absl::StatusOr<SumResult> Open(const std::filesystem::path& path);

  const SumResultHeader& header() const { return header_; }
  // Vector `index`, as it lies in the file.
  secagg::RingView Values(size_t index) const;
  // The same of 64 bits; empty for a vector of another ring.
  absl::Span<const uint64_t> Values64(size_t index) const;

 private:
  SumResult(FileMapping file, SumResultHeader header, std::vector<uint64_t> offsets)
      : file_(std::move(file)), header_(std::move(header)), offsets_(std::move(offsets)) {}

  FileMapping file_;
  SumResultHeader header_;
  std::vector<uint64_t> offsets_;  // of the vectors, in bytes
};

// Is this the sum that the site of `check` took part in? DATA_LOSS with the evidence: it speaks of another session or
// of other vectors than the plan's, and that is the coordinator's doing. ABORTED: an element of 64 bits is
// kImpossibleCounter or more on either side, or the tag does not fit, which a site that commits to a wrong tag does as
// well: the round is lost.
absl::Status CheckSumResult(const SumResult& result, const secagg::SumCheck& check,
                            const std::vector<secagg::VectorSpec>& vectors);

}  // namespace cloister::plan
