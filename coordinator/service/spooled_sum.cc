// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/spooled_sum.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/secagg/ring.h"

namespace cloister::coordinator {
namespace {

constexpr uint64_t kBlockBytes = uint64_t{1} << 20;

struct Block {
  size_t vector;
  uint64_t first;  // element
  uint64_t count;
};

std::vector<Block> BlocksOf(const std::vector<secagg::VectorSpec>& vectors) {
  std::vector<Block> blocks;
  for (size_t i = 0; i < vectors.size(); ++i) {
    const uint64_t most = kBlockBytes / secagg::ElementBytes(vectors[i].ring_bits);
    for (uint64_t first = 0; first < vectors[i].length; first += most) {
      blocks.push_back({i, first, std::min(most, vectors[i].length - first)});
    }
  }
  return blocks;
}

absl::Status ReadAt(const Descriptor& file, const std::filesystem::path& path, uint64_t offset, char* to,
                    uint64_t size) {
  while (size > 0) {
    const ssize_t got = pread(file.get(), to, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      const std::string what = fmt::format("cannot read {} at byte {}", path.string(), offset);
      return got == 0 ? absl::DataLossError(what) : absl::UnavailableError(what);
    }
    to += got;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

// One survivor's open vectors.
using OpenFiles = std::vector<Descriptor>;

// T holds elements of the vector.
template <typename T>
absl::Status SumUpBlock(const Block& block, int ring_bits,
                        const std::vector<std::vector<std::filesystem::path>>& spooled,
                        const std::vector<OpenFiles>& files, const secagg::Unmasker& unmasker,
                        const plan::SumResultWriter& writer) {
  const uint64_t width = secagg::ElementBytes(ring_bits);
  std::vector<T> total(block.count);
  Bytes packed(block.count * width, '\0');
  for (size_t site = 0; site < files.size(); ++site) {
    CLOISTER_RETURN_IF_ERROR(ReadAt(files[site][block.vector], spooled[site][block.vector], block.first * width,
                                    packed.data(), packed.size()));
    secagg::AddPacked(packed.data(), ring_bits, absl::MakeSpan(total));
  }
  CLOISTER_RETURN_IF_ERROR(unmasker.Apply(block.vector, block.first, absl::MakeSpan(total)));
  secagg::Pack(absl::MakeConstSpan(total), ring_bits, packed.data());
  return writer.Write(block.vector, block.first, packed);
}

}  // namespace

absl::Status SumUp(const std::vector<std::vector<std::filesystem::path>>& spooled, const secagg::Unmasker& unmasker,
                   const plan::SumResultHeader& header, const std::filesystem::path& result, int threads) {
  std::vector<OpenFiles> files(spooled.size());
  for (size_t site = 0; site < spooled.size(); ++site) {
    if (spooled[site].size() != header.vectors.size()) {
      return absl::InternalError("a survivor with other vectors than the sum's");
    }
    for (const std::filesystem::path& path : spooled[site]) {
      files[site].emplace_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!files[site].back().valid()) {
        const std::string what = "cannot open " + path.string();
        return errno == ENOENT ? absl::DataLossError(what) : absl::UnavailableError(what);
      }
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const plan::SumResultWriter writer, plan::SumResultWriter::Create(result, header));
  const std::vector<Block> blocks = BlocksOf(header.vectors);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  absl::Status status;
  const auto work = [&] {
    for (size_t i = next++; i < blocks.size(); i = next++) {
      const int ring_bits = header.vectors[blocks[i].vector].ring_bits;
      const absl::Status done = secagg::HeldBits(ring_bits) == 64
                                    ? SumUpBlock<uint64_t>(blocks[i], ring_bits, spooled, files, unmasker, writer)
                                    : SumUpBlock<uint32_t>(blocks[i], ring_bits, spooled, files, unmasker, writer);
      if (!done.ok()) {
        next = blocks.size();
        std::lock_guard lock(mutex);
        status.Update(done);
      }
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < std::min(threads, static_cast<int>(blocks.size())); ++i) {
    helpers.emplace_back(work);
  }
  work();
  for (std::thread& helper : helpers) {
    helper.join();
  }
  return status;
}

}  // namespace cloister::coordinator
