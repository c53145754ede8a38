// SPDX-License-Identifier: Apache-2.0
#include "tests/site_agent/agent/site_harness.h"

#include <fmt/format.h>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "site_agent/agent/site_keys.h"

namespace cloister::site {

absl::StatusOr<std::vector<StudyRow>> FakePacs::FindStudies(const std::vector<std::string>&) {
  if (!down.ok()) {
    return down;
  }
  std::vector<StudyRow> rows;
  for (const FakeStudy& study : studies) {
    rows.push_back(study.row);
  }
  return rows;
}

absl::StatusOr<RetrievedStudy> FakePacs::RetrieveStudy(const std::string& study_instance_uid,
                                                       const std::filesystem::path& folder) {
  if (!down.ok()) {
    return down;
  }
  for (const FakeStudy& study : studies) {
    if (study.row.study_instance_uid == study_instance_uid) {
      if (!study.retrieve.ok()) {
        return study.retrieve;
      }
      ++retrieved;
      CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
      RetrievedFile file;
      file.header.study_instance_uid = study_instance_uid;
      file.header.sop_instance_uid = study_instance_uid + ".1";
      file.header.modality = study.modality;
      file.header.view_position = study.view_position;
      file.header.rows = 2;
      file.header.columns = 2;
      file.path = folder / (file.header.sop_instance_uid + ".dcm");
      CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(file.path, study.content + " of " + study.row.patient_name));
      return RetrievedStudy{{file}, ""};
    }
  }
  return absl::NotFoundError("no such study");
}

void FakePacs::Add(int number, bool positive, const std::string& content) {
  FakeStudy study;
  study.row.study_instance_uid = fmt::format("1.2.826.0.1.{}", number);
  study.row.accession_number = fmt::format("ACCESSION{}", number);
  study.row.patient_id = fmt::format("PATIENT{}", number);
  study.row.patient_name = fmt::format("CANARY^NAME{}", number);
  study.content = content;
  studies.push_back(study);
  labels_ += fmt::format("{},{}\n", study.row.accession_number, positive ? "pneumonia" : "normal");
}

absl::Status FakeLink::Reach(const transport::StopSource& stop) const {
  while (away && !stop.WaitFor(absl::Milliseconds(20))) {
  }
  return cut || away ? absl::CancelledError("killed while sending") : absl::OkStatus();
}

absl::StatusOr<wire::Work> FakeLink::PullWork(uint64_t, absl::Duration, const transport::StopSource&) {
  return absl::UnimplementedError("the test hands work over itself");
}

absl::Status FakeLink::Submit(const wire::SiteMessage& message, const transport::StopSource& stop) {
  CLOISTER_RETURN_IF_ERROR(Reach(stop));
  sent.push_back(message);
  return absl::OkStatus();
}

absl::Status FakeLink::Upload(const wire::BlobHeader& header, const std::filesystem::path& file,
                              const transport::StopSource& stop) {
  CLOISTER_RETURN_IF_ERROR(Reach(stop));
  CLOISTER_ASSIGN_OR_RETURN(Bytes bytes, ReadFile(file));
  if (crypto::Sha256(bytes) != header.digest || bytes.size() != header.size_bytes) {
    return absl::DataLossError("not what the header says");
  }
  uploaded[header.digest] = std::move(bytes);
  return absl::OkStatus();
}

absl::Status FakeLink::Download(const Digest& digest, uint64_t most_bytes, storage::BlobStore* store,
                                const transport::StopSource&) {
  const auto found = published->find(digest);
  if (found == published->end()) {
    return absl::NotFoundError("no such blob");
  }
  if (found->second.size() > most_bytes) {
    return absl::ResourceExhaustedError("too large");
  }
  downloaded.insert(digest);
  return store->Put(found->second).status();
}

struct SiteHarness::Running {
  Running(const SiteConfig* config, FakePacs* pacs, FakeLink* link, const Clock* clock, const SiteId& id,
          const WorkerJobs::Options& options)
      : secret(LoadSiteSecret(config->data).value()),
        store(SiteStore::Open(config->data).value()),
        blobs(storage::BlobStore::Open(config->data / "blobs", storage::BlobStore::Use::kCache).value()),
        egress(link, &store->audit(), clock, id),
        models(&blobs, link),
        chain(&store->sums(), &models, config->data),
        background(kLanes, nullptr),
        jobs(options, &store->worker_jobs(), &background, clock),
        cohorts(config, store.get(), pacs, &jobs, &secret, clock),
        releases(&context) {}

