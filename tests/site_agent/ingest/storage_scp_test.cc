// SPDX-License-Identifier: Apache-2.0
// The Storage SCP alone: strangers, garbage, limits, refusals, stopping.

#include "site_agent/ingest/storage_scp.h"

#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "site_agent/ingest/pacs_client.h"
#include "tests/support/make_dicom.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using testing::GreyFile;
using ::testing::HasSubstr;
using testing::MakeDicom;
using ::testing::SizeIs;

class StorageScpTest : public ::testing::Test {
 protected:
  void Start(StorageScpConfig config = {}, ReceiveCallback callback = nullptr) {
    config.ae_title = "INBOX";
    config.inbox = folder_.path() / "inbox";
    auto scp = StorageScp::Start(config, std::move(callback));
    ASSERT_TRUE(scp.ok()) << scp.status();
    scp_ = *std::move(scp);
  }
  PacsClient Peer(const std::string& called = "INBOX", const std::string& calling = "PACS") {
    PacsConfig config;
    config.host = "127.0.0.1";
    config.port = scp_->port();
    config.called_ae_title = called;
    config.calling_ae_title = calling;
    config.response_timeout = absl::Seconds(10);
    return *PacsClient::Create(config);
  }
  std::filesystem::path Film(const std::string& sop_instance_uid = "2.25.100.1.1", int rows = 8) {
    GreyFile grey;
    grey.sop_instance_uid = sop_instance_uid;
    grey.rows = rows;
    grey.columns = 64;
    const auto path = folder_.path() / (sop_instance_uid + ".film");
    EXPECT_TRUE(MakeDicom(grey, path));
    return path;
  }
  // A connection of our own that speaks whatever it likes.
  int Connect() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(scp_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  void SendRaw(const std::string& bytes) {
    const int fd = Connect();
    (void)!send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    close(fd);
  }
  testing::TempDir folder_;
  std::unique_ptr<StorageScp> scp_;
};

TEST_F(StorageScpTest, StoresAndEchoes) {
  std::atomic<int> calls{0};
  Start({}, [&](const ReceivedInstance& instance) {
    EXPECT_TRUE(std::filesystem::exists(instance.path));
    EXPECT_EQ(instance.header.study_instance_uid, "2.25.100");
    EXPECT_EQ(instance.calling_ae_title, "PACS");
    ++calls;
    return absl::OkStatus();
  });
  EXPECT_TRUE(Peer().Echo().ok());
  const auto stored = Peer().StoreFiles({Film("2.25.100.1.1"), Film("2.25.100.1.2")});
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->stored, 2);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(scp_->counters().stored, 2u);
  EXPECT_TRUE(std::filesystem::exists(scp_->StudyFolder("2.25.100") / "2.25.100.1.2.dcm"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "inbox" / ".incoming"));
}

TEST_F(StorageScpTest, TheSameInstanceTwiceIsOneFile) {
  Start();
  for (int i = 0; i < 2; ++i) {
    const auto stored = Peer().StoreFiles({Film()});
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(stored->stored, 1);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scp_->StudyFolder("2.25.100")), {}), 1);
}

TEST_F(StorageScpTest, WrongAeTitlesAreRefusedWithTheReason) {
  StorageScpConfig config;
  config.allowed_calling_ae_titles = {"PACS"};
  Start(config);
  EXPECT_TRUE(Peer().Echo().ok());
  const absl::Status wrong = Peer("OTHER").Echo();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("not its AE title"));
  const absl::Status stranger = Peer("INBOX", "STRANGER").Echo();
  EXPECT_EQ(stranger.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(stranger.message()), HasSubstr("'STRANGER'"));
  EXPECT_EQ(scp_->counters().refused_associations, 2u);
}

TEST_F(StorageScpTest, ARefusalByItsOwnerReachesThePeerAndRemovesTheFile) {
  Start({}, [](const ReceivedInstance&) { return absl::ResourceExhaustedError("full"); });
  const auto stored = Peer().StoreFiles({Film()});
  ASSERT_TRUE(stored.ok()) << stored.status();
  ASSERT_THAT(stored->failures, SizeIs(1));
  EXPECT_THAT(stored->failures[0].message, HasSubstr("0xa700"));
  EXPECT_FALSE(std::filesystem::exists(scp_->StudyFolder("2.25.100") / "2.25.100.1.1.dcm"));
}

