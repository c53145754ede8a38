// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/sum_result.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "protocols/base/file.h"
#include "protocols/secagg/shamir.h"

namespace cloister::plan {
namespace {

constexpr char kMagic[] = "cloister/sum-result/1";
constexpr uint64_t kMostHeaderBytes = 4096;
constexpr uint64_t kMostVectors = 16;
constexpr uint64_t kAlignment = 8;
constexpr uint64_t kChunk = uint64_t{1} << 14;  // elements

uint64_t SizeBytes(const secagg::VectorSpec& vector) {
  return vector.length * secagg::ElementBytes(vector.ring_bits);
}
uint64_t Padding(uint64_t size) {
  return (kAlignment - size % kAlignment) % kAlignment;
}

Bytes EncodeHeader(const SumResultHeader& header) {
  CanonicalWriter writer;
  writer.Blob(kMagic).Put(header.ctx2).Put(header.survivors).U64(header.tag).U64(header.vectors.size());
  for (const secagg::VectorSpec& vector : header.vectors) {
    writer.Blob(vector.name).U64(vector.length).U32(static_cast<uint32_t>(vector.ring_bits));
  }
  Bytes bytes = writer.Take();
  bytes.append(Padding(bytes.size()), '\0');
  return bytes;
}

// Where the vectors begin, in bytes, and last where the file ends.
std::vector<uint64_t> OffsetsOf(const std::vector<secagg::VectorSpec>& vectors, uint64_t at) {
  std::vector<uint64_t> offsets = {at};
  for (const secagg::VectorSpec& vector : vectors) {
    at += SizeBytes(vector) + Padding(SizeBytes(vector));
    offsets.push_back(at);
  }
  return offsets;
}

absl::StatusOr<SumResultHeader> TakeHeader(CanonicalReader& reader) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes magic, reader.Blob());
  if (magic != kMagic) return absl::DataLossError("not the result of a sum");
  SumResultHeader header;
  CLOISTER_ASSIGN_OR_RETURN(header.ctx2, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(header.survivors, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(header.tag, reader.U64());
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t count, reader.U64());
  if (header.tag >= secagg::kFieldPrime || count == 0 || count > kMostVectors) {
    return absl::DataLossError("a result with an impossible tag or number of vectors");
  }
  for (uint64_t i = 0; i < count; ++i) {
    secagg::VectorSpec vector;
    CLOISTER_ASSIGN_OR_RETURN(vector.name, reader.Blob());
    CLOISTER_ASSIGN_OR_RETURN(vector.length, reader.U64());
    CLOISTER_ASSIGN_OR_RETURN(const uint32_t ring_bits, reader.U32());
    if (!secagg::IsRing(ring_bits) || vector.length == 0 || vector.length > uint64_t{1} << 40) {
      return absl::DataLossError("a result with an impossible vector");
    }
    vector.ring_bits = static_cast<int>(ring_bits);
    header.vectors.push_back(std::move(vector));
  }
  return header;
}

void AddNarrow(const secagg::RingView& vector, size_t index, secagg::CheckTag& tag) {
  std::vector<uint32_t> chunk;
  for (uint64_t first = 0; first < vector.size(); first += chunk.size()) {
    chunk.resize(std::min(kChunk, vector.size() - first));
    secagg::Unpack(vector.packed.data() + first * secagg::ElementBytes(vector.ring_bits), vector.ring_bits,
                   absl::MakeSpan(chunk));
    tag.Add(index, first, absl::MakeConstSpan(chunk));
  }
}

}  // namespace

uint64_t MostSumResultBytes(const std::vector<secagg::VectorSpec>& vectors) {
  uint64_t size = kMostHeaderBytes;
  for (const secagg::VectorSpec& vector : vectors) size += SizeBytes(vector) + Padding(SizeBytes(vector));
  return size;
}

