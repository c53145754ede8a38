// SPDX-License-Identifier: Apache-2.0
// Mutual TLS over loopback: who gets in, who does not, and what they are told.
#include "protocols/transport/channel.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "protocols/base/descriptor.h"
#include "protocols/transport/grpc_status.h"
#include "protocols/transport/late_answer.h"
#include "protocols/transport/server.h"
#include "protocols/wire/codec.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"

namespace cloister::transport {
namespace {

namespace v1 = wire::v1;
using crypto::Role;
using ::testing::HasSubstr;
using ::testing::Not;

TlsFiles Files(const cloister::testing::PartyFiles& files) {
  return {files.ca, files.certificate, files.key};
}

// Answers with the caller's certificate in the version, so that a test sees who it was.
class WhoService final : public v1::Federation::CallbackService {
 public:
  grpc::ServerUnaryReactor* PullWork(grpc::CallbackServerContext* context, const v1::PullWorkRequest*,
                                     v1::PullWorkReply* reply) override {
    const auto peer = identify_(*context);
    if (!peer.ok()) {
      return LateAnswer::Now(context, peer.status());
    }
    reply->add_items()->mutable_closed()->set_reason(peer->id);
    return LateAnswer::Now(context, RequireRole(*peer, Role::kSite));
  }

  absl::Time now_ = absl::Now();

 private:
  IdentifyPeer identify_ = IdentifyByCertificate([this] { return now_; });
};

class ChannelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("grpc_proxy");
  }

  void Serve(const TlsFiles& files) {
    auto credentials = ServerTls(files, absl::Now(), absl::Seconds(1));
    ASSERT_TRUE(credentials.ok()) << credentials.status();
    auto server = Server::Start({"127.0.0.1:0", *credentials}, {&service_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void ServeUsual() { Serve(Files(pki_.Issue("hub", Role::kCoordinator))); }

  ChannelOptions Options(const TlsFiles& files, Role role = Role::kSite) const {
    ChannelOptions options;
    options.target = "127.0.0.1:" + std::to_string(server_ ? server_->port() : 1);
    options.tls = files;
    options.role = role;
    options.renew_command = "cloister-site enroll --renew";
    return options;
  }

  // The caller's id as the server saw it, or the explained error.
  absl::StatusOr<std::string> Who(const ChannelOptions& options) {
    CLOISTER_ASSIGN_OR_RETURN(const auto channel, CoordinatorChannel::Create(options, &clock_));
    return Who(channel.get());
  }
  static absl::StatusOr<std::string> Who(CoordinatorChannel* channel) {
    CLOISTER_ASSIGN_OR_RETURN(const auto connection, channel->Dial());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::PullWorkReply reply;
    CLOISTER_RETURN_IF_ERROR(
        channel->Explain(v1::Federation::NewStub(connection)->PullWork(&context, v1::PullWorkRequest(), &reply)));
    return reply.items(0).closed().reason();
  }

  cloister::testing::TempDir dir_;
  cloister::testing::TestPki pki_{dir_.path() / "pki"};
  cloister::testing::TestPki foreign_{dir_.path() / "foreign", "another-consortium"};
  SystemClock clock_;
  WhoService service_;
  std::unique_ptr<Server> server_;
};

TEST_F(ChannelTest, TheServerKnowsWhoCalls) {
  ServeUsual();
  const auto who = Who(Options(Files(pki_.Issue("site-a", Role::kSite))));
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(*who, "site-a");
}

TEST_F(ChannelTest, ARoleIsNotAnother) {
  ServeUsual();
  const auto who = Who(Options(Files(pki_.Issue("olga", Role::kOperator)), Role::kOperator));
  EXPECT_EQ(who.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("olga has the role operator"));
}

TEST_F(ChannelTest, NobodyComesInWithoutACertificate) {
  ServeUsual();
  const std::string target = "127.0.0.1:" + std::to_string(server_->port());
  grpc::SslCredentialsOptions no_certificate;
  no_certificate.pem_root_certs = *ReadFile(pki_.CaFile());
  for (const auto& credentials : {grpc::SslCredentials(no_certificate), grpc::InsecureChannelCredentials()}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    v1::PullWorkReply reply;
    const auto stub = v1::Federation::NewStub(grpc::CreateChannel(target, credentials));
    EXPECT_FALSE(stub->PullWork(&context, v1::PullWorkRequest(), &reply).ok());
  }
}

TEST_F(ChannelTest, ACertificateOfAnotherConsortiumIsRefused) {
  ServeUsual();
  // Their certificate with our CA file: noticed here, before dialling.
  TlsFiles mixed = Files(foreign_.Issue("site-x", Role::kSite));
  mixed.ca = pki_.CaFile();
  auto who = Who(Options(mixed));
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnauthenticated) << who.status();
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("cloister-site enroll --renew"));

  // All of it theirs: the server's certificate does not verify.
  who = Who(Options(Files(foreign_.Issue("site-x", Role::kSite))));
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnauthenticated) << who.status();
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("our consortium"));

  // A server would have to refuse a client that does not check: gRPC with both CAs.
  grpc::SslCredentialsOptions careless;
  careless.pem_root_certs = *ReadFile(pki_.CaFile());
  careless.pem_cert_chain = *ReadFile(mixed.certificate);
  careless.pem_private_key = *ReadFile(mixed.key);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  v1::PullWorkReply reply;
  const auto stub = v1::Federation::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()), grpc::SslCredentials(careless)));
  EXPECT_FALSE(stub->PullWork(&context, v1::PullWorkRequest(), &reply).ok());
}

