// SPDX-License-Identifier: Apache-2.0
// The coordinator's own process under SIGKILL in every phase of a secure sum: the sites go on as if nothing had been,
// and the model is the same, byte for byte.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <set>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/update/model_state.h"
#include "protocols/wire/codec.h"
#include "protocols/wire/names.h"
#include "tests/coordinator/service/federation.h"

namespace cloister::coordinator {
namespace {

constexpr int kSites = 4;

// A port that was free a moment ago: a restarted coordinator has to have the same one.
int FreePort() {
  const Descriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(probe.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

// cloister-coordinator serve.
class Process {
 public:
  explicit Process(std::string config) : config_(std::move(config)) { Start(); }
  ~Process() { Kill(); }

  void Kill() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  void Start() {
    static const std::string program =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cloister-coordinator";
    pid_ = fork();
    if (pid_ == 0) {  // gRPC's threads stay behind: nothing but exec from here on
      execl(program.c_str(), program.c_str(), "serve", "--config", config_.c_str(), nullptr);
      _exit(127);
    }
  }

 private:
  const std::string config_;
  pid_t pid_ = -1;
};

// Where in which sum it is killed: once, when half of the sites have answered.
using Moment = std::tuple<wire::SumKind, uint32_t, wire::SumPhase>;

class KillTest : public ::testing::Test {
 protected:
  KillTest() : identities_(folder_.path() / "pki") {
    coordinator_certificates_ = identities_.Make("coordinator", crypto::Role::kCoordinator);
    operator_certificates_ = identities_.Make("li", crypto::Role::kOperator);
    for (int i = 1; i <= kSites; ++i) {
      site_certificates_.push_back(identities_.Make("site-0" + std::to_string(i), crypto::Role::kSite));
    }
  }

  // The last model of the whole experiment, with the coordinator killed at each of `moments`.
  std::string Run(const std::string& name, std::set<Moment> moments) {
    const std::filesystem::path folder = folder_.path() / name;
    EXPECT_TRUE(MakeDirectories(folder).ok());
    const int port = FreePort();
    const std::string config = (folder / "coordinator.yaml").string();
    EXPECT_TRUE(WriteFileAtomically(config, "listen: 127.0.0.1:" + std::to_string(port) +
                                                "\ndata: data\ncertificates: " + coordinator_certificates_.string() +
                                                "\nweb: {host: 127.0.0.1, port: 0}\nlog_level: error\n")
                    .ok());
    Process coordinator(config);
    std::mutex mutex;
    std::map<Moment, int> answers;
    const auto see = [&](const wire::SumMessage& message) {
      const Moment moment{message.kind, message.round, message.phase};
      std::lock_guard lock(mutex);
      EXPECT_EQ(message.attempt, 0) << "a sum was tried again";
      if (++answers[moment] == kSites / 2 && moments.erase(moment) > 0) {
        coordinator.Kill();
        coordinator.Start();
      }
    };
    std::vector<std::unique_ptr<RemoteSite>> sites;
    for (int i = 1; i <= kSites; ++i) {
      sites.push_back(std::make_unique<RemoteSite>(i, site_certificates_[static_cast<size_t>(i - 1)],
                                                   folder / ("store-" + std::to_string(i)), identities_.ca()));
      sites.back()->on_sum_message = see;
      sites.back()->Start(port);
    }
    const auto channel = Dial(operator_certificates_, crypto::Role::kOperator, port, &clock_);
    const std::string job = Submit(channel);
    for (const auto& site : sites) site->Join();
    EXPECT_TRUE(moments.empty()) << moments.size() << " moments never came";
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    wire::v1::GetExperimentRequest request;
    request.set_job_id(job);
    wire::v1::ExperimentStatus reply;
    const auto stub = wire::v1::Operation::NewStub(channel->Dial().value());
    EXPECT_TRUE(stub->GetExperiment(&context, request, &reply).ok());
    const absl::StatusOr<wire::ExperimentStatus> status = wire::Decode(reply);
    EXPECT_TRUE(status.ok()) << status.status();
    EXPECT_EQ(status->phase, wire::ExperimentPhase::kReleased) << status->message;
    return status->model ? status->model->hex() : "";
  }

  std::string Submit(const std::shared_ptr<transport::CoordinatorChannel>& channel) {
    const sim::ToyModel model = sim::MakeToyModel();
    const Bytes file = update::EncodeModelState(model.layout, model.values).value();
    const Digest digest = crypto::Sha256(file);
    const auto source = transport::MemorySource(file);
    const absl::Status uploaded = transport::BlobClient(channel).Upload(
        {digest, file.size(), wire::BlobPurpose::kInitialModel, {}}, source.get(), {});
    EXPECT_TRUE(uploaded.ok()) << uploaded;
    plan::Experiment experiment = sim::MakePlan({}, digest);
    for (int i = 1; i <= kSites; ++i) experiment.sites.invited.push_back("site-0" + std::to_string(i));
    grpc::ClientContext context;
    wire::v1::SubmitExperimentRequest request;
    *request.mutable_plan() = wire::Encode(SignedPlan(experiment, operator_certificates_));
    wire::v1::SubmitExperimentReply reply;
    const grpc::Status sent =
        wire::v1::Operation::NewStub(channel->Dial().value())->SubmitExperiment(&context, request, &reply);
    EXPECT_TRUE(sent.ok()) << sent.error_message();
    return reply.job_id();
  }

  ::cloister::testing::TempDir folder_;
  const SystemClock clock_;
  IdentityMaker identities_;
  std::filesystem::path coordinator_certificates_;
  std::filesystem::path operator_certificates_;
  std::vector<std::filesystem::path> site_certificates_;
};

TEST_F(KillTest, InEveryPhaseOfARoundAndOfTheValidationTheModelStaysTheSame) {
  const std::string undisturbed = Run("undisturbed", {});
  std::set<Moment> moments;
  for (int phase = 1; phase <= 5; ++phase) {
    moments.emplace(wire::SumKind::kTrain, 1, static_cast<wire::SumPhase>(phase));
    moments.emplace(wire::SumKind::kValidate, 1, static_cast<wire::SumPhase>(phase));
  }
  EXPECT_EQ(Run("killed", std::move(moments)), undisturbed);
}

}  // namespace
}  // namespace cloister::coordinator
