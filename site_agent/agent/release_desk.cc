// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/release_desk.h"

#include <fmt/format.h>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "site_agent/agent/progress_reporter.h"
#include "site_agent/agent/status_text.h"

namespace cloister::site {
namespace {

constexpr char kReleaseId[] = "release";
constexpr char kLocalOnlyId[] = "local-only";
constexpr absl::Duration kSayAgainAfter = absl::Seconds(30);
constexpr absl::Duration kTryAgainAfter = absl::Seconds(30);
constexpr uint64_t kMaxMemberBytes = uint64_t{16} << 30;

std::optional<wire::ReleaseState> ToWire(ReleaseState state) {
  switch (state) {
    case ReleaseState::kOffered:
      return std::nullopt;  // nothing to say yet
    case ReleaseState::kVerified:
      return wire::ReleaseState::kVerified;
    case ReleaseState::kGateFailed:
      return wire::ReleaseState::kGateFailed;
    case ReleaseState::kActive:
      return wire::ReleaseState::kActive;
    case ReleaseState::kDeclined:
      return wire::ReleaseState::kDeclined;
    case ReleaseState::kRolledBack:
      return wire::ReleaseState::kRolledBack;
    case ReleaseState::kInvalid:
      return wire::ReleaseState::kInvalid;
    case ReleaseState::kSuperseded:
      return std::nullopt;  // the release that took its place says enough
  }
  return std::nullopt;
}

}  // namespace

void ReleaseDesk::Step(const std::vector<wire::ReleaseOffer>& offers, const transport::StopSource& stop) {
  if (first_) {
    first_ = false;
    const absl::StatusOr<std::vector<ReleaseRow>> known = site_->store->releases().List();
    if (known.ok()) {
      for (const ReleaseRow& row : *known) {
        told_[row.release] = {row.state, absl::InfinitePast()};
      }
    }
  }
  listed_.clear();
  for (const wire::ReleaseOffer& offer : offers) {
    if (stop.stopped()) {
      return;
    }
    Look(offer, stop);
  }
  const absl::StatusOr<std::vector<ReleaseRow>> rows = site_->store->releases().List();
  if (!rows.ok()) {
    Log()->error("releases cannot be read: {}", TextOf(rows.status()));
    return;
  }
  for (const ReleaseRow& row : *rows) {
    if (stop.stopped()) {
      return;
    }
    ApplySignOff(row, stop);
    Tell(row.release, stop);
  }
}

absl::StatusOr<plan::ReleaseManifest> ReleaseDesk::Verify(const wire::ReleaseOffer& offer) const {
  CLOISTER_RETURN_IF_ERROR(crypto::VerifySignature(offer.manifest.certificate, *site_->ca, plan::kReleaseDomain,
                                                   offer.manifest.document, offer.manifest.signature,
                                                   crypto::Role::kCoordinator, site_->clock->Now())
                               .status());
  CLOISTER_ASSIGN_OR_RETURN(plan::ReleaseManifest manifest, plan::ParseRelease(offer.manifest.document));
  CLOISTER_ASSIGN_OR_RETURN(const ExperimentRow experiment, site_->store->experiments().Get(manifest.job));
  if (manifest.plan != experiment.plan_digest) {
    return absl::DataLossError("it names another plan than the one this site accepted");
  }
  CLOISTER_ASSIGN_OR_RETURN(const plan::Experiment plan, plan::ParsePlan(experiment.plan));
  if (plan::TaskJson(manifest.task) != plan::TaskJson(plan.task) || manifest.architecture != plan.model.architecture ||
      manifest.combiner != plan.ensemble.combiner || manifest.members.empty() ||
      !(manifest.operating_point >= 0 && manifest.operating_point <= 1)) {
    return absl::DataLossError("its task, architecture, combiner, members or operating point are not the plan's");
  }
  return manifest;
}

void ReleaseDesk::Look(const wire::ReleaseOffer& offer, const transport::StopSource& stop) {
  const Digest digest = crypto::Sha256(offer.manifest.document);
  const absl::StatusOr<plan::ReleaseManifest> named = plan::ParseRelease(offer.manifest.document);
  if (!named.ok()) {
    Log()->error("{}: a release that cannot be read was offered: {}", offer.job.value(), TextOf(named.status()));
    return;
  }
  listed_.insert(named->id);
  absl::StatusOr<ReleaseRow> row = site_->store->releases().Get(named->id);
  if (!row.ok()) {
    const absl::Status verified = Verify(offer).status();
    ReleaseRow fresh;
    fresh.release = named->id;
    fresh.job = named->job;
    fresh.task = named->task.name;
    fresh.version = named->version;
    fresh.digest = digest;
    fresh.manifest = offer.manifest.document;
    fresh.state = verified.ok() ? ReleaseState::kOffered : ReleaseState::kInvalid;
    fresh.detail = verified.ok() ? "is being validated" : TextOf(verified);
    fresh.received_unix_ms = site_->NowUnixMs();
    if (!site_->store->releases().AddOffer(fresh).ok()) {
      return;
    }
    site_->Tell(named->job.value(),
                verified.ok()
                    ? fmt::format("release {} ({}) verified, validating it here", named->id.value(), named->version)
                    : fmt::format("release {} is not used: {}", named->id.value(), fresh.detail));
    row = fresh;
  } else if (row->digest != digest) {
    Log()->error("release {} was offered before with another manifest: ignored", named->id.value());
    return;
  }
  if (row->state != ReleaseState::kOffered || site_->clock->Now() < again_[row->release]) {
    return;
  }
  const absl::Status status = Validate(*row, stop);
  if (status.ok() || absl::IsCancelled(status)) {
    return;
  }
  again_[row->release] = site_->clock->Now() + kTryAgainAfter;
  if (absl::IsDataLoss(status) || absl::IsInvalidArgument(status)) {
    (void)site_->store->releases().SetState(row->release, ReleaseState::kInvalid, TextOf(status), site_->NowUnixMs());
  }
  site_->Tell(row->job.value(),
              fmt::format("release {} could not be validated: {}", row->release.value(), TextOf(status)));
}

absl::StatusOr<ReleaseDesk::Verified> ReleaseDesk::Load(const ReleaseRow& row) const {
  if (crypto::Sha256(row.manifest) != row.digest) {
    return absl::DataLossError("the stored manifest of the release does not have its digest");
  }
  Verified release;
  CLOISTER_ASSIGN_OR_RETURN(release.manifest, plan::ParseRelease(row.manifest));
  CLOISTER_ASSIGN_OR_RETURN(const ExperimentRow experiment, site_->store->experiments().Get(row.job));
  CLOISTER_ASSIGN_OR_RETURN(release.plan, plan::ParsePlan(experiment.plan));
  CLOISTER_ASSIGN_OR_RETURN(release.cohort, site_->cohorts->Frozen(row.job));
  return release;
}

absl::StatusOr<std::optional<ValidationResult>> ReleaseDesk::Scores(const Verified& release, bool* has_local_only,
                                                                    const transport::StopSource& stop) {
  ScoredModel ensemble;
  ensemble.id = kReleaseId;
  for (const plan::ReleaseMember& member : release.manifest.members) {
    CLOISTER_ASSIGN_OR_RETURN(std::filesystem::path path,
                              site_->models->Fetch(member.model, std::min(member.size_bytes, kMaxMemberBytes), stop));
    CLOISTER_RETURN_IF_ERROR(site_->models->blobs().Verify(member.model));
    ensemble.members.push_back(std::move(path));
  }
  std::vector<ScoredModel> scored = {ensemble};
  std::vector<std::string> ids = {kReleaseId};
  const WorkerJob baseline = TrainingJob(release.manifest.job, release.plan, release.cohort, 0,
                                         site_->models->blobs().Path(release.plan.model.initial_model));
  if (const auto done = FinishedResult(site_->jobs->FolderOf(baseline))) {
    const absl::StatusOr<TrainingResult> result = ReadTrainingResult({site_->jobs->FolderOf(baseline), *done});
    if (result.ok()) {
      scored.push_back({kLocalOnlyId, {result->model}});
      ids.emplace_back(kLocalOnlyId);
    }
  }
  *has_local_only = ids.size() > 1;
  if (release.cohort.Of(CohortSplit::kTest).empty() && release.cohort.Of(CohortSplit::kTuning).empty()) {
    ValidationResult empty;
    for (const std::string& id : ids) {
      empty.test.scores[id] = {};
    }
    return empty;
  }
  const WorkerJob job = ValidationJob(release.manifest.job, release.plan, release.cohort, scored, "release");
  const auto progress = std::make_shared<ProgressReporter>(&site_->store->progress(), site_->clock,
                                                           release.manifest.job.value(), "release validation");
  const std::optional<WorkerOutcome> outcome =
      site_->jobs->Ensure(kTrainingLane, job, [progress](const WorkerProgress& at) { (*progress)(at); });
  if (!outcome.has_value()) {
    return std::nullopt;
  }
  if (const WorkerError* error = std::get_if<WorkerError>(&*outcome)) {
    site_->jobs->ForgetFailure(job);
    const std::string text = fmt::format("{}: {}", WorkerFailureName(error->failure), error->message);
    return error->failure == WorkerFailure::kModelInvalid ? absl::DataLossError(text) : absl::InternalError(text);
  }
  CLOISTER_ASSIGN_OR_RETURN(ValidationResult result,
                            ReadValidationResult(std::get<WorkerDone>(*outcome), release.cohort, ids));
  return result;
}

absl::Status ReleaseDesk::WriteReport(const ReleaseRow& row, const Verified& release, const ValidationResult& scores,
                                      bool has_local_only, ReleaseReport* report) const {
  ReleaseEvidence evidence;
  evidence.manifest = &release.manifest;
  evidence.plan = &release.plan;
  evidence.cohort = &release.cohort;
  evidence.manifest_digest = row.digest;
  evidence.cases = scores.test.CasesOf(kReleaseId);
  if (has_local_only) {
    evidence.local_only = scores.test.scores.at(kLocalOnlyId);
  }
  CLOISTER_ASSIGN_OR_RETURN(evidence.sign_off, site_->store->releases().NewestSignOff(row.release));
  evidence.generated_utc = FormatUtc(site_->clock->Now());
  evidence.code_version = site_->version;
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, site_->policy());
  CLOISTER_ASSIGN_OR_RETURN(*report, MakeReleaseReport(*site_->config, policy, evidence));
  const std::filesystem::path folder = site_->config->data / "reports" / row.release.value();
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "report.html", report->html, 0600));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "report.json", report->json, 0600));
  return site_->store->releases().SetReport(row.release, (folder / "report.html").string(),
                                            (folder / "report.json").string(), report->numbers);
}

