// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/file_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"

namespace cloister {

absl::StatusOr<FileMapping> FileMapping::Open(const std::filesystem::path& path) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open", path);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "cannot read", path);
  if (!S_ISREG(info.st_mode)) return ErrnoStatus(EISDIR, "cannot read", path);
  FileMapping mapping;
  if (info.st_size == 0) return mapping;
  void* start = mmap(nullptr, info.st_size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (start == MAP_FAILED) return ErrnoStatus(errno, "cannot map", path);
  mapping.bytes_ = {static_cast<const char*>(start), static_cast<size_t>(info.st_size)};
  return mapping;
}

FileMapping::~FileMapping() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

}  // namespace cloister
