// SPDX-License-Identifier: Apache-2.0
// The two sources there are: a file, and bytes in memory.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/transport/blob_client.h"

namespace cloister::transport {
namespace {

class FileSource final : public BlobSource {
 public:
  FileSource(std::filesystem::path path, Descriptor file, uint64_t size_bytes)
      : path_(std::move(path)), file_(std::move(file)), size_bytes_(size_bytes) {}

  uint64_t size_bytes() const override { return size_bytes_; }

  absl::Status Read(uint64_t offset, size_t size, Bytes* bytes) override {
    bytes->resize(size);
    for (size_t done = 0; done < size;) {
      const ssize_t got = pread(file_.get(), bytes->data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got < 0) {
        return ErrnoStatus(errno, "read", path_);
      }
      if (got == 0) {
        return absl::DataLossError(fmt::format("{} has become shorter while it was sent", path_.string()));
      }
      done += static_cast<size_t>(got);
    }
    return absl::OkStatus();
  }

 private:
  const std::filesystem::path path_;
  const Descriptor file_;
  const uint64_t size_bytes_;
};

class BytesSource final : public BlobSource {
 public:
  explicit BytesSource(Bytes bytes) : bytes_(std::move(bytes)) {}
  uint64_t size_bytes() const override { return bytes_.size(); }
  absl::Status Read(uint64_t offset, size_t size, Bytes* bytes) override {
    bytes->assign(bytes_, offset, size);
    return absl::OkStatus();
  }

 private:
  const Bytes bytes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlobSource>> OpenFileSource(const std::filesystem::path& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat facts = {};
  if (!file.valid() || fstat(file.get(), &facts) != 0) {
    return ErrnoStatus(errno, "open", path);
  }
  if (!S_ISREG(facts.st_mode)) {
    return absl::InvalidArgumentError(fmt::format("{}: not a file", path.string()));
  }
  return std::unique_ptr<BlobSource>(
      std::make_unique<FileSource>(path, std::move(file), static_cast<uint64_t>(facts.st_size)));
}

std::unique_ptr<BlobSource> MemorySource(Bytes bytes) {
  return std::make_unique<BytesSource>(std::move(bytes));
}

}  // namespace cloister::transport
