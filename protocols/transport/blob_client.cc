// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/blob_client.h"

#include <fmt/format.h>
#include <grpcpp/completion_queue.h>

#include <optional>

#include "protocols/wire/codec.h"

namespace cloister::transport {
namespace {

constexpr int kMaxHashFailures = 3;
constexpr int kMaxDisagreements = 20;

// One streaming call, one operation at a time, each waited for no longer than `stall`; Stop() cancels it. gRPC's
// blocking streams cannot do that: a peer that is alive but takes nothing would hold the thread for ever.
class TimedCall {
 public:
  TimedCall(const StopSource& stop, absl::Duration stall)
      : stall_(stall), on_stop_(stop.OnStop([this] { context_.TryCancel(); })) {}
  ~TimedCall() {
    on_stop_ = {};
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  grpc::ClientContext* context() { return &context_; }
  grpc::CompletionQueue* queue() { return &queue_; }
  bool stalled() const { return stalled_; }

  // Did the operation that was just started succeed?
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    const auto deadline = absl::ToChronoTime(absl::Now() + stall_);
    if (queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::TIMEOUT) {
      stalled_ = true;
      context_.TryCancel();
      queue_.Next(&tag, &ok);  // comes at once now
      return false;
    }
    return ok;
  }

 private:
  const absl::Duration stall_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  bool stalled_ = false;
  StopSource::Handle on_stop_;
};

// Repeats `attempt` (which sets `moved` when bytes got through) until it succeeds or there is no point.
absl::Status Persist(const TransferOptions& options, const StopSource& stop,
                     const std::function<absl::Status(bool* moved)>& attempt) {
  Backoff backoff(options.backoff);
  absl::Time last_progress = absl::Now();
  int hash_failures = 0;
  int disagreements = 0;
  for (;;) {
    if (stop.stopped()) {
      return absl::CancelledError("stopped");
    }
    bool moved = false;
    const absl::Status status = attempt(&moved);
    if (status.ok()) {
      return status;
    }
    if (stop.stopped()) {
      return absl::CancelledError("stopped");
    }
    const bool hash_failed = status.code() == absl::StatusCode::kDataLoss;
    if (hash_failed && ++hash_failures >= kMaxHashFailures) {
      return status;
    }
    if (absl::IsOutOfRange(status) && ++disagreements >= kMaxDisagreements) {
      return absl::InternalError(
          fmt::format("no agreement on where the transfer stands: {}", std::string(status.message())));
    }
    // OUT_OF_RANGE: we and the coordinator disagree on where the transfer stands; the next attempt asks.
    if (!hash_failed && status.code() != absl::StatusCode::kUnavailable &&
        status.code() != absl::StatusCode::kOutOfRange) {
      return status;
    }
    if (moved) {
      backoff.Reset();
      last_progress = absl::Now();
    }
    if (absl::Now() - last_progress > options.give_up_after) {
      return absl::UnavailableError(fmt::format("no progress for {}: {}", absl::FormatDuration(options.give_up_after),
                                                std::string(status.message())));
    }
    if (stop.WaitFor(backoff.Next())) {
      return absl::CancelledError("stopped");
    }
  }
}

absl::Status Outcome(const CoordinatorChannel& channel, const TimedCall& call, const grpc::Status& status) {
  if (call.stalled()) {
    return absl::UnavailableError(
        fmt::format("the coordinator at {} took or gave no byte for too long", channel.target()));
  }
  return channel.Explain(status);
}

struct UploadAttempt {
  const wire::BlobHeader& header;
  BlobSource* source;
  const StopSource& stop;
  const TransferOptions& options;
  CoordinatorChannel* channel;
  uint64_t best = 0;  // received by the coordinator, as it said; what we merely wrote may be lost on the way

  absl::Status operator()(bool* moved) {
    CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> connection, channel->Dial());
    const auto stub = wire::v1::Blobs::NewStub(connection);
    CLOISTER_ASSIGN_OR_RETURN(const wire::BlobStat stat, Stat(stub.get()));
    *moved = stat.received_bytes > best;
    best = std::max(best, stat.received_bytes);
    Report(stat.complete ? header.size_bytes : stat.received_bytes);
    if (stat.complete) {
      return absl::OkStatus();
    }
    if (stat.received_bytes > header.size_bytes) {
      return absl::InternalError("the coordinator claims to have more than the whole blob");
    }
    return Send(stub.get(), stat.received_bytes);
  }

  absl::StatusOr<wire::BlobStat> Stat(wire::v1::Blobs::Stub* stub) const {
    TimedCall call(stop, options.stall);
    wire::v1::StatBlobRequest request;
    *request.mutable_header() = wire::Encode(header);
    wire::v1::StatBlobReply reply;
    grpc::Status status;
    const auto reader = stub->AsyncStat(call.context(), request, call.queue());
    reader->Finish(&reply, &status, nullptr);
    call.Await();
    CLOISTER_RETURN_IF_ERROR(Outcome(*channel, call, status));
    return wire::Decode(reply);
  }

