// SPDX-License-Identifier: Apache-2.0
// Uploads and downloads over a good network, a bad one, and across restarts of the server.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <thread>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/blob_service.h"
#include "protocols/transport/server.h"
#include "protocols/wire/limits.h"
#include "tests/protocols/transport/cutting_proxy.h"
#include "tests/support/temp_dir.h"

namespace cloister::transport {
namespace {

using ::testing::HasSubstr;

Bytes MakeBytes(size_t size, uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  Bytes bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(random());
  }
  return bytes;
}

wire::BlobHeader HeaderOf(const Bytes& bytes) {
  return {crypto::Sha256(bytes), bytes.size(), wire::BlobPurpose::kMaskedVector, *JobId::Parse("job-1")};
}

class BlobTest : public ::testing::Test {
 protected:
  void SetUp() override { StartServer("127.0.0.1:0"); }

  void StartServer(const std::string& listen) {
    auto store = storage::BlobStore::Open(dir_.path() / "server");
    ASSERT_TRUE(store.ok()) << store.status();
    store_.emplace(*std::move(store));
    BlobPolicy policy;
    policy.may_put = [this](const Peer&, const wire::BlobHeader&) { return may_put_; };
    policy.may_get = [this](const Peer&, const Digest&) { return may_get_; };
    policy.stored = [this](const Peer& peer, const wire::BlobHeader& header) {
      ++stored_;
      EXPECT_EQ(peer.id, "site-a");
      EXPECT_EQ(header.job.value(), "job-1");
    };
    const IdentifyPeer identify = [](const grpc::ServerContextBase&) {
      return Peer{"site-a", crypto::Role::kSite, {}, {}};
    };
    service_ = std::make_unique<BlobService>(&*store_, identify, policy);
    auto server = Server::Start({listen, grpc::InsecureServerCredentials()}, {service_.get()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void RestartServer() {
    const std::string listen = "127.0.0.1:" + std::to_string(server_->port());
    server_->Stop(absl::ZeroDuration());
    server_.reset();
    service_.reset();
    StartServer(listen);
  }

  BlobClient Client(TransferOptions options = {}) { return ClientOf(server_->port(), std::move(options)); }
  static BlobClient ClientOf(int port, TransferOptions options = {}) {
    options.backoff.first = absl::Milliseconds(2);
    options.backoff.most = absl::Milliseconds(20);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 2);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 20);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return BlobClient(CoordinatorChannel::Insecure(grpc::CreateCustomChannel(
                          "127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments)),
                      std::move(options));
  }

  absl::Status Upload(const BlobClient& client, const Bytes& bytes) {
    const auto source = MemorySource(bytes);
    return client.Upload(HeaderOf(bytes), source.get(), stop_);
  }

  cloister::testing::TempDir dir_;
  std::optional<storage::BlobStore> store_;
  absl::Status may_put_, may_get_;
  int stored_ = 0;
  std::unique_ptr<BlobService> service_;
  std::unique_ptr<Server> server_;
  StopSource stop_;
};

// A sparse file of more than 4 GiB in the place of a blob, read from an offset past 32 bits on.
TEST_F(BlobTest, ABlobIsReadFromBeyond4GiBOn) {
  constexpr uint64_t kSize = (uint64_t{1} << 32) + 7;
  const Digest digest = crypto::Sha256("a large one");
  const std::filesystem::path path = store_->Path(digest);
  ASSERT_TRUE(MakeDirectories(path.parent_path()).ok());
  ASSERT_TRUE(WriteFileAtomically(path, "the start").ok());
  std::filesystem::resize_file(path, kSize - 7);
  std::ofstream(path, std::ios::binary | std::ios::app) << "the end";
  const auto stub = wire::v1::Blobs::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()), grpc::InsecureChannelCredentials()));
  for (const uint64_t from : {kSize - 9, kSize - 7, kSize - 3}) {
    grpc::ClientContext context;
    wire::v1::GetBlobRequest request;
    request.set_digest(std::string(digest.view()));
    request.set_offset(from);
    const auto stream = stub->Get(&context, request);
    wire::v1::BlobChunk chunk;
    ASSERT_TRUE(stream->Read(&chunk));
    EXPECT_EQ(chunk.header().size_bytes(), kSize);
    EXPECT_EQ(chunk.offset(), from);
    EXPECT_EQ(chunk.data(), Bytes("\0\0the end", 9).substr(from - (kSize - 9)));
    EXPECT_FALSE(stream->Read(&chunk));
    EXPECT_TRUE(stream->Finish().ok());
  }
}

TEST_F(BlobTest, EverySizeAroundAChunkArrives) {
  const BlobClient client = Client();
  auto local = storage::BlobStore::Open(dir_.path() / "client");
  const size_t chunk = wire::kBlobChunkBytes;
  for (const size_t size : {size_t{1}, chunk - 1, chunk, chunk + 1, 3 * chunk, 5 * chunk + 77}) {
    const Bytes bytes = MakeBytes(size);
    const Digest digest = crypto::Sha256(bytes);
    ASSERT_TRUE(Upload(client, bytes).ok()) << size;
    EXPECT_EQ(*store_->Read(digest), bytes);
    const absl::Status downloaded = client.Download(digest, size, &*local, stop_);
    ASSERT_TRUE(downloaded.ok()) << size << ": " << downloaded;
    EXPECT_EQ(*local->Read(digest), bytes);
  }
  EXPECT_EQ(stored_, 6);
}

TEST_F(BlobTest, ABlobThatIsThereCostsNoTransfer) {
  const Bytes bytes = MakeBytes(5 << 20);
  ASSERT_TRUE(store_->Put(bytes).ok());
  TransferOptions options;
  std::vector<uint64_t> steps;
  options.progress = [&](uint64_t done, uint64_t) { steps.push_back(done); };
  ASSERT_TRUE(Upload(Client(options), bytes).ok());
  EXPECT_EQ(steps, std::vector<uint64_t>{bytes.size()});
  EXPECT_EQ(stored_, 0);
  EXPECT_TRUE(Client().Download(crypto::Sha256(bytes), bytes.size(), &*store_, stop_).ok());
}

TEST_F(BlobTest, UploadsAFile) {
  const Bytes bytes = MakeBytes(3'000'000);
  ASSERT_TRUE(WriteFileAtomically(dir_.path() / "vector", bytes).ok());
  const auto source = OpenFileSource(dir_.path() / "vector");
  ASSERT_TRUE(source.ok()) << source.status();
  ASSERT_TRUE(Client().Upload(HeaderOf(bytes), source->get(), stop_).ok());
  EXPECT_TRUE(store_->Verify(crypto::Sha256(bytes)).ok());
  EXPECT_TRUE(absl::IsNotFound(OpenFileSource(dir_.path() / "missing").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(OpenFileSource(dir_.path()).status()));
}

TEST_F(BlobTest, AnUploadSurvivesCutsAtRandomBytes) {
  std::mt19937_64 random(11);
  const Bytes bytes = MakeBytes(12 << 20);
  {
    // Each connection carries between nothing and 4 MiB.
    cloister::testing::CuttingProxy proxy(server_->port(), [&] { return random() % (4 << 20); });
    const absl::Status status = Upload(ClientOf(proxy.port()), bytes);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_GT(proxy.cuts(), 1);
  }
  EXPECT_EQ(*store_->Read(crypto::Sha256(bytes)), bytes);
  EXPECT_EQ(stored_, 1);
}

TEST_F(BlobTest, ADownloadSurvivesCutsAtRandomBytesAndGoesOnWhereItStood) {
  std::mt19937_64 random(12);
  const Bytes bytes = MakeBytes(12 << 20);
  const Digest digest = *store_->Put(bytes);
  auto local = storage::BlobStore::Open(dir_.path() / "client");
  TransferOptions options;
  uint64_t last = 0;
  options.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_EQ(total, bytes.size());
    last = done;
  };
  {
    cloister::testing::CuttingProxy proxy(server_->port(), [&] { return random() % (4 << 20); });
    const absl::Status status = ClientOf(proxy.port(), options).Download(digest, bytes.size(), &*local, stop_);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_GT(proxy.cuts(), 1);
  }
  EXPECT_EQ(*local->Read(digest), bytes);
}

TEST_F(BlobTest, AnUploadGoesOnAfterTheServersRestart) {
  const Bytes bytes = MakeBytes(10 << 20);
  std::vector<uint64_t> steps;
  TransferOptions options;
  options.progress = [&](uint64_t done, uint64_t) {
    steps.push_back(done);
    if (steps.size() == 6) {
      RestartServer();
    }
  };
  const absl::Status status = Upload(Client(options), bytes);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(*store_->Read(crypto::Sha256(bytes)), bytes);
  // It did not begin again at 0: the first report after the restart is what the server had kept.
  EXPECT_GT(steps[6], 0u);
}

TEST_F(BlobTest, ADownloadGoesOnInALaterProcess) {
  const Bytes bytes = MakeBytes(10 << 20);
  const Digest digest = *store_->Put(bytes);
  auto local = storage::BlobStore::Open(dir_.path() / "client");
  {
    TransferOptions options;
    StopSource stop;
    options.progress = [&](uint64_t done, uint64_t) {
      if (done >= (4 << 20)) {
        stop.Stop();
      }
    };
    EXPECT_TRUE(absl::IsCancelled(Client(options).Download(digest, bytes.size(), &*local, stop)));
  }
  TransferOptions options;
  std::vector<uint64_t> steps;
  options.progress = [&](uint64_t done, uint64_t) { steps.push_back(done); };
  ASSERT_TRUE(Client(options).Download(digest, bytes.size(), &*local, stop_).ok());
  EXPECT_GT(steps.front(), uint64_t{4} << 20);
  EXPECT_EQ(*local->Read(digest), bytes);
}

TEST_F(BlobTest, TwoUploadsOfTheSameBlobBothEndWell) {
  const Bytes bytes = MakeBytes(8 << 20);
  absl::Status other;
  std::thread thread([&] { other = Upload(Client(), bytes); });
  const absl::Status status = Upload(Client(), bytes);
  thread.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(other.ok()) << other;
  EXPECT_EQ(*store_->Read(crypto::Sha256(bytes)), bytes);
}

TEST_F(BlobTest, PolicyDecidesAndIsNotAskedAgain) {
  const Bytes bytes = MakeBytes(100);
  may_put_ = absl::PermissionDeniedError("round 3 is not in its masking phase");
  const absl::Status status = Upload(Client(), bytes);
  EXPECT_TRUE(absl::IsPermissionDenied(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("masking phase"));
  EXPECT_FALSE(store_->Has(crypto::Sha256(bytes)));

  const Digest digest = *store_->Put(bytes);
  auto local = storage::BlobStore::Open(dir_.path() / "client");
  may_get_ = absl::PermissionDeniedError("not yours");
  EXPECT_TRUE(absl::IsPermissionDenied(Client().Download(digest, 100, &*local, stop_)));
}

TEST_F(BlobTest, WhatIsNotThereIsNotFound) {
  auto local = storage::BlobStore::Open(dir_.path() / "client");
  EXPECT_TRUE(absl::IsNotFound(Client().Download(crypto::Sha256("nothing"), 100, &*local, stop_)));
}

TEST_F(BlobTest, ASourceThatIsNotWhatItSaysEndsInDataLoss) {
  const Bytes bytes = MakeBytes(2'000'000);
  const auto source = MemorySource(MakeBytes(2'000'000, 99));
  EXPECT_TRUE(absl::IsDataLoss(Client().Upload(HeaderOf(bytes), source.get(), stop_)));
  EXPECT_FALSE(store_->Has(crypto::Sha256(bytes)));
  const auto shorter = MemorySource("short");
  EXPECT_TRUE(absl::IsInvalidArgument(Client().Upload(HeaderOf(bytes), shorter.get(), stop_)));
}

TEST_F(BlobTest, GivesUpWithoutProgressAndStopsWhenAsked) {
  const int port = server_->port();
  server_->Stop(absl::ZeroDuration());
  TransferOptions options;
  options.give_up_after = absl::Milliseconds(50);
  const absl::Status status = Upload(ClientOf(port, options), MakeBytes(10));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no progress"));

  std::thread stopper([this] { stop_.Stop(); });
  EXPECT_TRUE(absl::IsCancelled(Upload(ClientOf(port), MakeBytes(10))));
  stopper.join();
}

}  // namespace
}  // namespace cloister::transport
