// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_site.h"

#include <fmt/format.h>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/transport/identity.h"
#include "site_agent/agent/agent.h"
#include "site_agent/link/grpc_coordinator_link.h"
#include "tests/bench/child_process.h"

namespace cloister::bench {
namespace {

constexpr int kStudies = 40;

// Studies that are found and fetched at once, and whose pixels nobody reads.
class MadeUpArchive final : public site::StudySource {
 public:
  absl::StatusOr<std::vector<site::StudyRow>> FindStudies(const std::vector<std::string>&) override {
    std::vector<site::StudyRow> rows(kStudies);
    for (int i = 0; i < kStudies; ++i) {
      rows[static_cast<size_t>(i)].study_instance_uid = fmt::format("1.2.3.{}", i);
      rows[static_cast<size_t>(i)].accession_number = fmt::format("A{}", i);
      rows[static_cast<size_t>(i)].patient_id = fmt::format("P{}", i);
    }
    return rows;
  }
  absl::StatusOr<site::RetrievedStudy> RetrieveStudy(const std::string& study_instance_uid,
                                                     const std::filesystem::path& folder) override {
    CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
    site::RetrievedFile file;
    file.header.study_instance_uid = study_instance_uid;
    file.header.sop_instance_uid = study_instance_uid + ".1";
    file.header.modality = "DX";
    file.header.view_position = "PA";
    file.header.rows = 2;
    file.header.columns = 2;
    file.path = folder / (file.header.sop_instance_uid + ".dcm");
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(file.path, "film"));
    return site::RetrievedStudy{{file}, ""};
  }
  absl::Status Check() override { return absl::OkStatus(); }
};

class NoPacs final : public site::ResultSink {
 public:
  absl::StatusOr<site::StoreOutcome> Store(const std::vector<std::filesystem::path>&) override {
    return absl::UnavailableError("no PACS");
  }
};

absl::Status WriteFiles(const site::SiteConfig& config, const std::filesystem::path& labels) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(config.data));
  std::string rows = "accession_number,label\n";
  for (int i = 0; i < kStudies; ++i) rows += fmt::format("A{},{}\n", i, i % 2);
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(labels, rows));
  return WriteFileAtomically(config.policy,
                             "allowed_tasks: [bench]\nminimum_cohort: 1\nminimum_sites: 3\napproval: automatic\n");
}

}  // namespace

absl::Status RunBenchSite(const BenchSite& bench) {
  const SystemClock clock;
  site::AgentParts parts;
  site::SiteConfig& config = parts.config;
  CLOISTER_ASSIGN_OR_RETURN(config.site, SiteId::Parse(bench.id));
  config.name = bench.id;
  config.data = bench.folder / "data";
  config.policy = bench.folder / "policy.yaml";
  config.ae_title = "CLOISTER";
  config.labels.push_back({"bench", bench.folder / "labels.csv", "accession_number", false});
  config.worker_program = bench.worker;
  config.worker_time_limit_ms = 3'600'000;
  CLOISTER_RETURN_IF_ERROR(WriteFiles(config, config.labels[0].file));

  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<site::SiteStore> store, site::SiteStore::Open(config.data));
  CLOISTER_ASSIGN_OR_RETURN(storage::BlobStore blobs,
                            storage::BlobStore::Open(config.data / "blobs", storage::BlobStore::Use::kCache));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Signer signer,
                            transport::LoadSigner(bench.certificates, crypto::Role::kSite, clock.Now()));
  CLOISTER_ASSIGN_OR_RETURN(parts.ca, transport::LoadAuthority(bench.certificates));
  transport::ChannelOptions options;
  options.target = fmt::format("127.0.0.1:{}", bench.coordinator_port);
  options.tls = transport::TlsFilesOf(bench.certificates);
  options.use_proxy = false;
  CLOISTER_ASSIGN_OR_RETURN(const auto channel, transport::CoordinatorChannel::Create(options, &clock));
  site::GrpcCoordinatorLink link(channel, {"bench", absl::Seconds(30), {}});
  MadeUpArchive archive;
  NoPacs sink;
  parts.store = store.get();
  parts.blobs = &blobs;
  parts.link = &link;
  parts.source = &archive;
  parts.sink = &sink;
  parts.clock = &clock;
  parts.signer = [&signer] { return signer; };
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<site::Agent> agent, site::Agent::Create(std::move(parts)));
  agent->Start();
  ChildProcess::WaitForTerm();
  agent->Stop();
  return absl::OkStatus();
}

}  // namespace cloister::bench