  absl::Status Send(wire::v1::Blobs::Stub* stub, uint64_t offset) const {
    TimedCall call(stop, options.stall);
    wire::v1::StatBlobReply reply;
    const auto writer = stub->AsyncPut(call.context(), &reply, call.queue(), nullptr);
    absl::Status local;
    bool open = call.Await();
    wire::v1::BlobChunk chunk;
    *chunk.mutable_header() = wire::Encode(header);
    // A blob that is wholly there but unchecked still needs one (empty) chunk, to carry the header.
    for (bool first = true; open && (first || offset < header.size_bytes); first = false) {
      const uint64_t size = std::min<uint64_t>(wire::kBlobChunkBytes, header.size_bytes - offset);
      local = source->Read(offset, size, chunk.mutable_data());
      if (!local.ok()) {
        call.context()->TryCancel();
        break;
      }
      if (!first) {
        chunk.clear_header();
      }
      chunk.set_offset(offset);
      offset += size;
      writer->Write(chunk, nullptr);
      open = call.Await();
      if (open) {
        Report(offset);
      }
    }
    if (open && local.ok()) {
      writer->WritesDone(nullptr);
      call.Await();
    }
    grpc::Status status;
    writer->Finish(&status, nullptr);
    call.Await();
    CLOISTER_RETURN_IF_ERROR(local);
    CLOISTER_RETURN_IF_ERROR(Outcome(*channel, call, status));
    return reply.complete() ? absl::OkStatus() : absl::UnavailableError("the coordinator has not stored the blob yet");
  }

  void Report(uint64_t done) const {
    if (options.progress) {
      options.progress(done, header.size_bytes);
    }
  }
};

struct DownloadAttempt {
  const Digest& digest;
  const uint64_t most_bytes;
  storage::BlobStore* store;
  const StopSource& stop;
  const TransferOptions& options;
  CoordinatorChannel* channel;
  std::optional<uint64_t> total = {};  // once the coordinator has said so

  std::string TransferId() const { return "get-" + digest.hex().substr(0, 48); }

  absl::Status operator()(bool* moved) {
    if (store->Has(digest)) {
      return absl::OkStatus();
    }
    CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> connection, channel->Dial());
    const auto stub = wire::v1::Blobs::NewStub(connection);
    std::optional<storage::PartialBlob> partial;
    if (total) {
      CLOISTER_ASSIGN_OR_RETURN(partial, store->OpenPartial(TransferId(), digest, *total));
    }
    const bool known = partial.has_value();
    const absl::Status status = Receive(stub.get(), &partial, moved);
    // What an earlier process had received shows only once the size is known: go on from there.
    return !known && partial && absl::IsOutOfRange(status) ? Receive(stub.get(), &partial, moved) : status;
  }

  absl::Status Receive(wire::v1::Blobs::Stub* stub, std::optional<storage::PartialBlob>* partial, bool* moved) {
    TimedCall call(stop, options.stall);
    wire::v1::GetBlobRequest request;
    request.set_digest(std::string(digest.view()));
    request.set_offset(*partial ? (*partial)->received_bytes() : 0);
    const auto reader = stub->AsyncGet(call.context(), request, call.queue(), nullptr);
    bool open = call.Await();
    absl::Status local;
    wire::v1::BlobChunk chunk;
    while (open) {
      reader->Read(&chunk, nullptr);
      open = call.Await();
      if (!open) {
        break;
      }
      local = Take(chunk, partial);
      if (!local.ok()) {
        call.context()->TryCancel();
        break;
      }
      *moved = *moved || !chunk.data().empty();
      if (options.progress) {
        options.progress((*partial)->received_bytes(), *total);
      }
    }
    grpc::Status status;
    reader->Finish(&status, nullptr);
    call.Await();
    CLOISTER_RETURN_IF_ERROR(local);
    CLOISTER_RETURN_IF_ERROR(Outcome(*channel, call, status));
    if (!*partial) {
      return absl::UnavailableError("the coordinator sent nothing");
    }
    if ((*partial)->received_bytes() < *total) {
      return absl::UnavailableError("the coordinator's stream ended early");
    }
    const absl::Status finished = (*partial)->Finish();
    return absl::IsDataLoss(finished)
               ? absl::DataLossError(fmt::format("what {} sends is not blob {}", channel->target(), digest.short_hex()))
               : finished;
  }

  absl::Status Take(const wire::v1::BlobChunk& chunk, std::optional<storage::PartialBlob>* partial) {
    if (!total) {
      if (!chunk.has_header() || chunk.header().size_bytes() == 0) {
        return absl::InvalidArgumentError("the coordinator's first chunk does not say how large the blob is");
      }
      if (chunk.header().size_bytes() > most_bytes) {
        return absl::ResourceExhaustedError(fmt::format("blob {} has {} bytes, at most {} are expected",
                                                        digest.short_hex(), chunk.header().size_bytes(), most_bytes));
      }
      total = chunk.header().size_bytes();
      CLOISTER_ASSIGN_OR_RETURN(*partial, store->OpenPartial(TransferId(), digest, *total));
    }
    if (chunk.data().size() > wire::kBlobChunkBytes) {
      return absl::InvalidArgumentError(
          fmt::format("a chunk of {} bytes, at most {}", chunk.data().size(), wire::kBlobChunkBytes));
    }
    return (*partial)->Append(chunk.offset(), chunk.data());
  }
};

}  // namespace

BlobClient::BlobClient(std::shared_ptr<CoordinatorChannel> channel, TransferOptions options)
    : channel_(std::move(channel)), options_(std::move(options)) {}

absl::Status BlobClient::Upload(const wire::BlobHeader& header, BlobSource* source, const StopSource& stop) const {
  if (source->size_bytes() != header.size_bytes) {
    return absl::InvalidArgumentError(
        fmt::format("the source has {} bytes, its header says {}", source->size_bytes(), header.size_bytes));
  }
  return Persist(options_, stop, UploadAttempt{header, source, stop, options_, channel_.get()});
}

absl::Status BlobClient::Download(const Digest& digest, uint64_t most_bytes, storage::BlobStore* store,
                                  const StopSource& stop) const {
  return Persist(options_, stop, DownloadAttempt{digest, most_bytes, store, stop, options_, channel_.get()});
}

}  // namespace cloister::transport
