#pragma once
// SPDX-License-Identifier: Apache-2.0
// A file without a disk, for decoders that take a path.

#include <fmt/format.h>
#include <sys/mman.h>

#include <filesystem>

#include "protocols/base/descriptor.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {

class MemoryFile {
 public:
  explicit MemoryFile(ByteView content) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    Require(fd_.valid() && WriteAll(fd_.get(), content, path()).ok(), "a file in memory can be made");
  }

  std::filesystem::path path() const { return fmt::format("/proc/self/fd/{}", fd_.get()); }

 private:
  Descriptor fd_;
};

}  // namespace cloister::fuzz
