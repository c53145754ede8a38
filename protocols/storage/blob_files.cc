// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/blob_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "protocols/base/file.h"
#include "protocols/base/ids.h"

namespace cloister::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kTemporaryPrefix = "tmp-";
constexpr std::string_view kPartialSuffix = ".part";
constexpr char kOtherFileSystem[] = "cloister/other-file-system";
// Between its creation and its lock a temporary file looks abandoned.
constexpr time_t kTemporaryGraceSeconds = 60;
constexpr size_t kBufferBytes = size_t{256} << 10;

bool SameFile(int fd, const fs::path& path) {
  struct stat open_file {
  }, named_file{};
  return fstat(fd, &open_file) == 0 && lstat(path.c_str(), &named_file) == 0 && open_file.st_dev == named_file.st_dev &&
         open_file.st_ino == named_file.st_ino;
}

// The next piece of the file; 0 at its end.
absl::StatusOr<size_t> ReadSome(int fd, std::vector<char>& buffer, const fs::path& path) {
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return ErrnoStatus(errno, "cannot read", path);
  }
}

}  // namespace

fs::path BlobFolder(const fs::path& root) {
  return root / "blobs";
}
fs::path PartialFolder(const fs::path& root) {
  return root / "partial";
}

fs::path BlobPath(const fs::path& root, const Digest& digest) {
  const std::string hex = digest.hex();
  return BlobFolder(root) / hex.substr(0, 2) / hex.substr(2);
}

std::string PartialName(std::string_view id, const Digest& digest, uint64_t total_bytes) {
  return fmt::format("{}-{}-{}{}", id, digest.hex(), total_bytes, kPartialSuffix);
}

std::optional<std::string> ParsePartialName(const std::string& name) {
  constexpr size_t kHexDigits = 2 * Digest::kSize;
  if (name.size() < kPartialSuffix.size() ||
      std::string_view(name).substr(name.size() - kPartialSuffix.size()) != kPartialSuffix) {
    return std::nullopt;
  }
  const std::string stem = name.substr(0, name.size() - kPartialSuffix.size());
  const size_t dash = stem.rfind('-');
  if (dash == std::string::npos || dash < kHexDigits + 2 || dash + 1 == stem.size()) return std::nullopt;
  const std::string size = stem.substr(dash + 1);
  if (!std::all_of(size.begin(), size.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  if (stem[dash - kHexDigits - 1] != '-') return std::nullopt;
  if (!Digest::FromHex(std::string_view(stem).substr(dash - kHexDigits, kHexDigits)).ok()) return std::nullopt;
  std::string id = stem.substr(0, dash - kHexDigits - 1);
  if (!CheckIdentifier(id, "transfer id").ok()) return std::nullopt;
  return id;
}

absl::StatusOr<std::vector<fs::path>> FilesIn(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    paths.push_back(at->path());
  }
  if (error) return ErrnoStatus(error.value(), "cannot list", folder);
  return paths;
}

absl::StatusOr<Descriptor> OpenRegular(const fs::path& path) {
  // O_NONBLOCK: a named pipe must not hang us before it is recognised.
  Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid() && errno == ELOOP) {
    return absl::FailedPreconditionError(
        fmt::format("{} is a symbolic link; only regular files are stored", path.string()));
  }
  if (!fd.valid()) return ErrnoStatus(errno, "cannot open", path);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "cannot read", path);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(fmt::format("{} is not a regular file", path.string()));
  }
  return fd;
}

absl::StatusOr<Descriptor> OpenLocked(const fs::path& path) {
  for (;;) {
    Descriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return ErrnoStatus(errno, "cannot open", path);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "cannot lock", path);
      return absl::UnavailableError(
          fmt::format("{}: this transfer is open elsewhere: try again", path.filename().string()));
    }
    // Whoever held the lock until now may have moved or removed the file.
    if (SameFile(fd.get(), path)) return fd;
  }
}

bool RemoveUnlessLocked(const fs::path& path) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid() || flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !SameFile(fd.get(), path)) return false;
  return unlink(path.c_str()) == 0;
}