absl::Status ReleaseDesk::Validate(const ReleaseRow& row, const transport::StopSource& stop) {
  CLOISTER_ASSIGN_OR_RETURN(const Verified release, Load(row));
  bool has_local_only = false;
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<ValidationResult> scores, Scores(release, &has_local_only, stop));
  if (!scores.has_value()) {
    return absl::OkStatus();
  }
  ReleaseReport report;
  CLOISTER_RETURN_IF_ERROR(WriteReport(row, release, *scores, has_local_only, &report));
  const ReleaseState state = report.gate_passed ? ReleaseState::kVerified : ReleaseState::kGateFailed;
  CLOISTER_RETURN_IF_ERROR(
      site_->store->releases().SetState(row.release, state, report.gate_detail, site_->NowUnixMs()));
  (void)site_->store->progress().Remove(row.job.value());
  site_->Tell(row.job.value(), report.gate_passed ? fmt::format("release {} waits for a clinician: cloister-site sign",
                                                                row.release.value())
                                                  : fmt::format("release {} did not pass this site's gate: {}",
                                                                row.release.value(), report.gate_detail));
  return absl::OkStatus();
}

void ReleaseDesk::RenderSigned(const ReleaseRow& row, const transport::StopSource& stop) {
  const absl::StatusOr<Verified> release = Load(row);
  if (!release.ok()) {
    return;
  }
  bool has_local_only = false;
  const auto scores = Scores(*release, &has_local_only, stop);  // the worker's result is there already
  if (!scores.ok() || !scores->has_value()) {
    return;
  }
  ReleaseReport report;
  const absl::Status written = WriteReport(row, *release, **scores, has_local_only, &report);
  if (!written.ok()) {
    Log()->warn("release {}: the signed report could not be written: {}", row.release.value(), TextOf(written));
  }
}

