// SPDX-License-Identifier: Apache-2.0
// A client that lies to the blob service, and a coordinator that lies to the blob client.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <optional>

#include "protocols/crypto/hash.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/blob_service.h"
#include "protocols/transport/server.h"
#include "protocols/wire/codec.h"
#include "tests/support/temp_dir.h"

namespace cloister::transport {
namespace {

namespace v1 = wire::v1;
using ::testing::HasSubstr;

class LyingClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_.emplace(*storage::BlobStore::Open(dir_.path()));
    BlobPolicy policy;
    policy.may_put = [](const Peer&, const wire::BlobHeader& header) {
      return header.size_bytes > (32 << 20) ? absl::ResourceExhaustedError("32 MiB at most") : absl::OkStatus();
    };
    policy.may_get = [](const Peer&, const Digest&) { return absl::OkStatus(); };
    service_ = std::make_unique<BlobService>(
        &*store_,
        [this](const grpc::ServerContextBase&) -> absl::StatusOr<Peer> {
          if (!known_) return absl::UnauthenticatedError("who?");
          return Peer{"site-a", crypto::Role::kSite, {}, {}};
        },
        policy);
    server_ = *Server::Start({"127.0.0.1:0", grpc::InsecureServerCredentials()}, {service_.get()});
    stub_ = v1::Blobs::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()), grpc::InsecureChannelCredentials()));
  }

  v1::BlobChunk Chunk(const Bytes& data, uint64_t offset, const std::optional<v1::BlobHeader>& header = {}) {
    v1::BlobChunk chunk;
    if (header) *chunk.mutable_header() = *header;
    chunk.set_offset(offset);
    chunk.set_data(data);
    return chunk;
  }
  v1::BlobHeader Header(const Bytes& content, uint64_t size) {
    return wire::Encode(
        wire::BlobHeader{crypto::Sha256(content), size, wire::BlobPurpose::kMaskedVector, *JobId::Parse("job-1")});
  }

  grpc::Status Put(const std::vector<v1::BlobChunk>& chunks) {
    grpc::ClientContext context;
    v1::StatBlobReply reply;
    const auto writer = stub_->Put(&context, &reply);
    for (const v1::BlobChunk& chunk : chunks) {
      if (!writer->Write(chunk)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }

  cloister::testing::TempDir dir_;
  std::optional<storage::BlobStore> store_;
  bool known_ = true;
  std::unique_ptr<BlobService> service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::Blobs::Stub> stub_;
};

TEST_F(LyingClientTest, AWrongHashIsDataLossAndNothingIsKept) {
  EXPECT_EQ(Put({Chunk("hello", 0, Header("other", 5))}).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_FALSE(store_->Has(crypto::Sha256("other")));
  grpc::ClientContext context;
  v1::StatBlobRequest request;
  *request.mutable_header() = Header("other", 5);
  v1::StatBlobReply reply;
  ASSERT_TRUE(stub_->Stat(&context, request, &reply).ok());
  EXPECT_EQ(reply.received_bytes(), 0u);
  EXPECT_FALSE(reply.complete());
}

TEST_F(LyingClientTest, MoreThanDeclaredIsRefused) {
  EXPECT_EQ(Put({Chunk("hello", 0, Header("hello", 3))}).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_FALSE(store_->Has(crypto::Sha256("hello")));
}

TEST_F(LyingClientTest, LessThanDeclaredIsNotComplete) {
  EXPECT_EQ(Put({Chunk("hello", 0, Header("hello", 9))}).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_FALSE(store_->Has(crypto::Sha256("hello")));
}

TEST_F(LyingClientTest, AnOffsetThatIsNotWhereItStandsIsRefused) {
  EXPECT_EQ(Put({Chunk("lo", 3, Header("hello", 5))}).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Put({Chunk("hel", 0, Header("hello", 5)), Chunk("lo", 2)}).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Put({Chunk("hel", ~uint64_t{0}, Header("hello", 5))}).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  // What arrived properly stays, and the rest may follow.
  EXPECT_TRUE(Put({Chunk("lo", 3, Header("hello", 5))}).ok());
  EXPECT_TRUE(store_->Has(crypto::Sha256("hello")));
}

TEST_F(LyingClientTest, AnOversizeChunkIsRefused) {
  const Bytes large(wire::kBlobChunkBytes + 1, 'x');
  EXPECT_EQ(Put({Chunk(large, 0, Header(large, large.size()))}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(LyingClientTest, AnOversizeBlobIsRefusedBeforeAByteIsStored) {
  EXPECT_EQ(Put({Chunk("x", 0, Header("x", 33 << 20))}).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Put({Chunk("x", 0, Header("x", uint64_t{1} << 60))}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Put({Chunk("", 0, Header("", 0))}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(LyingClientTest, AStreamWithoutHeaderOrWithoutAnythingIsRefused) {
  EXPECT_EQ(Put({Chunk("hello", 0)}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_FALSE(Put({}).ok());
  v1::BlobHeader header = Header("hello", 5);
  header.set_digest("short");
  EXPECT_EQ(Put({Chunk("hello", 0, header)}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(LyingClientTest, AStrangerGetsNothing) {
  ASSERT_TRUE(store_->Put("secret").ok());
  known_ = false;
  EXPECT_EQ(Put({Chunk("hello", 0, Header("hello", 5))}).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  grpc::ClientContext context;
  v1::GetBlobRequest request;
  request.set_digest(std::string(crypto::Sha256("secret").view()));
  v1::BlobChunk chunk;
  const auto reader = stub_->Get(&context, request);
  EXPECT_FALSE(reader->Read(&chunk));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(LyingClientTest, GetChecksItsOffset) {
  ASSERT_TRUE(store_->Put("hello").ok());
  for (const auto& [offset, expected] :
       std::vector<std::pair<uint64_t, grpc::StatusCode>>{{5, grpc::StatusCode::OK},
                                                          {6, grpc::StatusCode::OUT_OF_RANGE},
                                                          {~uint64_t{0}, grpc::StatusCode::OUT_OF_RANGE}}) {
    grpc::ClientContext context;
    v1::GetBlobRequest request;
    request.set_digest(std::string(crypto::Sha256("hello").view()));
    request.set_offset(offset);
    v1::BlobChunk chunk;
    const auto reader = stub_->Get(&context, request);
    while (reader->Read(&chunk)) {
      EXPECT_EQ(chunk.header().size_bytes(), 5u);
      EXPECT_TRUE(chunk.data().empty());
    }
    EXPECT_EQ(reader->Finish().error_code(), expected) << offset;
  }
}

// Sends whatever the test wants.
class LyingService final : public v1::Blobs::Service {
 public:
  grpc::Status Get(grpc::ServerContext*, const v1::GetBlobRequest* request,
                   grpc::ServerWriter<v1::BlobChunk>* writer) override {
    ++gets_;
    for (v1::BlobChunk chunk : chunks_) {
      if (chunk.offset() >= request->offset() && !writer->Write(chunk)) break;
    }
    return grpc::Status::OK;
  }
  grpc::Status Stat(grpc::ServerContext*, const v1::StatBlobRequest*, v1::StatBlobReply* reply) override {
    *reply = stat_;
    return grpc::Status::OK;
  }
  grpc::Status Put(grpc::ServerContext*, grpc::ServerReader<v1::BlobChunk>* reader, v1::StatBlobReply*) override {
    v1::BlobChunk chunk;
    while (reader->Read(&chunk)) {
    }
    return put_;
  }

  std::vector<v1::BlobChunk> chunks_;
  v1::StatBlobReply stat_;
  grpc::Status put_;
  int gets_ = 0;
};

class LyingCoordinatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = *Server::Start({"127.0.0.1:0", grpc::InsecureServerCredentials()}, {&service_});
    store_.emplace(*storage::BlobStore::Open(dir_.path()));
    TransferOptions options;
    options.backoff = {absl::Milliseconds(1), absl::Milliseconds(5)};
    options.give_up_after = absl::Milliseconds(300);
    client_.emplace(CoordinatorChannel::Insecure(grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                                                     grpc::InsecureChannelCredentials())),
                    options);
  }

  void Add(const Bytes& data, uint64_t offset, uint64_t size = 0) {
    v1::BlobChunk chunk;
    if (size > 0) chunk.mutable_header()->set_size_bytes(size);
    chunk.set_offset(offset);
    chunk.set_data(data);
    service_.chunks_.push_back(chunk);
  }
  absl::Status Download(const Bytes& content, uint64_t most_bytes = 1000) {
    const absl::Status status = client_->Download(crypto::Sha256(content), most_bytes, &*store_, stop_);
    EXPECT_EQ(status.ok(), store_->Has(crypto::Sha256(content)));
    return status;
  }

  cloister::testing::TempDir dir_;
  LyingService service_;
  std::unique_ptr<Server> server_;
  std::optional<storage::BlobStore> store_;
  std::optional<BlobClient> client_;
  StopSource stop_;
};

TEST_F(LyingCoordinatorTest, AnotherContentIsDataLoss) {
  Add("jello", 0, 5);
  EXPECT_TRUE(absl::IsDataLoss(Download("hello")));
}

TEST_F(LyingCoordinatorTest, MoreThanExpectedIsRefusedBeforeItIsStored) {
  Add("hello", 0, uint64_t{1} << 40);
  EXPECT_TRUE(absl::IsResourceExhausted(Download("hello")));
  EXPECT_EQ(service_.gets_, 1);
}

TEST_F(LyingCoordinatorTest, ASizeLieEndsWithoutABlob) {
  Add("hello", 0, 4);
  EXPECT_FALSE(Download("hello").ok());
  service_.chunks_.clear();
  Add("hello", 0, 9);
  EXPECT_FALSE(Download("hello").ok());
}

TEST_F(LyingCoordinatorTest, AnOffsetLieEndsWithoutABlob) {
  Add("hello", 700, 5);
  EXPECT_FALSE(Download("hello").ok());
}

TEST_F(LyingCoordinatorTest, NoHeaderIsInvalid) {
  Add("hello", 0);
  EXPECT_TRUE(absl::IsInvalidArgument(Download("hello")));
}

TEST_F(LyingCoordinatorTest, AnEmptyStreamIsNotABlob) {
  EXPECT_TRUE(absl::IsUnavailable(Download("hello")));
}

TEST_F(LyingCoordinatorTest, AnUploadIsNotDoneBeforeTheCoordinatorSaysSo) {
  const auto source = MemorySource("hello");
  const wire::BlobHeader header{crypto::Sha256("hello"), 5, wire::BlobPurpose::kInitialModel, {}};
  EXPECT_FALSE(client_->Upload(header, source.get(), stop_).ok());  // its reply does not say complete
  service_.stat_.set_received_bytes(1'000'000);
  EXPECT_FALSE(client_->Upload(header, source.get(), stop_).ok());
  service_.stat_.set_complete(true);
  EXPECT_TRUE(client_->Upload(header, source.get(), stop_).ok());
}

TEST_F(LyingCoordinatorTest, ACoordinatorThatAlwaysDisagreesAboutTheOffsetIsGivenUp) {
  service_.put_ = grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "elsewhere");
  const auto source = MemorySource("hello");
  const wire::BlobHeader header{crypto::Sha256("hello"), 5, wire::BlobPurpose::kInitialModel, {}};
  EXPECT_TRUE(absl::IsInternal(client_->Upload(header, source.get(), stop_)));
}

}  // namespace
}  // namespace cloister::transport
