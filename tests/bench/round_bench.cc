// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/round_bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "coordinator/service/coordinator.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/pki.h"
#include "protocols/plan/documents.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/identity.h"
#include "protocols/update/model_state.h"
#include "protocols/wire/codec.h"
#include "tests/bench/bench_site.h"
#include "tests/bench/bench_table.h"
#include "tests/bench/child_process.h"
#include "tests/bench/transfer_bound.h"

namespace cloister::bench {
namespace {

constexpr char kExperiment[] = R"yaml(
experiment: bench
task: bench
model: {{architecture: resnet18, init: he_normal, seed: 7}}
algorithm: {{name: fedavg, rounds: {}, local_epochs: 1, batch_size: 16, optimizer: {{name: sgd, lr: 0.1}}, seed: 5}}
sites: {{minimum: 3, maximum: 64, invitation: 5m, deadline: 10m}}
privacy: {{secure_aggregation: required, clip: 1.0, weight_cap: 1000, minimum_cell: 10}}
evaluation: {{tuning_share: 0.2, test_share: 0.3, histogram_bins: 20, split_seed: 1}}
gates: [{{metric: auc, at_least: 0.6, statistic: lower_bound}}]
ensemble: {{members: 1, candidates_last: 2, combiner: mean_probability, operating_point: youden}}
)yaml";

// Identity folders under one CA.
class Identities {
 public:
  explicit Identities(std::filesystem::path root)
      : root_(std::move(root)),
        ca_(crypto::CreateAuthority("bench", absl::Now() - absl::Hours(1), absl::Hours(24 * 30)).value()) {}

  absl::StatusOr<std::filesystem::path> Make(const std::string& id, crypto::Role role) const {
    const std::filesystem::path folder = root_ / id;
    CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
    CLOISTER_ASSIGN_OR_RETURN(const auto request_file, transport::RequestIdentity(folder, id, role));
    CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(request_file));
    CLOISTER_ASSIGN_OR_RETURN(const transport::IdentityRequest request, transport::ReadIdentityRequest(text));
    crypto::IssueOptions options;
    options.not_before = absl::Now() - absl::Minutes(1);
    options.validity_days = 20;
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Certificate tls, crypto::IssueCertificate(ca_, request.tls_pem, options));
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Certificate signing,
                              crypto::IssueCertificate(ca_, request.signing_pem, options));
    const transport::IdentityCertificates certificates{tls, signing, ca_.certificate};
    CLOISTER_RETURN_IF_ERROR(
        transport::InstallIdentity(folder, transport::JoinCertificates(certificates), absl::Now()).status());
    return folder;
  }

 private:
  std::filesystem::path root_;
  crypto::CertificateAuthority ca_;
};

int ServeCoordinator(ChildProcess& self, const std::filesystem::path& data, const std::filesystem::path& certificates) {
  coordinator::CoordinatorConfig config;
  config.listen = "127.0.0.1:0";
  config.data = data;
  config.certificates = certificates;
  config.most_model_bytes = uint64_t{16} << 30;
  const SystemClock clock;
  const auto started = coordinator::Coordinator::Start(config, &clock);
  if (!started.ok()) {
    fmt::print(stderr, "coordinator: {}\n", std::string(started.status().message()));
    return 1;
  }
  self.Tell(std::to_string((*started)->port()));
  ChildProcess::WaitForTerm();
  return 0;
}

// What the operator does: the initial model, the plan, and then the events.
class Operator {
 public:
  static absl::StatusOr<Operator> Create(const std::filesystem::path& certificates, int port, const Clock* clock) {
    transport::ChannelOptions options;
    options.target = fmt::format("127.0.0.1:{}", port);
    options.tls = transport::TlsFilesOf(certificates);
    options.role = crypto::Role::kOperator;
    options.use_proxy = false;
    CLOISTER_ASSIGN_OR_RETURN(auto channel, transport::CoordinatorChannel::Create(options, clock));
    CLOISTER_ASSIGN_OR_RETURN(crypto::Signer signer,
                              transport::LoadSigner(certificates, crypto::Role::kOperator, clock->Now()));
    return Operator(std::move(channel), std::move(signer));
  }