  crypto::SecretBytes secret;
  std::unique_ptr<SiteStore> store;
  storage::BlobStore blobs;
  SiteContext context;
  EgressGate egress;
  ModelStore models;
  ModelChain chain;
  Background background;
  WorkerJobs jobs;
  CohortDesk cohorts;
  ReleaseDesk releases;
  std::map<JobId, std::unique_ptr<ExperimentRunner>> runners;
};

SiteHarness::SiteHarness(const std::string& name, testing::TestConsortium* pki, const Clock* clock,
                         const std::filesystem::path& folder, std::map<Digest, Bytes>* published)
    : id(SiteId::Parse(name).value()), pki_(pki), clock_(clock), folder_(folder), published_(published) {
  config.site = id;
  config.name = name;
  config.data = folder_ / "data";
  config.policy = folder_ / "policy.yaml";
  config.ae_title = "CLOISTER";
  config.labels.push_back({"chest_pneumonia", folder_ / "labels.csv", "accession_number", false});
  link.published = published_;
  worker_environment["CLOISTER_FAKE_LOG"] = (folder_ / "worker-runs").string();
}

SiteHarness::~SiteHarness() = default;

void SiteHarness::Start() {
  ASSERT_TRUE(MakeDirectories(config.data).ok());
  ASSERT_TRUE(WriteFileAtomically(folder_ / "labels.csv", pacs.labels()).ok());
  ASSERT_TRUE(WriteFileAtomically(config.policy, policy).ok());
  WorkerJobs::Options options;
  options.program = CLOISTER_FAKE_WORKER;
  options.folder = config.data / "jobs";
  options.limits.time = worker_time;
  options.environment = worker_environment;
  running = std::make_unique<Running>(&config, &pacs, &link, clock_, id, options);
  SiteContext& context = running->context;
  context.config = &config;
  context.store = running->store.get();
  context.egress = &running->egress;
  context.models = &running->models;
  context.chain = &running->chain;
  context.jobs = &running->jobs;
  context.cohorts = &running->cohorts;
  context.background = &running->background;
  context.signer = [signer = pki_->site(id)] { return signer; };
  context.ca = &pki_->ca();
  context.site_secret = &running->secret;
  context.clock = clock_;
  context.architectures = {"resnet18", "resnet18_gn"};
  context.version = "0.1.0";
  context.policy = [this]() -> absl::StatusOr<Policy> {
    CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(config.policy));
    return ParsePolicy(text, "policy.yaml");
  };
}

void SiteHarness::Kill() {
  running.reset();
}

SiteStore& SiteHarness::store() {
  return *running->store;
}

SiteContext& SiteHarness::context() {
  return running->context;
}

void SiteHarness::Step(const JobId& job, const std::vector<wire::WorkItem>& items) {
  std::unique_ptr<ExperimentRunner>& runner = running->runners[job];
  if (runner == nullptr) {
    runner = std::make_unique<ExperimentRunner>(&running->context, job);
  }
  const transport::StopSource stop;
  // Each lane answers this once it has done what was asked of it before.
  static int marker = 0;
  for (int i = 0; i < 4; ++i) {
    runner->Step(items, stop);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const std::string key = fmt::format("marker/{}", marker++);
      while (!running->background.Ensure(lane, key, [](const transport::StopSource&) { return absl::OkStatus(); })
                  .has_value()) {
        stop.WaitFor(absl::Milliseconds(2));
      }
    }
  }
}

void SiteHarness::StepReleases(const std::vector<wire::ReleaseOffer>& offers) {
  const transport::StopSource stop;
  static int marker = 0;
  for (int i = 0; i < 3; ++i) {
    running->releases.Step(offers, stop);
    running->releases.ApplySignOffs();
    const std::string key = fmt::format("release-marker/{}", marker++);
    while (
        !running->background.Ensure(kTrainingLane, key, [](const transport::StopSource&) { return absl::OkStatus(); })
             .has_value()) {
      stop.WaitFor(absl::Milliseconds(2));
    }
  }
}

int SiteHarness::Runs(const std::string& kind) const {
  const absl::StatusOr<Bytes> log = ReadFile(folder_ / "worker-runs");
  int runs = 0;
  for (size_t at = 0; log.ok() && at < log->size();) {
    runs += log->compare(at, kind.size() + 1, kind + " ") == 0 ? 1 : 0;
    at = log->find('\n', at) + 1;
  }
  return runs;
}

}  // namespace cloister::site