absl::Status RemoveOtherPartials(const fs::path& root, std::string_view id, const fs::path& keep) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, FilesIn(PartialFolder(root)));
  for (const fs::path& path : paths) {
    if (path.filename() == keep.filename() || ParsePartialName(path.filename().string()) != id) continue;
    if (!RemoveUnlessLocked(path) && fs::exists(path)) {
      return absl::UnavailableError(fmt::format("transfer {} is open elsewhere: try again", id));
    }
  }
  return absl::OkStatus();
}

absl::Status SweepTemporaries(const fs::path& root) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, FilesIn(PartialFolder(root)));
  for (const fs::path& path : paths) {
    if (path.filename().string().rfind(kTemporaryPrefix, 0) != 0) continue;
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0 || time(nullptr) - info.st_mtime < kTemporaryGraceSeconds) continue;
    RemoveUnlessLocked(path);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> HashDescriptor(int fd, const fs::path& path, crypto::Sha256Stream& hash) {
  if (lseek(fd, 0, SEEK_SET) < 0) return ErrnoStatus(errno, "cannot read", path);
  std::vector<char> buffer(kBufferBytes);
  uint64_t length = 0;
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(const size_t got, ReadSome(fd, buffer, path));
    if (got == 0) return length;
    hash.Update({buffer.data(), got});
    length += got;
  }
}

absl::Status MoveIntoPlace(const fs::path& root, int fd, const fs::path& path, const Digest& digest, bool sync) {
  if (sync && fsync(fd) != 0) return ErrnoStatus(errno, "cannot sync", path);
  const fs::path target = BlobPath(root, digest);
  const fs::path folder = target.parent_path();
  if (mkdir(folder.c_str(), 0755) == 0) {
    if (sync) CLOISTER_RETURN_IF_ERROR(SyncFolder(BlobFolder(root)));
  } else if (errno != EEXIST) {
    return ErrnoStatus(errno, "cannot create the folder", folder);
  }
  if (rename(path.c_str(), target.c_str()) != 0) {
    absl::Status status = ErrnoStatus(errno, "cannot rename to", target);
    if (errno == EXDEV) status.SetPayload(kOtherFileSystem, absl::Cord());
    return status;
  }
  // Not before: a transfer cut here must still be writable. It only guards against accidents, so failing is no error.
  (void)fchmod(fd, 0444);
  return sync ? SyncFolder(folder) : absl::OkStatus();
}

bool IsOtherFileSystem(const absl::Status& status) {
  return status.GetPayload(kOtherFileSystem).has_value();
}

absl::Status Damaged(const Digest& digest) {
  return absl::DataLossError(fmt::format("blob {} is damaged: its content has another hash", digest.hex()));
}

absl::StatusOr<TemporaryFile> TemporaryFile::Create(const fs::path& root) {
  std::string name = (PartialFolder(root) / (std::string(kTemporaryPrefix) + "XXXXXX")).string();
  Descriptor fd(mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot create a file in", PartialFolder(root));
  TemporaryFile file(std::move(fd), name);
  if (flock(file.fd(), LOCK_EX | LOCK_NB) != 0) return ErrnoStatus(errno, "cannot lock", file.path());
  return file;
}

TemporaryFile::~TemporaryFile() {
  // Moved away by rename, the name is gone or, never, another's: it is locked until fd_ closes.
  if (fd_.valid() && SameFile(fd_.get(), path_)) unlink(path_.c_str());
}

absl::StatusOr<Digest> CopyHashing(int source, const fs::path& path, TemporaryFile& target) {
  crypto::Sha256Stream hash;
  std::vector<char> buffer(kBufferBytes);
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(const size_t got, ReadSome(source, buffer, path));
    if (got == 0) return hash.Finish();
    hash.Update({buffer.data(), got});
    CLOISTER_RETURN_IF_ERROR(WriteAll(target.fd(), {buffer.data(), got}, target.path()));
  }
}

}  // namespace cloister::storage
