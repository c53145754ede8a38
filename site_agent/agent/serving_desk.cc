// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/serving_desk.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "site_agent/agent/status_text.h"
#include "site_agent/cohort/cohort_builder.h"
#include "site_agent/serve/secondary_capture.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kLongestRetry = absl::Minutes(5);
constexpr uint64_t kMaxCaptureBytes = uint64_t{64} << 20;

bool IsImageForUs(const InstanceHeader& header) {
  static const char* const kNeverImages[] = {"SR", "OT", "PR", "KO", "SEG", "DOC", "RTSTRUCT", "REG"};
  return header.rows > 0 && std::none_of(std::begin(kNeverImages), std::end(kNeverImages),
                                         [&](const char* modality) { return header.modality == modality; });
}

ReleaseIdentity IdentityOf(const plan::ReleaseManifest& manifest, const std::string& software_version) {
  ReleaseIdentity identity;
  identity.algorithm_name = manifest.task.name;
  identity.algorithm_version = manifest.version;
  identity.software_version = software_version;
  identity.device_uid = manifest.device_uid;
  return identity;
}

// A worker may write anything, and what is not there or of another type throws when it is read.
bool HasCapture(const Json& result) {
  const auto capture = result.find("capture");
  return capture != result.end() && capture->is_object() && capture->contains("file") &&
         (*capture)["file"].is_string() && capture->contains("rows") && (*capture)["rows"].is_number_integer() &&
         capture->contains("columns") && (*capture)["columns"].is_number_integer();
}

}  // namespace

absl::Status ServingDesk::OnReceived(const ReceivedInstance& instance) {
  if (!instance.move_originator_ae_title.empty() && instance.move_originator_ae_title == site_->config->ae_title) {
    return absl::OkStatus();  // our own C-MOVE: the cohort takes the file
  }
  std::error_code ignored;
  if (!IsImageForUs(instance.header)) {
    std::filesystem::remove(instance.path, ignored);
    return absl::OkStatus();
  }
  ServingInstanceRow row;
  row.sop_instance_uid = instance.header.sop_instance_uid;
  row.study_instance_uid = instance.header.study_instance_uid;
  row.path = instance.path.string();
  row.modality = instance.header.modality;
  row.view_position = instance.header.view_position;
  row.series_number = instance.header.series_number;
  row.instance_number = instance.header.instance_number;
  const absl::StatusOr<bool> added = site_->store->serving().AddInstance(row, site_->NowUnixMs());
  CLOISTER_RETURN_IF_ERROR(added.status());
  if (!*added) {
    Log()->debug("an image that is known already was sent again");
  }
  return absl::OkStatus();
}

void ServingDesk::Step(const transport::StopSource& stop) {
  const int64_t now = site_->NowUnixMs();
  const absl::StatusOr<std::vector<ServingStudyRow>> due =
      site_->store->serving().Due(now - absl::ToInt64Milliseconds(options_.settle), now);
  if (!due.ok()) {
    Log()->error("the serving queue cannot be read: {}", TextOf(due.status()));
    return;
  }
  for (const ServingStudyRow& study : *due) {
    if (stop.stopped()) {
      return;
    }
    Answer(study, stop);
  }
}

void ServingDesk::Finish(const ServingStudyRow& study, ServingState state, const std::string& release,
                         const std::string& reason, const std::string& message) {
  const absl::StatusOr<std::vector<ServingInstanceRow>> instances =
      site_->store->serving().Instances(study.study_instance_uid);
  const absl::Status finished =
      site_->store->serving().Finish(study.study_instance_uid, state, release, reason, message, site_->NowUnixMs());
  if (!finished.ok()) {
    Log()->error("the serving queue cannot be written: {}", TextOf(finished));
    return;
  }
  if (instances.ok()) {
    for (const ServingInstanceRow& instance : *instances) {
      std::error_code ignored;
      std::filesystem::remove(instance.path, ignored);
    }
  }
}

void ServingDesk::TryLater(const ServingStudyRow& study, const std::string& why) {
  const absl::Duration wait =
      std::min(kLongestRetry, options_.first_retry * static_cast<double>(int64_t{1} << std::min(study.attempts, 10)));
  Log()->warn("a study could not be answered, trying again in {}: {}", absl::FormatDuration(wait), why);
  (void)site_->store->serving().Retry(study.study_instance_uid, why,
                                      site_->NowUnixMs() + absl::ToInt64Milliseconds(wait));
}