  absl::StatusOr<std::string> Submit(const RoundOptions& options) {
    CLOISTER_ASSIGN_OR_RETURN(const update::Layout layout, update::Layout::Create({{"weight", {options.parameters}}}));
    CLOISTER_ASSIGN_OR_RETURN(const Bytes model,
                              update::EncodeModelState(layout, std::vector<float>(options.parameters, 0.1F)));
    const Digest digest = crypto::Sha256(model);
    const auto source = transport::MemorySource(model);
    CLOISTER_RETURN_IF_ERROR(transport::BlobClient(channel_).Upload(
        {digest, model.size(), wire::BlobPurpose::kInitialModel, {}}, source.get(), {}));
    CLOISTER_ASSIGN_OR_RETURN(
        plan::Experiment experiment,
        plan::ParseExperiment(fmt::format(kExperiment, options.rounds), "bench.yaml",
                              [](const std::string&) -> absl::StatusOr<std::string> { return kBenchTask; }));
    experiment.model.initial_model = digest;
    experiment.model.parameters = options.parameters;
    for (int i = 1; i <= options.sites; ++i) experiment.sites.invited.push_back(fmt::format("site-{:02}", i));
    const Bytes document = plan::PlanDocument(experiment);
    wire::v1::SubmitExperimentRequest request;
    *request.mutable_plan() = wire::Encode(
        wire::SignedDocument{document, signer_.Sign(plan::kPlanDomain, document), signer_.certificate().der()});
    CLOISTER_ASSIGN_OR_RETURN(const auto connection, channel_->Dial());
    grpc::ClientContext context;
    wire::v1::SubmitExperimentReply reply;
    CLOISTER_RETURN_IF_ERROR(
        channel_->Explain(wire::v1::Operation::NewStub(connection)->SubmitExperiment(&context, request, &reply)));
    return reply.job_id();
  }

  // Until `see` says enough, or the experiment has ended.
  absl::Status Watch(const std::string& job, const std::function<bool(const wire::v1::ExperimentEvent&)>& see) {
    CLOISTER_ASSIGN_OR_RETURN(const auto connection, channel_->Dial());
    grpc::ClientContext context;
    wire::v1::WatchExperimentRequest request;
    request.set_job_id(job);
    const auto stream = wire::v1::Operation::NewStub(connection)->WatchExperiment(&context, request);
    wire::v1::ExperimentEvent event;
    while (stream->Read(&event)) {
      if (see(event)) {
        context.TryCancel();
        return absl::OkStatus();
      }
    }
    return absl::FailedPreconditionError("the experiment ended early: " + event.text());
  }

 private:
  Operator(std::shared_ptr<transport::CoordinatorChannel> channel, crypto::Signer signer)
      : channel_(std::move(channel)), signer_(std::move(signer)) {}

  std::shared_ptr<transport::CoordinatorChannel> channel_;
  crypto::Signer signer_;
};

struct Measured {
  std::vector<double> rounds;  // wall seconds
  double cpu = 0;              // of all processes, a round
  uint64_t coordinator_peak = 0;
  uint64_t agent_peak = 0;  // the largest
};

