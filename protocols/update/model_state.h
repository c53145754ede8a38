#pragma once
// SPDX-License-Identifier: Apache-2.0
// A model's weights as a layout and one flat float32 vector, and their file form (safetensors). No tensors library
// here.

#include <absl/types/span.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/update/layout.h"
#include "protocols/update/safetensors.h"

namespace cloister::update {

struct ModelState {
  Layout layout;
  std::vector<float> values;  // [layout.parameters()]

  // Tensor `name` within `values`; empty if there is none.
  absl::Span<const float> Values(std::string_view name) const;
};

// INVALID_ARGUMENT: see ParseSafetensorsHeader. Non-finite values are passed on: whoever uses them decides.
absl::StatusOr<ModelState> ParseModelState(ByteView file, ImportMode mode = ImportMode::kStrict);
// Also NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE (I/O); names the path.
absl::StatusOr<ModelState> ReadModelState(const std::filesystem::path& path, ImportMode mode = ImportMode::kStrict);

// A deterministic function of its arguments. INVALID_ARGUMENT: `values` is not [layout.parameters()].
absl::StatusOr<Bytes> EncodeModelState(const Layout& layout, absl::Span<const float> values);
// The same bytes, atomically to `path`, without a second copy in memory. Also as WriteFileAtomically.
absl::Status WriteModelState(const std::filesystem::path& path, const Layout& layout, absl::Span<const float> values);

// A model file seen through mmap, float32 only: costs address space, not memory. The file must not be changed or cut
// while it is open (files of the blob store never are). Read-only, so any number of threads may read.
class MappedModel {
 public:
  // As ReadModelState.
  static absl::StatusOr<MappedModel> Open(const std::filesystem::path& path);
  MappedModel(MappedModel&&) noexcept;
  MappedModel& operator=(MappedModel&&) noexcept;
  ~MappedModel();

  const Layout& layout() const;
  absl::Span<const float> values() const;  // [layout().parameters()], valid while this object lives
  ByteView file() const;                   // the whole file, for hashing

 private:
  struct Mapping;
  explicit MappedModel(std::unique_ptr<Mapping> mapping);
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace cloister::update