TEST_F(ChannelTest, AnExpiredCertificateSaysWhenAndWhatToDoAndARenewedOneIsTakenUp) {
  ServeUsual();
  const TlsFiles files = Files(pki_.Issue("site-a", Role::kSite, -absl::Hours(24 * 20)));
  const auto channel = CoordinatorChannel::Create(Options(files), &clock_);
  ASSERT_TRUE(channel.ok()) << channel.status();
  const auto who = Who(channel->get());
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("expired"));
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("cloister-site enroll --renew"));

  pki_.Issue("site-a", Role::kSite);
  const auto again = Who(channel->get());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, "site-a");
}

TEST_F(ChannelTest, ACertificateThatExpiresDuringAConnectionIsNoLongerGood) {
  ServeUsual();
  const auto channel = CoordinatorChannel::Create(Options(Files(pki_.Issue("site-a", Role::kSite))), &clock_);
  ASSERT_TRUE(Who(channel->get()).ok());
  service_.now_ = absl::Now() + absl::Hours(24 * 11);
  const auto who = Who(channel->get());
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("site-a expired on"));
}

TEST_F(ChannelTest, ACertificateInTheWrongPlaceIsNamed) {
  ServeUsual();
  TlsFiles files = Files(pki_.Issue("site-a", Role::kSite));
  EXPECT_EQ(Who(Options(files, Role::kOperator)).status().code(), absl::StatusCode::kUnauthenticated);

  TlsFiles other_key = files;
  other_key.key = pki_.Issue("site-b", Role::kSite).key;
  EXPECT_THAT(std::string(Who(Options(other_key)).status().message()), HasSubstr("is not the key of"));

  TlsFiles missing = files;
  missing.certificate = dir_.path() / "nowhere.crt";
  EXPECT_EQ(Who(Options(missing)).status().code(), absl::StatusCode::kNotFound);

  TlsFiles garbage = files;
  ASSERT_TRUE(WriteFileAtomically(dir_.path() / "garbage.crt", "-----BEGIN").ok());
  garbage.certificate = dir_.path() / "garbage.crt";
  EXPECT_THAT(std::string(Who(Options(garbage)).status().message()), HasSubstr("garbage.crt"));
}

TEST_F(ChannelTest, ACoordinatorUnderAnotherNameIsRefused) {
  ServeUsual();
  ChannelOptions options = Options(Files(pki_.Issue("site-a", Role::kSite)));
  options.target = "127.0.0.2:" + std::to_string(server_->port());
  server_->Stop(absl::ZeroDuration());
  auto credentials = ServerTls(Files(pki_.Issue("hub", Role::kCoordinator)), absl::Now());
  auto server = Server::Start({"127.0.0.2:0", *credentials}, {&service_});
  ASSERT_TRUE(server.ok());
  options.target = "127.0.0.2:" + std::to_string((*server)->port());
  const auto who = Who(options);
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnauthenticated) << who.status();
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("--host"));
}

TEST_F(ChannelTest, AnotherSiteCannotPoseAsTheCoordinator) {
  const auto credentials = ServerTls(Files(pki_.Issue("site-b", Role::kSite)), absl::Now());
  EXPECT_EQ(credentials.status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(ChannelTest, SaysThatNobodyListens) {
  const auto who = Who(Options(Files(pki_.Issue("site-a", Role::kSite))));
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("cannot reach the coordinator at 127.0.0.1:1"));
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("connection refused"));
}