absl::StatusOr<ServingDesk::Match> ServingDesk::FindRelease(const ServingStudyRow& study) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ServingInstanceRow> instances,
                            site_->store->serving().Instances(study.study_instance_uid));
  std::vector<RetrievedFile> files;
  for (const ServingInstanceRow& instance : instances) {
    absl::StatusOr<InstanceHeader> header = ReadHeader(instance.path);
    if (header.ok()) {
      files.push_back({instance.path, *std::move(header)});
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ReleaseRow> active, site_->store->releases().Active());
  for (const ReleaseRow& row : active) {
    if (crypto::Sha256(row.manifest) != row.digest) {
      Log()->error("release {}: the stored manifest does not have its digest: not used", row.release.value());
      continue;
    }
    CLOISTER_ASSIGN_OR_RETURN(plan::ReleaseManifest manifest, plan::ParseRelease(row.manifest));
    if (const RetrievedFile* image = ChooseImage(files, manifest.task.selection)) {
      return Match{row, std::move(manifest), *image};
    }
  }
  return absl::NotFoundError(active.empty() ? "no release is active" : "no active release is about such an image");
}

absl::StatusOr<WorkerOutcome> ServingDesk::Predict(const Match& match, const transport::StopSource& stop) {
  const plan::ReleaseManifest& manifest = match.manifest;
  Json members = Json::array();
  for (const plan::ReleaseMember& member : manifest.members) {
    CLOISTER_RETURN_IF_ERROR(site_->models->blobs().Verify(member.model));
    members.push_back(site_->models->blobs().Path(member.model).string());
  }
  WorkerJob job;
  job.kind = "predict";
  job.title = "serving";
  job.job = Json{{"task", Json::parse(plan::TaskJson(manifest.task))},
                 {"model", {{"architecture", manifest.architecture}}},
                 {"members", members},
                 {"combiner", manifest.combiner},
                 {"operating_point", manifest.operating_point},
                 {"files", Json::array({match.image.path.string()})},
                 {"capture_text",
                  {fmt::format("Release {}", match.row.release.value()), fmt::format("Version {}", manifest.version),
                   fmt::format("Site {}", site_->site().value()), "For research use only"}}};
  CLOISTER_ASSIGN_OR_RETURN(const Digest image, crypto::Sha256File(match.image.path));
  job.inputs = Bytes(image.view());
  return site_->jobs->Run(job, stop, nullptr);
}

absl::StatusOr<std::vector<std::filesystem::path>> ServingDesk::WriteResults(const ServingStudyRow& study,
                                                                             const Match& match,
                                                                             const WorkerOutcome& outcome,
                                                                             std::string* reason) {
  const plan::ReleaseManifest& manifest = match.manifest;
  const ReleaseIdentity identity = IdentityOf(manifest, site_->version);
  const absl::Time created = absl::FromUnixMillis(study.last_received_unix_ms);  // the same when it is tried again
  const std::filesystem::path folder = site_->config->data / "results" / match.image.header.sop_instance_uid;
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));

  NotAnalysed not_analysed;
  if (const WorkerError* error = std::get_if<WorkerError>(&outcome)) {
    not_analysed.reason = fmt::format("WORKER_{}", WorkerFailureName(error->failure));
    not_analysed.message = "the analysis program could not finish";
  } else {
    const Json& result = std::get<WorkerDone>(outcome).result;
    if (result.contains("rejected") && result["rejected"].is_string()) {
      not_analysed.reason = result["rejected"].get<std::string>().substr(0, 64);
      not_analysed.message = result.contains("message") && result["message"].is_string()
                                 ? result["message"].get<std::string>().substr(0, 200)
                                 : "the image was rejected";
    } else if (!result.contains("score") || !result["score"].is_number() || result["score"].get<double>() < 0 ||
               result["score"].get<double>() > 1) {
      not_analysed.reason = "NO_SCORE";
      not_analysed.message = "the analysis program gave no score";
    }
  }
  if (!not_analysed.reason.empty()) {
    *reason = not_analysed.reason;
    CLOISTER_ASSIGN_OR_RETURN(const WrittenInstance report,
                              WriteNotAnalysedSr(match.image.path, identity, not_analysed, created, folder));
    return std::vector<std::filesystem::path>{report.path};
  }

  const WorkerDone& done = std::get<WorkerDone>(outcome);
  ClassificationResult result;
  result.finding = {manifest.task.finding.value, manifest.task.finding.scheme, manifest.task.finding.meaning};
  result.score = done.result["score"].get<double>();
  result.threshold = manifest.operating_point;
  result.positive = result.score >= result.threshold;
  CLOISTER_ASSIGN_OR_RETURN(const WrittenInstance report,
                            WriteResultSr(match.image.path, identity, result, created, folder));
  std::vector<std::filesystem::path> files = {report.path};

  if (HasCapture(done.result)) {
    const Json& capture = done.result["capture"];
    CapturePage page;
    page.rows = capture["rows"].get<int>();
    page.columns = capture["columns"].get<int>();
    CLOISTER_ASSIGN_OR_RETURN(
        page.rgb,
        ReadFile(done.folder / std::filesystem::path(capture["file"].get<std::string>()).filename(), kMaxCaptureBytes));
    CLOISTER_ASSIGN_OR_RETURN(const WrittenInstance shown,
                              WriteSecondaryCapture(match.image.path, identity, page, created, folder));
    files.push_back(shown.path);
  }
  return files;
}

