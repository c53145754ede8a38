#pragma once
// SPDX-License-Identifier: Apache-2.0
// Files by the SHA-256 of their content: blobs/ab/cdef..., each complete, read-only and never changed. What is still
// arriving lies in partial/ and survives restarts. Several threads and processes may use one store.
//
// Status codes of every call: RESOURCE_EXHAUSTED the disk is full; PERMISSION_DENIED; UNAVAILABLE I/O.

#include <absl/time/time.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::storage {

// A transfer in progress. While open, no one else can open the same one. Destruction keeps what has arrived.
class PartialBlob {
 public:
  PartialBlob(PartialBlob&&) noexcept;
  PartialBlob& operator=(PartialBlob&&) noexcept;
  ~PartialBlob();

  uint64_t received_bytes() const;  // where the sender must go on
  uint64_t total_bytes() const;

  // OUT_OF_RANGE: `offset` is not received_bytes(), or the bytes go past total_bytes(); nothing is kept of them.
  absl::Status Append(uint64_t offset, ByteView bytes);
  // Verifies the blob and moves it to its place, synced if the store keeps; this object is then closed.
  // FAILED_PRECONDITION: bytes are missing (it stays open); DATA_LOSS: the hash is wrong and the partial was removed,
  // so the sender starts at 0.
  absl::Status Finish();
  // Removes what has arrived.
  absl::Status Discard();

 private:
  friend class BlobStore;
  struct State;
  explicit PartialBlob(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class BlobStore {
 public:
  enum class Take { kCopy, kMove };  // of PutFile: leave the source, or use it up (a rename where it can be one)
  enum class Use {
    kKeep,   // what is stored is durable when the call returns
    kCache,  // of what can be had again: nothing waits for the disk, and after a power cut Verify may find damage
  };

  // Makes the folders and sweeps away what a crash left half-written (never a partial that can be resumed).
  static absl::StatusOr<BlobStore> Open(const std::filesystem::path& root, Use use = Use::kKeep);

  // Storing the same content again is cheap and fine.
  absl::StatusOr<Digest> Put(ByteView bytes);
  // The content of `path`. With Take::kMove the source is gone afterwards. NOT_FOUND: no such file.
  absl::StatusOr<Digest> PutFile(const std::filesystem::path& path, Take take = Take::kCopy);
  // Take::kMove of a file that the caller hashed while writing it, on this file system.
  absl::Status Adopt(const std::filesystem::path& path, const Digest& digest);

  // Starts or resumes the transfer `id` (see CheckIdentifier; one id per sender and purpose). Another digest or size
  // under the same id replaces what had arrived. UNAVAILABLE: the transfer is open elsewhere. INVALID_ARGUMENT: the id.
  absl::StatusOr<PartialBlob> OpenPartial(std::string_view id, const Digest& digest, uint64_t total_bytes);
  // Removes partials untouched for `age`; returns how many. Open ones stay.
  absl::StatusOr<size_t> SweepPartials(absl::Time now, absl::Duration age);

  bool Has(const Digest& digest) const;
  // Where the blob is or would be.
  std::filesystem::path Path(const Digest& digest) const;
  // NOT_FOUND: no such blob.
  absl::StatusOr<uint64_t> SizeBytes(const Digest& digest) const;
  // The content, its hash checked. NOT_FOUND; DATA_LOSS: the disk changed it; RESOURCE_EXHAUSTED: over the limit.
  absl::StatusOr<Bytes> Read(const Digest& digest, uint64_t limit_bytes = uint64_t{1} << 32) const;
  // NOT_FOUND; DATA_LOSS: the file no longer has this hash. Reads all of it, in little memory.
  absl::Status Verify(const Digest& digest) const;
  // Makes this blob of a cache durable. NOT_FOUND.
  absl::Status Sync(const Digest& digest) const;
  // OK also if there is none.
  absl::Status Remove(const Digest& digest);
  // Sorted.
  absl::StatusOr<std::vector<Digest>> List() const;

  const std::filesystem::path& root() const { return root_; }

 private:
  BlobStore(std::filesystem::path root, Use use) : root_(std::move(root)), use_(use) {}
  std::filesystem::path root_;
  Use use_;
};

}  // namespace cloister::storage