void ReleaseDesk::RollBack(const ReleaseRow& row, const SignOffRow& by) {
  ReleaseTable& releases = site_->store->releases();
  (void)releases.SetState(row.release, ReleaseState::kRolledBack, "rolled back by " + by.person, site_->NowUnixMs());
  site_->Tell(row.job.value(), fmt::format("release {} rolled back", row.release.value()));
  // What was in use before is in use again: a clinician had signed it.
  const absl::StatusOr<std::vector<ReleaseRow>> rows = releases.List();
  const ReleaseRow* before = nullptr;
  if (rows.ok()) {
    for (const ReleaseRow& other : *rows) {
      if (other.task == row.task && other.state == ReleaseState::kSuperseded &&
          (before == nullptr || other.updated_unix_ms > before->updated_unix_ms)) {
        before = &other;
      }
    }
  }
  if (before != nullptr &&
      releases.Activate(before->release, "in use again after a rollback", site_->NowUnixMs()).ok()) {
    site_->Tell(before->job.value(), fmt::format("release {} is in use again", before->release.value()));
  }
}

void ReleaseDesk::ApplySignOff(const ReleaseRow& row, const transport::StopSource& stop) {
  if (row.state != ReleaseState::kVerified && row.state != ReleaseState::kActive &&
      row.state != ReleaseState::kRolledBack) {
    return;
  }
  const absl::StatusOr<std::optional<SignOffRow>> newest = site_->store->releases().NewestSignOff(row.release);
  if (!newest.ok() || !newest->has_value()) {
    return;
  }
  const SignOffRow& by = **newest;
  if (by.decision == SignOffDecision::kAccept && row.state != ReleaseState::kActive) {
    RenderSigned(row, stop);
    if (site_->store->releases().Activate(row.release, "signed by " + by.person, site_->NowUnixMs()).ok()) {
      site_->Tell(row.job.value(), fmt::format("release {} is active", row.release.value()));
    }
  } else if (by.decision == SignOffDecision::kDecline && row.state == ReleaseState::kVerified) {
    RenderSigned(row, stop);
    (void)site_->store->releases().SetState(row.release, ReleaseState::kDeclined, "declined by " + by.person,
                                            site_->NowUnixMs());
    site_->Tell(row.job.value(), fmt::format("release {} was declined by a clinician", row.release.value()));
  } else if (by.decision != SignOffDecision::kAccept && row.state == ReleaseState::kActive) {
    RollBack(row, by);
  }
}

void ReleaseDesk::Tell(const ReleaseId& release, const transport::StopSource& stop) {
  const absl::StatusOr<ReleaseRow> row = site_->store->releases().Get(release);
  const std::optional<wire::ReleaseState> state = row.ok() ? ToWire(row->state) : std::nullopt;
  if (!state.has_value()) {
    return;
  }
  const auto told = told_.find(release);
  const bool changed = told == told_.end() || told->second.first != row->state;
  const bool asked = listed_.count(release) > 0 &&
                     (told == told_.end() || site_->clock->Now() - told->second.second >= kSayAgainAfter);
  if (!changed && !asked) {
    return;
  }
  wire::ReleaseAnswer answer;
  answer.release = release;
  answer.state = *state;
  const absl::Status sent = site_->egress->Submit(answer, stop);
  if (sent.ok() || absl::IsFailedPrecondition(sent) || absl::IsAborted(sent)) {
    told_[release] = {row->state, site_->clock->Now()};
  } else if (!absl::IsCancelled(sent)) {
    Log()->warn("release {}: the answer did not get through: {}", release.value(), TextOf(sent));
    told_[release] = {row->state, site_->clock->Now()};
  }
}

}  // namespace cloister::site
