// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/cohort_desk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "site_agent/agent/progress_reporter.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxPreparedJson = uint64_t{256} << 20;
constexpr char kDecodingFile[] = "decoding";  // in the job folder: the case the worker is at
constexpr size_t kMostKillers = 20;           // in one build, each costs a run of the worker
constexpr std::chrono::minutes kHeldLong{1};  // a run that ended over its time was held by one image

// Held while it lives.
absl::StatusOr<Descriptor> LockCohorts(const std::filesystem::path& data, const transport::StopSource& stop) {
  const std::filesystem::path path = data / "cohort.lock";
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return ErrnoStatus(errno, "cannot open", path);
  }
  bool said = false;
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (!said) {
      Log()->info("another process builds a cohort of this site: waiting for it");
      said = true;
    }
    if (stop.WaitFor(absl::Milliseconds(200))) {
      return absl::CancelledError("stopped while waiting for the cohort lock");
    }
  }
  return file;
}

absl::StatusOr<std::map<std::string, std::string>> ReadRejections(const std::filesystem::path& prepared) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(prepared / "prepared.json", kMaxPreparedJson));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("cases") || !json["cases"].is_array()) {
    return absl::DataLossError("prepared.json is damaged");
  }
  std::map<std::string, std::string> rejected;
  for (const Json& one : json["cases"]) {
    if (one.is_object() && one.contains("rejected") && one["rejected"].is_string() && one.contains("case") &&
        one["case"].is_string()) {
      rejected[one["case"]] = one["rejected"];
    }
  }
  return rejected;
}

WorkerJob PrepareJob(const plan::Task& task, const CohortDraft& draft) {
  WorkerJob job;
  job.kind = "prepare";
  job.title = "prepare " + task.name;
  Json cases = Json::array();
  CanonicalWriter digests;
  for (const DraftCase& one : draft.cases) {
    cases.push_back(Json{{"case", one.id}, {"files", Json::array({one.study.image_path})}});
    digests.Put(one.study.image_digest);
  }
  job.job = Json{{"task", Json::parse(plan::TaskJson(task))}, {"cases", cases}};
  job.inputs = digests.Take();
  return job;
}

// The case that was at work when the worker ended, where the case is the likely reason.
std::optional<std::string> KillerOf(const std::filesystem::path& folder, const WorkerError& error,
                                    const CohortDraft& draft) {
  const std::filesystem::path path = folder / kDecodingFile;
  switch (error.failure) {
    case WorkerFailure::kCrashed:
    case WorkerFailure::kOutOfMemory:
    case WorkerFailure::kInternal:
      break;
    case WorkerFailure::kTimedOut: {
      std::error_code failed;
      const auto since = std::filesystem::last_write_time(path, failed);
      if (failed || std::filesystem::file_time_type::clock::now() - since < kHeldLong) {
        return std::nullopt;  // many images, not one
      }
      break;
    }
    default:
      return std::nullopt;
  }
  const absl::StatusOr<Bytes> id = ReadFile(path, 64);
  const auto is_it = [&](const DraftCase& one) { return one.id == *id; };
  if (!id.ok() || std::none_of(draft.cases.begin(), draft.cases.end(), is_it)) {
    return std::nullopt;
  }
  return *id;
}

}  // namespace

int FrozenCohort::Patients() const {
  std::set<std::string> patients;
  for (const ManifestCase& one : manifest.cases) {
    patients.insert(one.patient);
  }
  return static_cast<int>(patients.size());
}

std::vector<const ManifestCase*> FrozenCohort::Of(CohortSplit split) const {
  std::vector<const ManifestCase*> cases;
  for (const ManifestCase& one : manifest.cases) {
    if (one.split == split) {
      cases.push_back(&one);
    }
  }
  return cases;
}

CohortDesk::CohortDesk(const SiteConfig* config, SiteStore* store, StudySource* source, WorkerJobs* jobs,
                       const crypto::SecretBytes* site_secret, const Clock* clock)
    : config_(config), store_(store), source_(source), jobs_(jobs), site_secret_(site_secret), clock_(clock) {}

std::vector<StudyCatalogueRow> CohortDesk::Reject(const std::map<std::string, std::string>& rejected,
                                                  CohortDraft& draft) const {
  std::vector<StudyCatalogueRow> removed;
  for (DraftCase& one : ApplyRejections(rejected, draft)) {
    one.study.updated_unix_ms = absl::ToUnixMillis(clock_->Now());
    removed.push_back(std::move(one.study));
  }
  return removed;
}

