#pragma once
// SPDX-License-Identifier: Apache-2.0
// The safetensors container (https://github.com/huggingface/safetensors): u64 header length, a JSON header, the data.
// The reader takes hostile bytes; the writer is deterministic, so the same weights are the same bytes. Values are read
// by model_state.h.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/update/layout.h"

namespace cloister::update {

// kI64 appears only where ImportMode::kConvert lets a counter through to be left out.
enum class TensorType { kF64, kF32, kF16, kBF16, kI64 };

size_t TypeSizeBytes(TensorType type);

// What a reader accepts.
enum class ImportMode {
  kStrict,   // float32 only: every file that travels between our programs
  kConvert,  // also F64, F16 and BF16, to be converted to float32; I64 "*num_batches_tracked" is left out
};

struct SafetensorsEntry {
  std::string name;
  TensorType type = TensorType::kF32;
  Shape shape;
  uint64_t begin = 0;  // of the values, in bytes from the start of the file
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;        // sorted by name
  std::map<std::string, std::string> metadata;  // "__metadata__"
  uint64_t data_begin = 0;                      // in bytes from the start of the file
};

constexpr uint64_t kMaxSafetensorsHeaderBytes = uint64_t{16} << 20;

// Reads the header of a whole file. INVALID_ARGUMENT, with the tensor named: a header that is longer than the file or
// the limit, is not the JSON object of the format, or names a tensor twice; a type the mode refuses; a size that does
// not fit the shape; values that overlap, leave a gap, or end before or after the file does.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(ByteView file, ImportMode mode = ImportMode::kStrict);

// Everything that comes before the values of a float32 file of `layout`: the length and the header, keys sorted,
// padded with spaces to a multiple of 8 bytes. The values follow as the little-endian flat vector. `metadata`: entries
// of "__metadata__" beside the format's own.
Bytes SafetensorsPrefix(const Layout& layout, std::map<std::string, std::string> metadata = {});

}  // namespace cloister::update
