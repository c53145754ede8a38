#pragma once
// SPDX-License-Identifier: Apache-2.0
// Small whole files. A write is all or nothing: temporary file, fsync, rename, fsync of the folder.

#include <filesystem>
#include <initializer_list>
#include <string>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister {

// NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED (larger than `limit_bytes`), UNAVAILABLE (I/O); names the path.
absl::StatusOr<Bytes> ReadFile(const std::filesystem::path& path, uint64_t limit_bytes = uint64_t{1} << 30);

// Leaves either the old file or the new one, also after a power cut. `mode`: permission bits.
// RESOURCE_EXHAUSTED: the disk is full; PERMISSION_DENIED; NOT_FOUND: no such folder; UNAVAILABLE (I/O).
absl::Status WriteFileAtomically(const std::filesystem::path& path, ByteView bytes, unsigned mode = 0644);
// The same for content in several pieces, so that a large one need not be copied behind its header.
absl::Status WriteFileAtomically(const std::filesystem::path& path, std::initializer_list<ByteView> pieces,
                                 unsigned mode = 0644);

// mkdir -p. PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION (a file is in the way).
absl::Status MakeDirectories(const std::filesystem::path& path);

// Changes whenever the file is replaced or rewritten: inode, size and time of change. Empty where there is none.
std::string FileStamp(const std::filesystem::path& path);

// The Status for `error` (an errno) met while doing `what` to `path`.
absl::Status ErrnoStatus(int error, const std::string& what, const std::filesystem::path& path);

}  // namespace cloister
