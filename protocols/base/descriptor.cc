// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "protocols/base/file.h"

namespace cloister {

void Descriptor::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::Status WriteAll(int fd, ByteView bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, "cannot write", path);
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status SyncFolder(const std::filesystem::path& folder) {
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open", folder);
  if (fsync(fd.get()) != 0) return ErrnoStatus(errno, "cannot sync", folder);
  return absl::OkStatus();
}

}  // namespace cloister
