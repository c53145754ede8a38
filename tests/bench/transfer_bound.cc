// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/transfer_bound.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "protocols/transport/identity.h"
#include "protocols/transport/server.h"
#include "protocols/wire/cloister.grpc.pb.h"

namespace cloister::bench {
namespace {

constexpr uint64_t kChunk = uint64_t{1} << 20;

class BareBlobs final : public wire::v1::Blobs::Service {
 public:
  explicit BareBlobs(uint64_t bytes) : bytes_(bytes) {}

  grpc::Status Put(grpc::ServerContext*, grpc::ServerReader<wire::v1::BlobChunk>* reader,
                   wire::v1::StatBlobReply*) override {
    wire::v1::BlobChunk chunk;
    while (reader->Read(&chunk)) {
    }
    return grpc::Status::OK;
  }
  grpc::Status Get(grpc::ServerContext*, const wire::v1::GetBlobRequest*,
                   grpc::ServerWriter<wire::v1::BlobChunk>* writer) override {
    wire::v1::BlobChunk chunk;
    chunk.set_data(std::string(kChunk, 'x'));
    for (uint64_t done = 0; done < bytes_ && writer->Write(chunk); done += kChunk) {
    }
    return grpc::Status::OK;
  }

 private:
  const uint64_t bytes_;
};

absl::Status SendAndFetch(const std::shared_ptr<grpc::Channel>& channel, uint64_t bytes) {
  const auto stub = wire::v1::Blobs::NewStub(channel);
  grpc::ClientContext put;
  wire::v1::StatBlobReply reply;
  auto writer = stub->Put(&put, &reply);
  wire::v1::BlobChunk chunk;
  chunk.set_data(std::string(kChunk, 'x'));
  for (uint64_t done = 0; done < bytes && writer->Write(chunk); done += kChunk) {
  }
  writer->WritesDone();
  if (const grpc::Status sent = writer->Finish(); !sent.ok()) return absl::InternalError(sent.error_message());
  grpc::ClientContext get;
  auto reader = stub->Get(&get, wire::v1::GetBlobRequest());
  while (reader->Read(&chunk)) {
  }
  const grpc::Status fetched = reader->Finish();
  return fetched.ok() ? absl::OkStatus() : absl::InternalError(fetched.error_message());
}

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

}  // namespace

absl::StatusOr<TransferCost> MeasureTransfers(const std::filesystem::path& coordinator,
                                              const std::filesystem::path& site, int clients, uint64_t bytes) {
  CLOISTER_ASSIGN_OR_RETURN(const auto server_tls,
                            transport::ServerTls(transport::TlsFilesOf(coordinator), absl::Now()));
  CLOISTER_ASSIGN_OR_RETURN(const auto client_tls, transport::ClientTls(transport::TlsFilesOf(site)));
  BareBlobs service(bytes);
  CLOISTER_ASSIGN_OR_RETURN(const auto server, transport::Server::Start({"127.0.0.1:0", server_tls}, {&service}));
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < clients; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection each
    arguments.SetMaxReceiveMessageSize(2 * kChunk);
    channels.push_back(grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", server->port()), client_tls, arguments));
    channels.back()->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10));
  }
  const double cpu = CpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  std::vector<absl::Status> statuses(channels.size());
  std::vector<std::thread> threads;
  const size_t at_once = std::min<size_t>(channels.size(), 64);
  for (size_t first = 0; first < at_once; ++first) {
    threads.emplace_back([&, first] {
      for (size_t i = first; i < channels.size(); i += at_once) statuses[i] = SendAndFetch(channels[i], bytes);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  for (const absl::Status& status : statuses) CLOISTER_RETURN_IF_ERROR(status);
  return TransferCost{wall.count(), CpuSeconds() - cpu};
}

}  // namespace cloister::bench