void ServingDesk::Answer(const ServingStudyRow& study, const transport::StopSource& stop) {
  const absl::StatusOr<Policy> policy = site_->policy();
  if (!policy.ok()) {
    // Says nothing about serving: the study stays as it is until the file can be read again.
    if (const std::string problem = TextOf(policy.status()); problem != policy_problem_) {
      policy_problem_ = problem;
      site_->Tell("", "studies wait, the policy file cannot be used: " + problem);
    }
    return;
  }
  policy_problem_.clear();
  if (!policy->serving_allowed) {
    Finish(study, ServingState::kIgnored, "", "SERVING_NOT_ALLOWED", "the policy file does not allow serving");
    return;
  }
  const absl::StatusOr<Match> match = FindRelease(study);
  if (absl::IsNotFound(match.status())) {
    Finish(study, ServingState::kIgnored, "", "NO_RELEASE", TextOf(match.status()));
    return;
  }
  if (!match.ok()) {
    TryLater(study, TextOf(match.status()));
    return;
  }
  const absl::Time started = site_->clock->Now();
  const absl::StatusOr<WorkerOutcome> outcome = Predict(*match, stop);
  if (!outcome.ok()) {
    TryLater(study, TextOf(outcome.status()));
    return;
  }
  if (const WorkerError* error = std::get_if<WorkerError>(&*outcome);
      error != nullptr && (error->failure == WorkerFailure::kStopped || study.attempts + 1 < options_.attempts)) {
    if (error->failure != WorkerFailure::kStopped) {
      TryLater(study, error->message);
    }
    return;
  }
  std::string reason;
  const absl::StatusOr<std::vector<std::filesystem::path>> files = WriteResults(study, *match, *outcome, &reason);
  if (!files.ok()) {
    if (study.attempts + 1 < options_.attempts) {
      TryLater(study, TextOf(files.status()));
    } else {
      Finish(study, ServingState::kFailed, match->row.release.value(), "RESULT_NOT_WRITTEN", TextOf(files.status()));
    }
    return;
  }
  const absl::StatusOr<StoreOutcome> stored = sink_->Store(*files);
  if (!stored.ok() || !stored->failures.empty()) {
    const std::string why = stored.ok() ? stored->failures.front().message : TextOf(stored.status());
    if (study.attempts + 1 < options_.store_attempts) {
      TryLater(study, why);
    } else {
      Finish(study, ServingState::kFailed, match->row.release.value(), "PACS_UNAVAILABLE", why);
    }
    return;
  }
  Finish(study, reason.empty() ? ServingState::kAnswered : ServingState::kNotAnalysed, match->row.release.value(),
         reason, "");
  for (const std::filesystem::path& file : *files) {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }
  site_->Tell("", fmt::format("a study was {} in {:.1f} s (release {}, {} objects in the PACS)",
                              reason.empty() ? "answered" : "reported as not analysed: " + reason,
                              absl::ToDoubleSeconds(site_->clock->Now() - started), match->row.release.value(),
                              stored->stored));
}

}  // namespace cloister::site