TEST_F(ChannelTest, SaysThatANameDoesNotResolve) {
  ChannelOptions options = Options(Files(pki_.Issue("site-a", Role::kSite)));
  options.target = "no-such-host.invalid:8443";
  const auto who = Who(options);
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(who.status().message()), HasSubstr("does not resolve"));
}

TEST_F(ChannelTest, SaysThatTheOtherEndDoesNotSpeakTls) {
  auto plain = Server::Start({"127.0.0.1:0", grpc::InsecureServerCredentials()}, {&service_});
  ChannelOptions options = Options(Files(pki_.Issue("site-a", Role::kSite)));
  options.target = "127.0.0.1:" + std::to_string((*plain)->port());
  const auto who = Who(options);
  EXPECT_EQ(who.status().code(), absl::StatusCode::kUnavailable) << who.status();
  EXPECT_THAT(std::string(who.status().message()), HasSubstr(options.target));
}

TEST_F(ChannelTest, APortInUseIsNamed) {
  ServeUsual();
  const std::string listen = "127.0.0.1:" + std::to_string(server_->port());
  const auto second = Server::Start({listen, grpc::InsecureServerCredentials()}, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(listen));
}

TEST_F(ChannelTest, AServersRenewedCertificateNeedsNoRestart) {
  const auto files = pki_.Issue("hub", Role::kCoordinator);
  Serve(Files(files));
  pki_.Issue("hub", Role::kCoordinator);
  const Bytes renewed = *ReadFile(files.certificate);
  const TlsFiles site = Files(pki_.Issue("site-a", Role::kSite));
  std::string shown;
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  while (shown != renewed && absl::Now() < give_up) {
    const auto channel = CoordinatorChannel::Create(Options(site), &clock_);
    grpc::ClientContext context;
    v1::PullWorkReply reply;
    const grpc::Status status =
        v1::Federation::NewStub(*(*channel)->Dial())->PullWork(&context, v1::PullWorkRequest(), &reply);
    ASSERT_TRUE(status.ok()) << status.error_message();  // at no moment is anybody turned away
    const auto pem = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    ASSERT_EQ(pem.size(), 1u);
    shown = std::string(pem[0].data(), pem[0].size());
  }
  EXPECT_EQ(shown, renewed);
}

TEST(CheckTargetTest, TakesHostAndPort) {
  for (const char* good : {"a:1", "coordinator.example.org:8443", "[::1]:65535", "127.0.0.1:80"}) {
    EXPECT_TRUE(CheckTarget(good).ok()) << good;
  }
  for (const char* bad :
       {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "https://a:1", "::1:80", "a b:1", "[]:1"}) {
    EXPECT_FALSE(CheckTarget(bad).ok()) << bad;
  }
}

// A CONNECT proxy that serves one client.
TEST_F(ChannelTest, GoesThroughAConnectProxy) {
  ServeUsual();
  Descriptor listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener.get(), 4), 0);
  socklen_t length = sizeof(address);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
  const int proxy_port = ntohs(address.sin_port);

  std::string asked;
  std::thread proxy([&] {
    Descriptor client(accept(listener.get(), nullptr, nullptr));
    while (asked.find("\r\n\r\n") == std::string::npos) {
      char byte = 0;
      if (read(client.get(), &byte, 1) != 1) {
        return;
      }
      asked += byte;
    }
    Descriptor server(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in to = address;
    to.sin_port = htons(static_cast<uint16_t>(server_->port()));
    if (connect(server.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
      return;
    }
    (void)!write(client.get(), "HTTP/1.1 200 OK\r\n\r\n", 19);
    const auto pump = [](int from, int into) {
      char buffer[16384];
      for (ssize_t got; (got = read(from, buffer, sizeof(buffer))) > 0;) {
        if (write(into, buffer, static_cast<size_t>(got)) != got) {
          break;
        }
      }
      shutdown(into, SHUT_RDWR);
    };
    std::thread back([&] { pump(server.get(), client.get()); });
    pump(client.get(), server.get());
    back.join();
  });

  setenv("https_proxy", ("http://127.0.0.1:" + std::to_string(proxy_port)).c_str(), 1);
  ChannelOptions options = Options(Files(pki_.Issue("site-a", Role::kSite)));
  options.target = "localhost:" + std::to_string(server_->port());
  const auto who = Who(options);
  unsetenv("https_proxy");
  EXPECT_TRUE(who.ok()) << who.status();
  EXPECT_THAT(asked, HasSubstr("CONNECT localhost"));
  server_->Stop(absl::ZeroDuration());
  proxy.join();
}

}  // namespace
}  // namespace cloister::transport
