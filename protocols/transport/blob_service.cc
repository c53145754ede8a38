// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/blob_service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <optional>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/transport/grpc_status.h"
#include "protocols/transport/late_answer.h"
#include "protocols/transport/task_queue.h"
#include "protocols/wire/codec.h"

namespace cloister::transport {

struct BlobService::Shared {
  Shared(storage::BlobStore* store, IdentifyPeer identify, BlobPolicy policy)
      : store(store), identify(std::move(identify)), policy(std::move(policy)), disk(kDiskThreads) {}

  static constexpr int kDiskThreads = 4;

  storage::BlobStore* const store;
  const IdentifyPeer identify;
  const BlobPolicy policy;
  std::mutex mutex;
  std::multimap<std::string, grpc::CallbackServerContext*> open;  // transfers under way; guarded by mutex
  TaskQueue disk;                                                 // last: its tasks use everything above

  // One transfer per sender and content, whatever the ids' lengths.
  static std::string TransferId(const Peer& peer, const Digest& digest) {
    CanonicalWriter writer;
    writer.Blob(peer.id).Put(digest);
    return "put-" + crypto::Sha256(writer.bytes()).hex().substr(0, 48);
  }

  absl::StatusOr<storage::PartialBlob> OpenPartial(const std::string& id, const wire::BlobHeader& header) {
    auto partial = store->OpenPartial(id, header.digest, header.size_bytes);
    if (!partial.ok() && partial.status().code() == absl::StatusCode::kUnavailable) {
      // Left over from a connection whose end nobody has noticed yet: the newcomer is the one that lives.
      std::lock_guard lock(mutex);
      const auto [first, last] = open.equal_range(id);
      for (auto entry = first; entry != last; ++entry) {
        entry->second->TryCancel();
      }
    }
    return partial;
  }

  absl::StatusOr<wire::BlobStat> Stat(const grpc::ServerContextBase& context, const wire::v1::BlobHeader& message) {
    CLOISTER_ASSIGN_OR_RETURN(const Peer peer, identify(context));
    CLOISTER_ASSIGN_OR_RETURN(const wire::BlobHeader header, wire::Decode(message));
    CLOISTER_RETURN_IF_ERROR(policy.may_put(peer, header));
    if (store->Has(header.digest)) {
      return wire::BlobStat{header.size_bytes, true};
    }
    CLOISTER_ASSIGN_OR_RETURN(const storage::PartialBlob partial, OpenPartial(TransferId(peer, header.digest), header));
    return wire::BlobStat{partial.received_bytes(), false};
  }
};

namespace {

using Shared = BlobService::Shared;

// One upload. Reads a chunk, has it written, reads the next: never more than one chunk in memory.
class PutReactor final : public grpc::ServerReadReactor<wire::v1::BlobChunk> {
 public:
  PutReactor(std::shared_ptr<Shared> shared, grpc::CallbackServerContext* context, wire::v1::StatBlobReply* reply)
      : shared_(std::move(shared)), context_(context), reply_(reply) {
    StartRead(&chunk_);
  }

  void OnReadDone(bool ok) override {
    shared_->disk.Post([this, ok] { ok ? TakeChunk() : End(); });
  }

  void OnDone() override {
    if (!transfer_id_.empty()) {
      std::lock_guard lock(shared_->mutex);
      const auto [first, last] = shared_->open.equal_range(transfer_id_);
      for (auto entry = first; entry != last; ++entry) {
        if (entry->second == context_) {
          shared_->open.erase(entry);
          break;
        }
      }
    }
    delete this;
  }

 private:
  void TakeChunk() {
    const absl::Status status = partial_ ? Append() : Begin();
    if (!status.ok()) {
      partial_.reset();  // before the answer: whoever reads it may come back at once
      Finish(ToGrpc(status));
    } else if (complete_) {
      *reply_ = wire::Encode(wire::BlobStat{header_.size_bytes, true});
      partial_.reset();
      Finish(grpc::Status::OK);
    } else {
      StartRead(&chunk_);
    }
  }

  absl::Status Begin() {
    CLOISTER_ASSIGN_OR_RETURN(peer_, shared_->identify(*context_));
    CLOISTER_ASSIGN_OR_RETURN(header_, wire::Decode(chunk_.header()));
    CLOISTER_RETURN_IF_ERROR(shared_->policy.may_put(peer_, header_));
    if (shared_->store->Has(header_.digest)) {
      complete_ = true;
      return absl::OkStatus();
    }
    const std::string id = Shared::TransferId(peer_, header_.digest);
    CLOISTER_ASSIGN_OR_RETURN(partial_, shared_->OpenPartial(id, header_));
    {
      std::lock_guard lock(shared_->mutex);
      transfer_id_ = id;
      shared_->open.emplace(id, context_);
    }
    return Append();
  }

  absl::Status Append() {
    if (chunk_.data().size() > wire::kBlobChunkBytes) {
      return absl::InvalidArgumentError(
          fmt::format("a chunk of {} bytes, at most {}", chunk_.data().size(), wire::kBlobChunkBytes));
    }
    CLOISTER_RETURN_IF_ERROR(partial_->Append(chunk_.offset(), chunk_.data()));
    if (partial_->received_bytes() == partial_->total_bytes()) {
      CLOISTER_RETURN_IF_ERROR(partial_->Finish());
      complete_ = true;
      if (shared_->policy.stored) {
        shared_->policy.stored(peer_, header_);
      }
    }
    return absl::OkStatus();
  }

