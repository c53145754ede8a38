// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/blob_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/base/ids.h"
#include "protocols/crypto/hash.h"
#include "protocols/storage/blob_files.h"

namespace cloister::storage {

namespace fs = std::filesystem;

namespace {

constexpr size_t kHintBytes = size_t{256} << 10;  // a smaller write is not worth a call of its own

}  // namespace

// ---- A transfer in progress

struct PartialBlob::State {
  fs::path root;
  fs::path path;
  bool sync = true;
  Descriptor fd;  // locked; positioned at `received`
  Digest digest;
  uint64_t total = 0;
  uint64_t received = 0;
  crypto::Sha256Stream hash;  // of what was received
};

PartialBlob::PartialBlob(std::unique_ptr<State> state) : state_(std::move(state)) {}
PartialBlob::PartialBlob(PartialBlob&&) noexcept = default;
PartialBlob& PartialBlob::operator=(PartialBlob&&) noexcept = default;
PartialBlob::~PartialBlob() = default;

uint64_t PartialBlob::received_bytes() const {
  return state_ == nullptr ? 0 : state_->received;
}
uint64_t PartialBlob::total_bytes() const {
  return state_ == nullptr ? 0 : state_->total;
}

absl::Status PartialBlob::Append(uint64_t offset, ByteView bytes) {
  if (state_ == nullptr) return absl::FailedPreconditionError("the transfer has ended");
  State& state = *state_;
  if (offset != state.received) {
    return absl::OutOfRangeError(fmt::format("bytes from {} on, but {} have arrived", offset, state.received));
  }
  if (bytes.size() > state.total - state.received) {
    return absl::OutOfRangeError(
        fmt::format("{} bytes at {} go past the end at {}", bytes.size(), offset, state.total));
  }
  const absl::Status status = WriteAll(state.fd.get(), bytes, state.path);
  if (!status.ok()) {
    // A partly written piece would shift all that follows.
    if (ftruncate(state.fd.get(), static_cast<off_t>(state.received)) != 0 ||
        lseek(state.fd.get(), static_cast<off_t>(state.received), SEEK_SET) < 0) {
      return ErrnoStatus(errno, "cannot undo a write to", state.path);
    }
    return status;
  }
  // The disk begins now what the sync at the end would wait for. Only a hint, so failing is no error.
  if (state.sync && bytes.size() >= kHintBytes) {
    (void)sync_file_range(state.fd.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes.size()),
                          SYNC_FILE_RANGE_WRITE);
  }
  state.hash.Update(bytes);
  state.received += bytes.size();
  return absl::OkStatus();
}

absl::Status PartialBlob::Finish() {
  if (state_ == nullptr) return absl::FailedPreconditionError("the transfer has ended");
  State& state = *state_;
  if (state.received != state.total) {
    return absl::FailedPreconditionError(fmt::format("{} of {} bytes have arrived", state.received, state.total));
  }
  if (const Digest found = state.hash.Finish(); found != state.digest) {
    const std::string message = fmt::format("the {} bytes received have the hash {}, not {}: send them again",
                                            state.total, found.short_hex(), state.digest.short_hex());
    const absl::Status removed = Discard();
    return removed.ok() ? absl::DataLossError(message) : removed;
  }
  const absl::Status moved = MoveIntoPlace(state.root, state.fd.get(), state.path, state.digest, state.sync);
  if (!moved.ok()) {
    // The stream started anew; what it needs is on the disk.
    const absl::StatusOr<uint64_t> hashed = HashDescriptor(state.fd.get(), state.path, state.hash);
    return hashed.ok() ? moved : hashed.status();
  }
  state_.reset();
  return absl::OkStatus();
}

absl::Status PartialBlob::Discard() {
  if (state_ == nullptr) return absl::OkStatus();
  if (unlink(state_->path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "cannot remove", state_->path);
  state_.reset();
  return absl::OkStatus();
}

// ---- The store

absl::StatusOr<BlobStore> BlobStore::Open(const fs::path& root, Use use) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(BlobFolder(root)));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(PartialFolder(root)));
  CLOISTER_RETURN_IF_ERROR(SweepTemporaries(root));
  return BlobStore(root, use);
}

absl::StatusOr<Digest> BlobStore::Put(ByteView bytes) {
  const Digest digest = crypto::Sha256(bytes);
  if (SizeBytes(digest).value_or(bytes.size() + 1) == bytes.size()) return digest;
  CLOISTER_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::Create(root_));
  CLOISTER_RETURN_IF_ERROR(WriteAll(file.fd(), bytes, file.path()));
  CLOISTER_RETURN_IF_ERROR(MoveIntoPlace(root_, file.fd(), file.path(), digest, use_ == Use::kKeep));
  return digest;
}