absl::StatusOr<Measured> Run(const RoundOptions& options, const std::filesystem::path& folder,
                             const std::filesystem::path& worker) {
  const Identities identities(folder / "identities");
  CLOISTER_ASSIGN_OR_RETURN(const auto coordinator_identity,
                            identities.Make("coordinator", crypto::Role::kCoordinator));
  CLOISTER_ASSIGN_OR_RETURN(const auto operator_identity, identities.Make("operator", crypto::Role::kOperator));
  std::vector<BenchSite> sites;
  for (int i = 1; i <= options.sites; ++i) {
    BenchSite site;
    site.id = fmt::format("site-{:02}", i);
    site.folder = folder / site.id;
    CLOISTER_ASSIGN_OR_RETURN(site.certificates, identities.Make(site.id, crypto::Role::kSite));
    site.worker = worker;
    sites.push_back(std::move(site));
  }
  // All processes before the first thread and the first use of gRPC.
  ChildProcess coordinator = ChildProcess::Start(
      [&](ChildProcess& self) { return ServeCoordinator(self, folder / "coordinator", coordinator_identity); });
  std::vector<ChildProcess> agents;
  for (BenchSite& site : sites) {
    agents.push_back(ChildProcess::Start([&site](ChildProcess& self) {
      site.coordinator_port = std::stoi(self.Hear());
      const absl::Status status = RunBenchSite(site);
      if (!status.ok()) fmt::print(stderr, "{}: {}\n", site.id, std::string(status.message()));
      return status.ok() ? 0 : 1;
    }));
  }
  const std::string port = coordinator.Hear();
  if (port.empty()) return absl::InternalError("the coordinator did not start");
  for (ChildProcess& agent : agents) agent.Tell(port);

  const auto cpu = [&] {
    double seconds = coordinator.CpuSeconds();
    for (const ChildProcess& agent : agents) seconds += agent.CpuSeconds();
    return seconds;
  };
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(Operator study, Operator::Create(operator_identity, std::stoi(port), &clock));
  CLOISTER_ASSIGN_OR_RETURN(const std::string job, study.Submit(options));
  Measured measured;
  double cpu_before = 0;
  int64_t started_ms = 0;
  int counted = 0;
  CLOISTER_RETURN_IF_ERROR(study.Watch(job, [&](const wire::v1::ExperimentEvent& event) {
    int round = 0;
    char verb[16] = "";
    if (std::sscanf(event.text().c_str(), "training round %d %15[a-z]", &round, verb) != 2) return false;
    if (std::string(verb) == "starts") {
      started_ms = event.time_unix_ms();
      if (round == 2) cpu_before = cpu();
      return false;
    }
    if (std::string(verb) != "done") return false;
    const double wall = static_cast<double>(event.time_unix_ms() - started_ms) / 1000;
    fmt::print(stderr, "  round {}: {}{}\n", round, Duration(wall), round == 1 ? " (not counted)" : "");
    if (round > 1) {
      measured.rounds.push_back(wall);
      ++counted;
    }
    return round == options.rounds;
  }));
  measured.cpu = (cpu() - cpu_before) / counted;
  measured.coordinator_peak = coordinator.PeakBytes();
  for (const ChildProcess& agent : agents) measured.agent_peak = std::max(measured.agent_peak, agent.PeakBytes());
  std::sort(measured.rounds.begin(), measured.rounds.end());
  return measured;
}

absl::Status RunIn(const RoundOptions& options, const std::filesystem::path& folder) {
  const std::filesystem::path worker = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "fake-worker";
  fmt::print(stderr, "{} sites, {} parameters, {} rounds ...\n", options.sites, options.parameters, options.rounds);
  CLOISTER_ASSIGN_OR_RETURN(const Measured measured, Run(options, folder, worker));
  const uint64_t bytes = 4 * options.parameters;
  CLOISTER_ASSIGN_OR_RETURN(
      const TransferCost bound,
      MeasureTransfers(folder / "identities" / "coordinator", folder / "identities" / "site-01", options.sites, bytes));
  const double wall = measured.rounds[measured.rounds.size() / 2];
  fmt::print(
      "\nA training round with {} agents and {:.3g} parameters, training nothing; every part a process of its own\n\n",
      options.sites, static_cast<double>(options.parameters));
  fmt::print("{:<34} {:>10} {:>28} {:>7}\n", "", "ours", "bare gRPC, mTLS, same bytes", "ratio");
  fmt::print("{:<34} {:>10} {:>28} {:>7.2f}\n", "wall, median", Duration(wall), Duration(bound.wall_seconds),
             wall / bound.wall_seconds);
  fmt::print("{:<34} {:>10} {:>28} {:>7.2f}\n", "CPU of all processes", Duration(measured.cpu),
             Duration(bound.cpu_seconds), measured.cpu / bound.cpu_seconds);
  fmt::print("{:<34} {:>6} MiB\n", "coordinator's peak memory", measured.coordinator_peak >> 20);
  fmt::print("{:<34} {:>6} MiB\n", "an agent's peak memory", measured.agent_peak >> 20);
  fmt::print("\nEach site sends and fetches {:.1f} MB. The time includes a worker process that copies the model.\n",
             static_cast<double>(bytes) / 1e6);
  return absl::OkStatus();
}

}  // namespace

int RunRounds(const RoundOptions& options) {
  SetUpLogging("bench", "error");
  char name[] = "/tmp/cloister-bench-XXXXXX";
  if (mkdtemp(name) == nullptr) {
    fmt::print(stderr, "cannot make a folder under /tmp\n");
    return 1;
  }
  const absl::Status status = RunIn(options, name);
  std::error_code ignored;
  std::filesystem::remove_all(name, ignored);
  if (!status.ok()) fmt::print(stderr, "{}\n", std::string(status.message()));
  return status.ok() ? 0 : 1;
}

}  // namespace cloister::bench
