#pragma once
// SPDX-License-Identifier: Apache-2.0
// The bytes of a file, mapped read-only: costs address space, not memory. The file must not be cut while it is open.

#include <filesystem>
#include <utility>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister {

class FileMapping {
 public:
  // NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE (I/O); names the path.
  static absl::StatusOr<FileMapping> Open(const std::filesystem::path& path);
  FileMapping(FileMapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  FileMapping& operator=(FileMapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~FileMapping();

  ByteView bytes() const { return bytes_; }  // page aligned, valid while this object lives

 private:
  FileMapping() = default;
  ByteView bytes_;
};

}  // namespace cloister