absl::StatusOr<Digest> BlobStore::PutFile(const fs::path& path, Take take) {
  CLOISTER_ASSIGN_OR_RETURN(const Descriptor source, OpenRegular(path));
  if (take == Take::kMove) {
    crypto::Sha256Stream hash;
    CLOISTER_RETURN_IF_ERROR(HashDescriptor(source.get(), path, hash).status());
    const Digest digest = hash.Finish();
    const absl::Status moved = MoveIntoPlace(root_, source.get(), path, digest, use_ == Use::kKeep);
    if (moved.ok()) return digest;
    if (!IsOtherFileSystem(moved)) return moved;
    if (lseek(source.get(), 0, SEEK_SET) < 0) return ErrnoStatus(errno, "cannot read", path);
  }
  // What is hashed is what was copied, whatever happens to the source meanwhile.
  CLOISTER_ASSIGN_OR_RETURN(TemporaryFile file, TemporaryFile::Create(root_));
  CLOISTER_ASSIGN_OR_RETURN(const Digest digest, CopyHashing(source.get(), path, file));
  CLOISTER_RETURN_IF_ERROR(MoveIntoPlace(root_, file.fd(), file.path(), digest, use_ == Use::kKeep));
  if (take == Take::kMove && unlink(path.c_str()) != 0) return ErrnoStatus(errno, "cannot remove", path);
  return digest;
}

absl::Status BlobStore::Adopt(const fs::path& path, const Digest& digest) {
  CLOISTER_ASSIGN_OR_RETURN(const Descriptor source, OpenRegular(path));
  return MoveIntoPlace(root_, source.get(), path, digest, use_ == Use::kKeep);
}

absl::StatusOr<PartialBlob> BlobStore::OpenPartial(std::string_view id, const Digest& digest, uint64_t total_bytes) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(id, "transfer id"));
  auto state = std::make_unique<PartialBlob::State>();
  state->root = root_;
  state->path = PartialFolder(root_) / PartialName(id, digest, total_bytes);
  state->sync = use_ == Use::kKeep;
  state->digest = digest;
  state->total = total_bytes;
  CLOISTER_RETURN_IF_ERROR(RemoveOtherPartials(root_, id, state->path));
  CLOISTER_ASSIGN_OR_RETURN(state->fd, OpenLocked(state->path));
  CLOISTER_ASSIGN_OR_RETURN(state->received, HashDescriptor(state->fd.get(), state->path, state->hash));
  if (state->received > total_bytes) {
    // Not ours: we never write past the end.
    if (ftruncate(state->fd.get(), 0) != 0 || lseek(state->fd.get(), 0, SEEK_SET) < 0) {
      return ErrnoStatus(errno, "cannot empty", state->path);
    }
    state->hash.Finish();
    state->received = 0;
  }
  return PartialBlob(std::move(state));
}

absl::StatusOr<size_t> BlobStore::SweepPartials(absl::Time now, absl::Duration age) {
  size_t removed = 0;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, FilesIn(PartialFolder(root_)));
  for (const fs::path& path : paths) {
    if (!ParsePartialName(path.filename().string())) continue;
    struct stat info {};
    if (stat(path.c_str(), &info) != 0) continue;
    if (now - absl::TimeFromTimespec(info.st_mtim) < age) continue;
    removed += RemoveUnlessLocked(path) ? 1 : 0;
  }
  return removed;
}

bool BlobStore::Has(const Digest& digest) const {
  return SizeBytes(digest).ok();
}

fs::path BlobStore::Path(const Digest& digest) const {
  return BlobPath(root_, digest);
}

absl::StatusOr<uint64_t> BlobStore::SizeBytes(const Digest& digest) const {
  struct stat info {};
  if (stat(Path(digest).c_str(), &info) == 0 && S_ISREG(info.st_mode)) return static_cast<uint64_t>(info.st_size);
  return absl::NotFoundError(fmt::format("no blob {}", digest.hex()));
}

absl::StatusOr<Bytes> BlobStore::Read(const Digest& digest, uint64_t limit_bytes) const {
  CLOISTER_RETURN_IF_ERROR(SizeBytes(digest).status());
  CLOISTER_ASSIGN_OR_RETURN(Bytes bytes, ReadFile(Path(digest), limit_bytes));
  if (crypto::Sha256(bytes) != digest) return Damaged(digest);
  return bytes;
}

absl::Status BlobStore::Verify(const Digest& digest) const {
  CLOISTER_RETURN_IF_ERROR(SizeBytes(digest).status());
  CLOISTER_ASSIGN_OR_RETURN(const Digest found, crypto::Sha256File(Path(digest)));
  return found == digest ? absl::OkStatus() : Damaged(digest);
}

absl::Status BlobStore::Sync(const Digest& digest) const {
  const fs::path path = Path(digest);
  CLOISTER_ASSIGN_OR_RETURN(const Descriptor file, OpenRegular(path));
  if (fsync(file.get()) != 0) return ErrnoStatus(errno, "cannot sync", path);
  CLOISTER_RETURN_IF_ERROR(SyncFolder(path.parent_path()));
  return SyncFolder(BlobFolder(root_));
}

absl::Status BlobStore::Remove(const Digest& digest) {
  const fs::path path = Path(digest);
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, "cannot remove", path);
}

absl::StatusOr<std::vector<Digest>> BlobStore::List() const {
  std::vector<Digest> digests;
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<fs::path> folders, FilesIn(BlobFolder(root_)));
  for (const fs::path& folder : folders) {
    std::error_code ignored;
    if (folder.filename().string().size() != 2 || !fs::is_directory(folder, ignored)) continue;
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, FilesIn(folder));
    for (const fs::path& path : paths) {
      const absl::StatusOr<Digest> digest = Digest::FromHex(folder.filename().string() + path.filename().string());
      if (digest.ok() && path == Path(*digest)) digests.push_back(*digest);
    }
  }
  std::sort(digests.begin(), digests.end());
  return digests;
}

}  // namespace cloister::storage
