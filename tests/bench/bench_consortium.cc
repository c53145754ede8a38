// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_consortium.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <vector>

#include "coordinator/service/coordinator.h"
#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/transport/blob_client.h"
#include "protocols/transport/identity.h"
#include "protocols/update/model_state.h"
#include "protocols/wire/codec.h"
#include "tests/bench/bench_site.h"

namespace cloister::bench {
namespace {

constexpr char kExperiment[] = R"yaml(
experiment: bench
task: bench
model: {{architecture: resnet18, init: he_normal, seed: 7}}
algorithm: {{name: fedavg, rounds: {}, local_epochs: 1, batch_size: 16, optimizer: {{name: sgd, lr: 0.1}}, seed: 5}}
sites: {{minimum: {}, maximum: {}, invitation: 5m, deadline: 30m}}
privacy: {{secure_aggregation: required, clip: 1.0, weight_cap: 1000, minimum_cell: 10}}
evaluation: {{tuning_share: 0.2, test_share: 0.3, histogram_bins: 20, split_seed: 1}}
gates: [{{metric: auc, at_least: 0.6, statistic: lower_bound}}]
ensemble: {{members: 1, candidates_last: 2, combiner: mean_probability, operating_point: youden}}
)yaml";

absl::Status WriteQuickly(const std::filesystem::path& path, ByteView bytes) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  return file.valid() ? WriteAll(file.get(), bytes, path) : ErrnoStatus(errno, "cannot create", path);
}

absl::Status WriteKey(const crypto::CertificateAuthority& ca, const std::filesystem::path& folder,
                      const std::string& name, const crypto::SecretBytes& key, const std::string& id,
                      crypto::Role role) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes request, crypto::CreateRequest(key, id, role));
  crypto::IssueOptions options;
  options.not_before = absl::Now() - absl::Minutes(1);
  options.validity_days = 20;
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Certificate certificate, crypto::IssueCertificate(ca, request, options));
  CLOISTER_RETURN_IF_ERROR(WriteQuickly(folder / (name + ".key"), key.view()));
  return WriteQuickly(folder / (name + ".pem"), certificate.ToPem());
}

}  // namespace

Identities::Identities(std::filesystem::path root)
    : root_(std::move(root)),
      ca_(crypto::CreateAuthority("bench", absl::Now() - absl::Hours(1), absl::Hours(24 * 30)).value()) {}

absl::StatusOr<std::filesystem::path> Identities::Make(const std::string& id, crypto::Role role) const {
  const std::filesystem::path folder = root_ / id;
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_RETURN_IF_ERROR(WriteKey(ca_, folder, "tls", crypto::GenerateTlsKeyPem(), id, role));
  CLOISTER_RETURN_IF_ERROR(WriteKey(ca_, folder, "signing", crypto::GenerateSigningKeyPem(), id, role));
  CLOISTER_RETURN_IF_ERROR(WriteQuickly(folder / "ca.pem", ca_.certificate.ToPem()));
  return folder;
}

std::string SiteName(int number) {
  return fmt::format("site-{:04}", number);
}

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

std::shared_ptr<transport::CoordinatorChannel> Dial(const std::filesystem::path& certificates, crypto::Role role,
                                                    int port, const Clock* clock) {
  transport::ChannelOptions options;
  options.target = fmt::format("127.0.0.1:{}", port);
  options.tls = transport::TlsFilesOf(certificates);
  options.role = role;
  options.use_proxy = false;
  return transport::CoordinatorChannel::Create(options, clock).value();  // the bench made the files itself
}

absl::StatusOr<Operator> Operator::Create(const std::filesystem::path& certificates, int port, const Clock* clock) {
  CLOISTER_ASSIGN_OR_RETURN(crypto::Signer signer,
                            transport::LoadSigner(certificates, crypto::Role::kOperator, clock->Now()));
  return Operator(Dial(certificates, crypto::Role::kOperator, port, clock), std::move(signer));
}

absl::StatusOr<std::string> Operator::Submit(const Study& study) {
  CLOISTER_ASSIGN_OR_RETURN(const update::Layout layout, update::Layout::Create({{"weight", {study.parameters}}}));
  CLOISTER_ASSIGN_OR_RETURN(const Bytes model,
                            update::EncodeModelState(layout, std::vector<float>(study.parameters, 0.1F)));
  const Digest digest = crypto::Sha256(model);
  const auto source = transport::MemorySource(model);
  CLOISTER_RETURN_IF_ERROR(transport::BlobClient(channel_).Upload(
      {digest, model.size(), wire::BlobPurpose::kInitialModel, {}}, source.get(), {}));
  CLOISTER_ASSIGN_OR_RETURN(
      plan::Experiment experiment,
      plan::ParseExperiment(fmt::format(kExperiment, study.rounds, study.minimum, std::max(study.sites, study.minimum)),
                            "bench.yaml",
                            [](const std::string&) -> absl::StatusOr<std::string> { return kBenchTask; }));
  experiment.model.initial_model = digest;
  experiment.model.parameters = study.parameters;
  for (int i = 1; i <= study.sites; ++i) experiment.sites.invited.push_back(SiteName(i));
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

absl::Status Operator::Watch(const std::string& job,
                             const std::function<bool(int64_t time_ms, const std::string& text)>& see) {
  CLOISTER_ASSIGN_OR_RETURN(const auto connection, channel_->Dial());
  grpc::ClientContext context;
  wire::v1::WatchExperimentRequest request;
  request.set_job_id(job);
  const auto stream = wire::v1::Operation::NewStub(connection)->WatchExperiment(&context, request);
  wire::v1::ExperimentEvent event;
  while (stream->Read(&event)) {
    if (see(event.time_unix_ms(), event.text())) {
      context.TryCancel();
      return absl::OkStatus();
    }
  }
  return absl::FailedPreconditionError("the experiment ended early: " + event.text());
}

}  // namespace cloister::bench
