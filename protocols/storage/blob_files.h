#pragma once
// SPDX-License-Identifier: Apache-2.0
// The files of a blob store: names, locks, and moves that survive a power cut. Inside this folder only; callers use
// blob_store.h.
//
//   ROOT/blobs/ab/cdef...                 complete blobs, mode 0444
//   ROOT/partial/ID-HEX-SIZE.part         transfers that can be resumed, locked while open
//   ROOT/partial/tmp-XXXXXX               content on its way to blobs/, locked while written; swept after a crash

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/descriptor.h"
#include "protocols/base/status.h"
#include "protocols/crypto/hash.h"

namespace cloister::storage {

std::filesystem::path BlobFolder(const std::filesystem::path& root);
std::filesystem::path PartialFolder(const std::filesystem::path& root);
std::filesystem::path BlobPath(const std::filesystem::path& root, const Digest& digest);

std::string PartialName(std::string_view id, const Digest& digest, uint64_t total_bytes);
// The id in such a name; nullopt for any other.
std::optional<std::string> ParsePartialName(const std::string& name);

// What is in `folder`, one level deep, in no order.
absl::StatusOr<std::vector<std::filesystem::path>> FilesIn(const std::filesystem::path& folder);

// For reading. FAILED_PRECONDITION: not a regular file, or a symbolic link: it could lead to a file that is nobody's to
// store.
absl::StatusOr<Descriptor> OpenRegular(const std::filesystem::path& path);

// Opens or makes `path` and locks it. UNAVAILABLE: locked by someone else.
absl::StatusOr<Descriptor> OpenLocked(const std::filesystem::path& path);
// False if it is locked.
bool RemoveUnlessLocked(const std::filesystem::path& path);
// Transfers of `id` other than `keep`. UNAVAILABLE: one of them is open.
absl::Status RemoveOtherPartials(const std::filesystem::path& root, std::string_view id,
                                 const std::filesystem::path& keep);
absl::Status SweepTemporaries(const std::filesystem::path& root);

// Adds everything from the start of the file to `hash`; returns its length, where the descriptor then stands.
absl::StatusOr<uint64_t> HashDescriptor(int fd, const std::filesystem::path& path, crypto::Sha256Stream& hash);

// Renames the open file at `path` to where `digest` belongs; durable when it returns, if `sync`.
absl::Status MoveIntoPlace(const std::filesystem::path& root, int fd, const std::filesystem::path& path,
                           const Digest& digest, bool sync);
// Did MoveIntoPlace fail because `path` is on another file system?
bool IsOtherFileSystem(const absl::Status& status);

absl::Status Damaged(const Digest& digest);

// A file in partial/ that is removed again unless it was moved away.
class TemporaryFile {
 public:
  static absl::StatusOr<TemporaryFile> Create(const std::filesystem::path& root);
  TemporaryFile(TemporaryFile&&) = default;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile();

  int fd() const { return fd_.get(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  TemporaryFile(Descriptor fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Descriptor fd_;
  std::filesystem::path path_;
};

// Copies the rest of `source` (named `path`) and returns the hash of what was copied.
absl::StatusOr<Digest> CopyHashing(int source, const std::filesystem::path& path, TemporaryFile& target);

}  // namespace cloister::storage