TEST_F(StorageScpTest, TooLargeAnInstanceIsCutOff) {
  StorageScpConfig config;
  config.max_instance_bytes = 100'000;
  Start(config);
  const auto stored = Peer().StoreFiles({Film("2.25.100.1.1", 5000)});
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_THAT(stored->failures, SizeIs(1));
  EXPECT_EQ(scp_->counters().stored, 0u);
  EXPECT_TRUE(Peer().Echo().ok());
  scp_->Stop();  // the peer knows of the cut before the server has cleaned up
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "inbox" / ".incoming"));
}

TEST_F(StorageScpTest, GarbageAndHugeLengthsDoNotHurt) {
  Start();
  SendRaw("GET / HTTP/1.1\r\n\r\n");
  SendRaw(std::string("\x01\x00\xff\xff\xff\xff", 6));                            // A-ASSOCIATE-RQ of 4 GiB
  SendRaw(std::string("\x01\x00\x00\x00\x00\x44", 6) + std::string(20, '\0'));    // cut off
  SendRaw(std::string("\x04\x00\x00\x00\x00\x10", 6) + std::string(16, '\x7f'));  // data before association
  SendRaw(std::string("\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00", 10));           // abort
  SendRaw("");
  std::mt19937 random(7);
  for (int i = 0; i < 50; ++i) {
    std::string bytes(random() % 400, '\0');
    for (char& c : bytes) {
      c = static_cast<char>(random());
    }
    if (i % 2 == 0 && bytes.size() > 6) {  // half of them begin like an association request of that size
      bytes.replace(0, 6,
                    std::string("\x01\x00\x00\x00", 4) + static_cast<char>((bytes.size() - 6) >> 8) +
                        static_cast<char>(bytes.size() - 6));
    }
    SendRaw(bytes);
  }
  EXPECT_TRUE(Peer().Echo().ok());
  EXPECT_EQ(Peer().StoreFiles({Film()})->stored, 1);
}

TEST_F(StorageScpTest, SilentPeersDoNotBlockTheOthers) {
  Start();
  std::vector<int> silent;
  for (int i = 0; i < 6; ++i) {
    silent.push_back(Connect());
  }
  EXPECT_TRUE(Peer().Echo().ok());  // gives up after ten seconds of silence; the silent ones are heard out for longer
  for (const int fd : silent) {
    close(fd);
  }
}

TEST_F(StorageScpTest, StopCutsASilentPeerWithinSeconds) {
  Start();
  const int fd = Connect();
  EXPECT_TRUE(Peer().Echo().ok());
  const absl::Time start = absl::Now();
  scp_->Stop();
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));  // two of grace, the rest for a busy machine; it would be 30
  EXPECT_EQ(Peer().Echo().code(), absl::StatusCode::kUnavailable);
  close(fd);
}

TEST_F(StorageScpTest, ManyPeersAtOnce) {
  StorageScpConfig config;
  config.max_associations = 4;
  Start(config);
  std::vector<std::filesystem::path> films;
  for (int i = 1; i <= 20; ++i) {
    films.push_back(Film("2.25.100.1." + std::to_string(i)));
  }
  std::vector<std::future<int>> peers;
  for (int p = 0; p < 4; ++p) {
    peers.push_back(std::async(std::launch::async, [&, p] {
      const auto stored = Peer("INBOX", "PACS" + std::to_string(p)).StoreFiles(films);
      return stored.ok() ? stored->stored : -1;
    }));
  }
  for (auto& peer : peers) {
    EXPECT_EQ(peer.get(), 20);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scp_->StudyFolder("2.25.100")), {}), 20);
}

TEST_F(StorageScpTest, APortInUseSaysSo) {
  Start();
  StorageScpConfig config;
  config.ae_title = "SECOND";
  config.inbox = folder_.path() / "second";
  config.port = scp_->port();
  const auto second = StorageScp::Start(config, nullptr);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
  config.ae_title = "SEVENTEEN_LETTERS";
  EXPECT_EQ(StorageScp::Start(config, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StorageScpTest, HalvesOfAnEarlierRunAreRemoved) {
  std::filesystem::create_directories(folder_.path() / "inbox" / ".incoming");
  std::filesystem::copy_file(Film(), folder_.path() / "inbox" / ".incoming" / "0.part");
  Start();
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "inbox" / ".incoming"));
}

}  // namespace
}  // namespace cloister::site
