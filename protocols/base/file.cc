// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "protocols/base/descriptor.h"

namespace cloister {

absl::Status ErrnoStatus(int error, const std::string& what, const std::filesystem::path& path) {
  const std::string message = fmt::format("{} {}: {}", what, path.string(), std::strerror(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message + "; free some space and try again");
    case ENOTDIR:
    case EEXIST:
    case EISDIR:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<Bytes> ReadFile(const std::filesystem::path& path, uint64_t limit_bytes) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus(errno, "cannot open", path);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "cannot read", path);
  if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, "cannot read", path);
  if (static_cast<uint64_t>(info.st_size) > limit_bytes) {
    return absl::ResourceExhaustedError(
        fmt::format("{} has {} bytes; at most {} are read", path.string(), info.st_size, limit_bytes));
  }
  Bytes bytes(info.st_size, '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = read(fd.get(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot read", path);
    if (got == 0) break;
    filled += got;
  }
  bytes.resize(filled);
  return bytes;
}

absl::Status WriteFileAtomically(const std::filesystem::path& path, ByteView bytes, unsigned mode) {
  return WriteFileAtomically(path, std::initializer_list<ByteView>{bytes}, mode);
}

absl::Status WriteFileAtomically(const std::filesystem::path& path, std::initializer_list<ByteView> pieces,
                                 unsigned mode) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::string temporary = (folder / fmt::format(".{}.XXXXXX", path.filename().string())).string();
  absl::Status status;
  {
    const Descriptor fd(mkostemp(temporary.data(), O_CLOEXEC));
    if (fd.get() < 0) return ErrnoStatus(errno, "cannot create a file in", folder);
    for (const ByteView piece : pieces) {
      if (status.ok()) status = WriteAll(fd.get(), piece, path);
    }
    if (status.ok() && fchmod(fd.get(), mode) != 0) status = ErrnoStatus(errno, "cannot set the mode of", path);
    if (status.ok() && fsync(fd.get()) != 0) status = ErrnoStatus(errno, "cannot sync", path);
  }
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = ErrnoStatus(errno, "cannot replace", path);
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncFolder(folder);
}

std::string FileStamp(const std::filesystem::path& path) {
  struct stat facts = {};
  if (stat(path.c_str(), &facts) != 0) return "";
  return fmt::format("{}.{}.{}.{};", facts.st_ino, facts.st_size, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
}

absl::Status MakeDirectories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), "cannot create the folder", path);
  return absl::OkStatus();
}

}  // namespace cloister