absl::StatusOr<SumResultWriter> SumResultWriter::Create(const std::filesystem::path& path,
                                                        const SumResultHeader& header) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, "cannot create", path);
  const Bytes start = EncodeHeader(header);
  std::vector<uint64_t> offsets = OffsetsOf(header.vectors, start.size());
  CLOISTER_RETURN_IF_ERROR(WriteAll(file.get(), start, path));
  if (const int error = posix_fallocate(file.get(), 0, static_cast<off_t>(offsets.back())); error != 0) {
    return ErrnoStatus(error, "cannot make room for", path);
  }
  offsets.pop_back();
  return SumResultWriter(std::move(file), path, header.vectors, std::move(offsets));
}

absl::Status SumResultWriter::Write(size_t index, uint64_t first, ByteView elements) const {
  const uint64_t width = index < vectors_.size() ? secagg::ElementBytes(vectors_[index].ring_bits) : 1;
  if (index >= vectors_.size() || elements.size() % width != 0 || first > vectors_[index].length ||
      elements.size() / width > vectors_[index].length - first) {
    return absl::InvalidArgumentError(
        fmt::format("{} bytes from element {} on do not fit vector {}", elements.size(), first, index));
  }
  uint64_t at = offsets_[index] + first * width;
  while (!elements.empty()) {
    const ssize_t written = pwrite(file_.get(), elements.data(), elements.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, "cannot write", path_);
    elements.remove_prefix(static_cast<size_t>(written));
    at += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

absl::StatusOr<SumResult> SumResult::Open(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(FileMapping file, FileMapping::Open(path));
  const ByteView start = file.bytes().substr(0, kMostHeaderBytes);
  CanonicalReader reader(start);
  CLOISTER_ASSIGN_OR_RETURN(SumResultHeader header, TakeHeader(reader));
  const uint64_t at = start.size() - reader.remaining();
  std::vector<uint64_t> offsets = OffsetsOf(header.vectors, at + Padding(at));
  if (offsets.back() != file.bytes().size()) {
    return absl::DataLossError(
        fmt::format("a result of {} bytes where {} belong", file.bytes().size(), offsets.back()));
  }
  return SumResult(std::move(file), std::move(header), std::move(offsets));
}

secagg::RingView SumResult::Values(size_t index) const {
  const secagg::VectorSpec& vector = header_.vectors[index];
  return {vector.ring_bits, file_.bytes().substr(offsets_[index], SizeBytes(vector))};
}

absl::Span<const uint64_t> SumResult::Values64(size_t index) const {
  const secagg::VectorSpec& vector = header_.vectors[index];
  if (vector.ring_bits != 64) return {};
  return {reinterpret_cast<const uint64_t*>(file_.bytes().data() + offsets_[index]), vector.length};
}

absl::Status CheckSumResult(const SumResult& result, const secagg::SumCheck& check,
                            const std::vector<secagg::VectorSpec>& vectors) {
  const SumResultHeader& header = result.header();
  if (header.ctx2 != check.ctx2 || header.survivors != check.survivors) {
    return absl::DataLossError(fmt::format(
        "it is the result of another sum (sharers {}, here {}; survivors {}, here {})", header.ctx2.short_hex(),
        check.ctx2.short_hex(), header.survivors.short_hex(), check.survivors.short_hex()));
  }
  if (header.vectors != vectors) return absl::DataLossError("it has other vectors than the plan's");
  secagg::CheckTag tag(check.seed, vectors);
  for (size_t i = 0; i < vectors.size(); ++i) {
    // Adding a multiple of the field's prime would go unseen; no honest element comes near it, up or down.
    for (const uint64_t element : result.Values64(i)) {
      if (element + kImpossibleCounter >= 2 * kImpossibleCounter) {
        return absl::AbortedError(fmt::format("an element of vector {} is impossibly large", vectors[i].name));
      }
    }
    tag.Add(i, 0, result.Values64(i));
    if (vectors[i].ring_bits < 64) AddNarrow(result.Values(i), i, tag);
  }
  if (tag.value() == header.tag) return absl::OkStatus();
  return absl::AbortedError(
      fmt::format("the totals do not have the sites' tags ({:016x}, published {:016x}): one of the sites or the "
                  "coordinator lied",
                  tag.value(), header.tag));
}

}  // namespace cloister::plan