absl::StatusOr<std::filesystem::path> CohortDesk::PrepareImages(const plan::Task& task,
                                                                const transport::StopSource& stop, CohortDraft& draft) {
  ProgressReporter preparing(&store_->progress(), clock_, "", "cohort " + task.name);
  std::vector<StudyCatalogueRow> killers;
  bool worker_works = false;  // it got past an image
  std::filesystem::path prepared;
  while (!draft.cases.empty()) {
    const WorkerJob job = PrepareJob(task, draft);
    const std::filesystem::path folder = jobs_->FolderOf(job);
    std::error_code ignored;
    std::filesystem::remove(folder / kDecodingFile, ignored);  // of a run that was cut short
    const WorkerOutcome outcome = jobs_->Run(job, stop, std::ref(preparing));
    if (std::holds_alternative<WorkerDone>(outcome)) {
      CLOISTER_ASSIGN_OR_RETURN(const auto rejected, ReadRejections(folder));
      CLOISTER_RETURN_IF_ERROR(store_->cohorts().PutStudies(Reject(rejected, draft)));
      prepared = folder;
      break;
    }
    const WorkerError& error = std::get<WorkerError>(outcome);
    const std::optional<std::string> killer = KillerOf(folder, error, draft);
    worker_works = worker_works || (killer.has_value() && *killer != draft.cases.front().id);
    const bool is_broken = draft.cases.size() == 1 && !worker_works;
    if (!killer.has_value() || killers.size() == kMostKillers || is_broken) {
      if (worker_works) {
        CLOISTER_RETURN_IF_ERROR(store_->cohorts().PutStudies(killers));  // the next build starts without them
      }
      return absl::InternalError(
          fmt::format("the worker could not prepare the images of {}: {}: {}; {} images before were left out",
                      task.name, WorkerFailureName(error.failure), error.message, killers.size()));
    }
    Log()->warn("cohort {}: the worker ended at the image of {}, {}: it is left out", task.name, *killer,
                WorkerFailureName(error.failure));
    for (StudyCatalogueRow& study : Reject({{*killer, kImageKilledDecoder}}, draft)) {
      killers.push_back(std::move(study));
    }
    jobs_->Remove(job);
  }
  CLOISTER_RETURN_IF_ERROR(store_->cohorts().PutStudies(killers));
  return prepared;
}

absl::StatusOr<PreparedCohort> CohortDesk::Prepare(const plan::Task& task, const transport::StopSource& stop) {
  const LabelConfig* labels = config_->LabelsOf(task.name);
  if (labels == nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("no label file is configured for task {}: add it under \"labels\" in site.yaml", task.name));
  }
  CLOISTER_ASSIGN_OR_RETURN(const Descriptor lock, LockCohorts(config_->data, stop));

  CohortRequest request;
  request.task = task;
  request.label_file = labels->file;
  request.accession_column = labels->accession_column;
  request.keep_conflicting_patients = labels->keep_conflicting_patients;
  ProgressReporter fetching(&store_->progress(), clock_, "", "cohort " + task.name);
  CohortBuilderOptions options;
  options.cache = config_->data / "cache";
  options.cancelled = [&stop] { return stop.stopped(); };
  options.progress = [&fetching](int done, int total) {
    WorkerProgress progress;
    progress.phase = "fetch";
    progress.batch = done;
    progress.batches = total;
    fetching(progress);
  };
  CohortBuilder builder(source_, &store_->cohorts(), site_secret_, clock_, options);
  CLOISTER_ASSIGN_OR_RETURN(CohortDraft draft, builder.Build(request));

  PreparedCohort cohort;
  CLOISTER_ASSIGN_OR_RETURN(cohort.prepared, PrepareImages(task, stop, draft));
  CohortBuildRow row;
  row.task = task.name;
  row.report = CohortReportJson(draft.report);
  row.built_unix_ms = absl::ToUnixMillis(clock_->Now());
  CLOISTER_RETURN_IF_ERROR(store_->cohorts().PutBuild(row));
  (void)store_->progress().Remove("");
  Log()->info("cohort {}: {} usable studies of {} patients, {} positive; {} found, {} fetched now", task.name,
              draft.report.usable(), draft.report.patients, draft.report.positive_patients, draft.report.found,
              draft.report.newly_fetched);
  cohort.draft = std::move(draft);
  return cohort;
}

absl::StatusOr<FrozenCohort> CohortDesk::Frozen(const JobId& job) const {
  CLOISTER_ASSIGN_OR_RETURN(ManifestRow row, store_->cohorts().Manifest(job));
  if (crypto::Sha256(row.document) != row.digest) {
    return absl::DataLossError("the stored cohort manifest does not have its digest");
  }
  FrozenCohort cohort;
  CLOISTER_ASSIGN_OR_RETURN(cohort.manifest, ParseManifest(row.document));
  cohort.digest = row.digest;
  cohort.prepared = row.prepared;
  CLOISTER_ASSIGN_OR_RETURN(cohort.report, ParseCohortReport(row.report));
  return cohort;
}

absl::StatusOr<FrozenCohort> CohortDesk::Freeze(const JobId& job, const plan::Experiment& plan,
                                                const transport::StopSource& stop) {
  absl::StatusOr<FrozenCohort> frozen = Frozen(job);
  if (frozen.ok() || !absl::IsNotFound(frozen.status())) {
    return frozen;
  }
  CLOISTER_ASSIGN_OR_RETURN(const PreparedCohort cohort, Prepare(plan.task, stop));
  const SplitRule rule = {plan.evaluation.tuning_share, plan.evaluation.test_share, plan.evaluation.split_seed};
  FrozenCohort result;
  result.manifest = FreezeCohort(cohort.draft, rule, *site_secret_);
  const Bytes document = ManifestDocument(result.manifest);
  result.digest = crypto::Sha256(document);
  result.prepared = cohort.prepared;
  result.report = cohort.draft.report;
  ManifestRow row;
  row.job = job;
  row.digest = result.digest;
  row.task = plan.task.name;
  row.document = document;
  row.prepared = cohort.prepared.string();
  row.report = CohortReportJson(result.report);
  row.frozen_unix_ms = absl::ToUnixMillis(clock_->Now());
  const absl::Status stored = store_->cohorts().FreezeManifest(row);
  if (absl::IsAlreadyExists(stored)) {
    return Frozen(job);
  }
  CLOISTER_RETURN_IF_ERROR(stored);
  return result;
}

}  // namespace cloister::site