  // The sender has no more, or is gone. What has arrived stays for its next try.
  void End() {
    const bool gone = context_->IsCancelled();
    const uint64_t received = partial_ ? partial_->received_bytes() : 0;
    partial_.reset();
    Finish(ToGrpc(gone ? absl::CancelledError("the sender has gone")
                       : absl::OutOfRangeError(
                             fmt::format("the stream ended after {} of {} bytes", received, header_.size_bytes))));
  }

  const std::shared_ptr<Shared> shared_;
  grpc::CallbackServerContext* const context_;
  wire::v1::StatBlobReply* const reply_;
  wire::v1::BlobChunk chunk_;
  Peer peer_;
  wire::BlobHeader header_;
  std::optional<storage::PartialBlob> partial_;
  std::string transfer_id_;
  bool complete_ = false;
};

class GetReactor final : public grpc::ServerWriteReactor<wire::v1::BlobChunk> {
 public:
  GetReactor(std::shared_ptr<Shared> shared, grpc::CallbackServerContext* context,
             const wire::v1::GetBlobRequest* request)
      : shared_(std::move(shared)), context_(context), offset_(request->offset()) {
    shared_->disk.Post([this, digest = request->digest()] {
      const absl::Status status = Begin(digest);
      status.ok() ? SendNext() : Finish(ToGrpc(status));
    });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      Finish(ToGrpc(absl::CancelledError("the reader has gone")));
      return;
    }
    shared_->disk.Post([this] { SendNext(); });
  }

  void OnDone() override { delete this; }

 private:
  absl::Status Begin(const std::string& digest_bytes) {
    CLOISTER_ASSIGN_OR_RETURN(const Peer peer, shared_->identify(*context_));
    CLOISTER_ASSIGN_OR_RETURN(const Digest digest, Digest::FromBytes(digest_bytes));
    CLOISTER_RETURN_IF_ERROR(shared_->policy.may_get(peer, digest));
    CLOISTER_ASSIGN_OR_RETURN(size_, shared_->store->SizeBytes(digest));
    if (offset_ > size_) {
      return absl::OutOfRangeError(fmt::format("offset {} in a blob of {} bytes", offset_, size_));
    }
    path_ = shared_->store->Path(digest);
    file_ = Descriptor(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file_.valid()) {
      return ErrnoStatus(errno, "open", path_);
    }
    chunk_.mutable_header()->set_digest(digest_bytes);
    chunk_.mutable_header()->set_size_bytes(size_);
    return absl::OkStatus();
  }

  void SendNext() {
    if (offset_ == size_ && sent_header_) {
      Finish(grpc::Status::OK);
      return;
    }
    const absl::Status status = ReadChunk();
    if (!status.ok()) {
      Finish(ToGrpc(status));
      return;
    }
    StartWrite(&chunk_);
  }

  absl::Status ReadChunk() {
    if (sent_header_) {
      chunk_.clear_header();
    }
    sent_header_ = true;
    const size_t size = std::min<uint64_t>(wire::kBlobChunkBytes, size_ - offset_);
    chunk_.set_offset(offset_);
    chunk_.mutable_data()->resize(size);
    for (size_t done = 0; done < size;) {
      const ssize_t got = pread(file_.get(), chunk_.mutable_data()->data() + done, size - done, offset_ + done);
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got <= 0) {
        return got < 0 ? ErrnoStatus(errno, "read", path_) : absl::DataLossError("the blob's file has become shorter");
      }
      done += got;
    }
    offset_ += size;
    return absl::OkStatus();
  }

  const std::shared_ptr<Shared> shared_;
  grpc::CallbackServerContext* const context_;
  uint64_t offset_;
  uint64_t size_ = 0;
  bool sent_header_ = false;
  std::filesystem::path path_;
  Descriptor file_;
  wire::v1::BlobChunk chunk_;
};

}  // namespace

BlobService::BlobService(storage::BlobStore* store, IdentifyPeer identify, BlobPolicy policy)
    : shared_(std::make_shared<Shared>(store, std::move(identify), std::move(policy))) {}

BlobService::~BlobService() = default;

grpc::ServerUnaryReactor* BlobService::Stat(grpc::CallbackServerContext* context,
                                            const wire::v1::StatBlobRequest* request, wire::v1::StatBlobReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  shared_->disk.Post([shared = shared_.get(), context, request, reply, reactor] {
    const auto stat = shared->Stat(*context, request->header());
    if (stat.ok()) {
      *reply = wire::Encode(*stat);
    }
    reactor->Finish(ToGrpc(stat.status()));
  });
  return reactor;
}

grpc::ServerReadReactor<wire::v1::BlobChunk>* BlobService::Put(grpc::CallbackServerContext* context,
                                                               wire::v1::StatBlobReply* reply) {
  return new PutReactor(shared_, context, reply);
}

grpc::ServerWriteReactor<wire::v1::BlobChunk>* BlobService::Get(grpc::CallbackServerContext* context,
                                                                const wire::v1::GetBlobRequest* request) {
  return new GetReactor(shared_, context, request);
}

}  // namespace cloister::transport
