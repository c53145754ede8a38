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

// `shard` in pieces of a block.
std::vector<Shard> BlocksOf(const Shard& shard, int ring_bits) {
  const uint64_t most = kBlockBytes / secagg::ElementBytes(ring_bits);
  std::vector<Shard> blocks;
  for (uint64_t done = 0; done < shard.count; done += most) {
    blocks.push_back({shard.vector, shard.first + done, std::min(most, shard.count - done)});
  }
  return blocks;
}

absl::StatusOr<Descriptor> OpenSpooled(const std::filesystem::path& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.valid()) {
    return file;
  }
  const std::string what = "cannot open " + path.string();
  return errno == ENOENT ? absl::DataLossError(what) : absl::UnavailableError(what);
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

// T holds elements of the vector.
template <typename T>
absl::Status SumUpBlock(const Shard& block, int ring_bits, const SpooledVectors& spooled,
                        const secagg::Unmasker& unmasker, const PutElements& put) {
  const uint64_t width = secagg::ElementBytes(ring_bits);
  std::vector<T> total(block.count);
  Bytes packed(block.count * width, '\0');
  for (const std::vector<std::filesystem::path>& survivor : spooled) {
    const std::filesystem::path& path = survivor[block.vector];
    CLOISTER_ASSIGN_OR_RETURN(const Descriptor file, OpenSpooled(path));
    CLOISTER_RETURN_IF_ERROR(ReadAt(file, path, block.first * width, packed.data(), packed.size()));
    secagg::AddPacked(packed.data(), ring_bits, absl::MakeSpan(total));
  }
  CLOISTER_RETURN_IF_ERROR(unmasker.Apply(block.vector, block.first, absl::MakeSpan(total)));
  secagg::Pack(absl::MakeConstSpan(total), ring_bits, packed.data());
  return put(block.vector, block.first, packed);
}

}  // namespace

absl::Status SumUpShard(const Shard& shard, int ring_bits, const SpooledVectors& spooled,
                        const secagg::Unmasker& unmasker, const PutElements& put) {
  for (const Shard& block : BlocksOf(shard, ring_bits)) {
    CLOISTER_RETURN_IF_ERROR(secagg::HeldBits(ring_bits) == 64
                                 ? SumUpBlock<uint64_t>(block, ring_bits, spooled, unmasker, put)
                                 : SumUpBlock<uint32_t>(block, ring_bits, spooled, unmasker, put));
  }
  return absl::OkStatus();
}

absl::Status SumUp(const SpooledVectors& spooled, const secagg::Unmasker& unmasker, const plan::SumResultHeader& header,
                   const std::filesystem::path& result, int threads) {
  for (const std::vector<std::filesystem::path>& survivor : spooled) {
    if (survivor.size() != header.vectors.size()) {
      return absl::InternalError("a survivor with other vectors than the sum's");
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const plan::SumResultWriter writer, plan::SumResultWriter::Create(result, header));
  const PutElements put = [&writer](size_t vector, uint64_t first, ByteView elements) {
    return writer.Write(vector, first, elements);
  };
  std::vector<Shard> shards;
  for (size_t i = 0; i < header.vectors.size(); ++i) {
    const std::vector<Shard> blocks = BlocksOf({i, 0, header.vectors[i].length}, header.vectors[i].ring_bits);
    shards.insert(shards.end(), blocks.begin(), blocks.end());
  }
  std::atomic<size_t> next{0};
  std::mutex mutex;
  absl::Status status;
  const auto work = [&] {
    for (size_t i = next++; i < shards.size(); i = next++) {
      const int ring_bits = header.vectors[shards[i].vector].ring_bits;
      const absl::Status done = SumUpShard(shards[i], ring_bits, spooled, unmasker, put);
      if (!done.ok()) {
        next = shards.size();
        std::lock_guard lock(mutex);
        status.Update(done);
      }
    }
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(static_cast<size_t>(threads), shards.size()); ++i) {
    helpers.emplace_back(work);
  }
  work();
  for (std::thread& helper : helpers) {
    helper.join();
  }
  return status;
}

}  // namespace cloister::coordinator
