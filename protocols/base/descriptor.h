#pragma once
// SPDX-License-Identifier: Apache-2.0
// A file descriptor that closes itself, and the few calls on it that must not be written twice (EINTR, short writes).

#include <filesystem>
#include <utility>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close();

 private:
  int fd_ = -1;
};

// `path` only names the file in messages. Codes as ErrnoStatus.
absl::Status WriteAll(int fd, ByteView bytes, const std::filesystem::path& path);

// Makes renames and new names in `folder` survive a power cut.
absl::Status SyncFolder(const std::filesystem::path& folder);

}  // namespace cloister
