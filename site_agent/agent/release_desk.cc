// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/release_desk.h"

#include <fmt/format.h>

#include "eval/federated/site_summary.h"
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
constexpr absl::Duration kDecideAgainAfter = absl::Seconds(5);
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

absl::Status NotGenuine(const std::string& why) {
  return absl::DataLossError(why);
}

// Damage or trouble at this site says nothing about a release, whatever its code.
absl::Status TryAgain(const absl::Status& why) {
  return absl::UnavailableError(TextOf(why));
}

absl::Status CheckSignature(const wire::SignedDocument& manifest, const crypto::Certificate& ca, absl::Time now) {
  const auto holds_at = [&](absl::Time time) {
    return crypto::VerifySignature(manifest.certificate, ca, plan::kReleaseDomain, manifest.document,
                                   manifest.signature, crypto::Role::kCoordinator, time)
        .status();
  };
  const absl::Status held = holds_at(now);
  if (held.ok()) {
    return held;
  }
  // A clock can be set and a certificate renewed; a forged signature holds at no time.
  const absl::StatusOr<crypto::Certificate> certificate = crypto::Certificate::FromDer(manifest.certificate);
  const bool held_once = certificate.ok() && holds_at(certificate->not_before()).ok();
  return held_once ? TryAgain(held) : NotGenuine(TextOf(held));
}

// What the plan fixed beforehand must be in the release as it was.
absl::Status CheckContent(const plan::ReleaseManifest& manifest, const plan::Experiment& plan) {
  if (plan::TaskJson(manifest.task) != plan::TaskJson(plan.task) || manifest.architecture != plan.model.architecture ||
      manifest.combiner != plan.ensemble.combiner || manifest.members.empty() ||
      !(manifest.operating_point >= 0 && manifest.operating_point <= 1)) {
    return NotGenuine("its task, architecture, combiner, members or operating point are not the plan's");
  }
  for (const plan::SiteResult& result : manifest.results) {
    if (const absl::Status valid = eval::ParseSummary(result.summary).status(); !valid.ok()) {
      return NotGenuine(fmt::format("what {} measured cannot be read: {}", result.site.value(), TextOf(valid)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void ReleaseDesk::Step(const std::vector<wire::ReleaseOffer>& offers, const transport::StopSource& stop) {
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
    Tell(row.release, stop);
  }
}

void ReleaseDesk::ApplySignOffs() {
  const absl::StatusOr<std::vector<ReleaseRow>> rows = site_->store->releases().List();
  if (!rows.ok()) {
    Log()->error("releases cannot be read: {}", TextOf(rows.status()));
    return;
  }
  for (const ReleaseRow& row : *rows) {
    ApplySignOff(row.release);
  }
}

absl::Status ReleaseDesk::Verify(const wire::ReleaseOffer& offer) const {
  CLOISTER_RETURN_IF_ERROR(CheckSignature(offer.manifest, *site_->ca, site_->clock->Now()));
  const absl::StatusOr<plan::ReleaseManifest> manifest = plan::ParseRelease(offer.manifest.document);
  if (!manifest.ok()) {
    return NotGenuine(TextOf(manifest.status()));
  }
  const absl::StatusOr<ExperimentRow> experiment = site_->store->experiments().Get(manifest->job);
  if (!experiment.ok()) {
    return TryAgain(experiment.status());
  }
  if (manifest->plan != experiment->plan_digest) {
    return NotGenuine("it names another plan than the one this site accepted");
  }
  const absl::StatusOr<plan::Experiment> plan = plan::ParsePlan(experiment->plan);
  return plan.ok() ? CheckContent(*manifest, *plan) : TryAgain(plan.status());
}

void ReleaseDesk::Look(const wire::ReleaseOffer& offer, const transport::StopSource& stop) {
  ReleaseTable& releases = site_->store->releases();
  const Digest digest = crypto::Sha256(offer.manifest.document);
  const absl::StatusOr<plan::ReleaseManifest> named = plan::ParseRelease(offer.manifest.document);
  if (!named.ok()) {
    Log()->error("{}: a release that cannot be read was offered: {}", offer.job.value(), TextOf(named.status()));
    return;
  }
  listed_.insert(named->id);
  absl::StatusOr<ReleaseRow> row = releases.Get(named->id);
  if (absl::IsNotFound(row.status())) {
    ReleaseRow fresh;
    fresh.release = named->id;
    fresh.job = named->job;
    fresh.task = named->task.name;
    fresh.version = named->version;
    fresh.digest = digest;
    fresh.manifest = offer.manifest.document;
    fresh.detail = "is being validated";
    fresh.received_unix_ms = site_->NowUnixMs();
    const absl::Status added = releases.AddOffer(fresh);
    row = added.ok() ? absl::StatusOr<ReleaseRow>(fresh) : absl::StatusOr<ReleaseRow>(added);
  }
  if (!row.ok()) {
    Log()->error("release {} cannot be looked up: {}", named->id.value(), TextOf(row.status()));
    return;
  }
  if (row->digest != digest) {
    Log()->error("release {} was offered before with another manifest: ignored", named->id.value());
    return;
  }
  const auto problem = unvalidated_.find(row->release);
  if (row->state != ReleaseState::kOffered ||
      (problem != unvalidated_.end() && site_->clock->Now() < problem->second.again)) {
    return;
  }
  const absl::Status genuine = Verify(offer);
  if (absl::IsDataLoss(genuine)) {
    if (releases.SetState(row->release, ReleaseState::kInvalid, TextOf(genuine), site_->NowUnixMs()).ok()) {
      site_->Tell(row->job.value(), fmt::format("release {} is not used: {}", row->release.value(), TextOf(genuine)));
    }
    return;
  }
  const absl::Status status = genuine.ok() ? Validate(*row, stop) : genuine;
  if (status.ok() || absl::IsCancelled(status)) {
    return;
  }
  const std::string detail = "could not be validated yet: " + TextOf(status);
  unvalidated_[row->release] = {detail, site_->clock->Now() + kTryAgainAfter};
  if (detail != row->detail) {
    (void)releases.SetState(row->release, ReleaseState::kOffered, detail, site_->NowUnixMs());
    site_->Tell(row->job.value(), fmt::format("release {} {}", row->release.value(), detail));
  }
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

absl::StatusOr<ReleaseDesk::Scored> ReleaseDesk::Score(const Verified& release) const {
  ScoredModel ensemble;
  ensemble.id = kReleaseId;
  for (const plan::ReleaseMember& member : release.manifest.members) {
    CLOISTER_RETURN_IF_ERROR(site_->models->blobs().Verify(member.model));
    ensemble.members.push_back(site_->models->blobs().Path(member.model));
  }
  Scored scored;
  std::vector<ScoredModel> models = {ensemble};
  std::vector<std::string> ids = {kReleaseId};
  const WorkerJob baseline = TrainingJob(release.manifest.job, release.plan, release.cohort, 0,
                                         site_->models->blobs().Path(release.plan.model.initial_model));
  const auto trained = FinishedResult(site_->jobs->FolderOf(baseline));
  if (trained.has_value()) {
    const absl::StatusOr<TrainingResult> result = ReadTrainingResult({site_->jobs->FolderOf(baseline), *trained});
    if (result.ok()) {
      models.push_back({kLocalOnlyId, {result->model}});
      ids.emplace_back(kLocalOnlyId);
      scored.has_local_only = true;
    }
  }
  if (release.cohort.Of(CohortSplit::kTest).empty() && release.cohort.Of(CohortSplit::kTuning).empty()) {
    scored.result.emplace();
    for (const std::string& id : ids) {
      scored.result->test.scores[id] = {};
    }
    return scored;
  }
  const WorkerJob job = ValidationJob(release.manifest.job, release.plan, release.cohort, models, "release");
  std::optional<WorkerOutcome> outcome;
  if (auto done = FinishedResult(site_->jobs->FolderOf(job))) {  // does not wait for its turn behind a training
    outcome = WorkerDone{site_->jobs->FolderOf(job), *std::move(done)};
  } else {
    const auto progress = std::make_shared<ProgressReporter>(&site_->store->progress(), site_->clock,
                                                             release.manifest.job.value(), "release validation");
    outcome = site_->jobs->Ensure(kTrainingLane, job, [progress](const WorkerProgress& at) { (*progress)(at); });
  }
  if (!outcome.has_value()) {
    return scored;
  }
  if (const WorkerError* error = std::get_if<WorkerError>(&*outcome)) {
    site_->jobs->ForgetFailure(job);
    return absl::InternalError(fmt::format("{}: {}", WorkerFailureName(error->failure), error->message));
  }
  CLOISTER_ASSIGN_OR_RETURN(scored.result, ReadValidationResult(std::get<WorkerDone>(*outcome), release.cohort, ids));
  if (const auto bad = scored.result->unscored.find(kReleaseId); bad != scored.result->unscored.end()) {
    scored.model_invalid = bad->second;
  }
  scored.has_local_only = scored.has_local_only && scored.result->unscored.count(kLocalOnlyId) == 0;
  return scored;
}

absl::StatusOr<ReleaseReport> ReleaseDesk::WriteReport(const ReleaseRow& row, const Verified& release,
                                                       const Scored& scored) const {
  ReleaseEvidence evidence;
  evidence.manifest = &release.manifest;
  evidence.plan = &release.plan;
  evidence.cohort = &release.cohort;
  evidence.manifest_digest = row.digest;
  evidence.cases = scored.result->test.CasesOf(kReleaseId);
  if (scored.has_local_only) {
    evidence.local_only = scored.result->test.scores.at(kLocalOnlyId);
  }
  CLOISTER_ASSIGN_OR_RETURN(evidence.sign_off, site_->store->releases().NewestSignOff(row.release));
  CLOISTER_ASSIGN_OR_RETURN(evidence.privacy, site_->store->privacy().Get(row.job));
  evidence.generated_utc = FormatUtc(site_->clock->Now());
  evidence.code_version = site_->version;
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, site_->policy());
  CLOISTER_ASSIGN_OR_RETURN(ReleaseReport report, MakeReleaseReport(*site_->config, policy, evidence));
  const std::filesystem::path folder = site_->config->data / "reports" / row.release.value();
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "report.html", report.html, 0600));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "report.json", report.json, 0600));
  CLOISTER_RETURN_IF_ERROR(site_->store->releases().SetReport(row.release, (folder / "report.html").string(),
                                                              (folder / "report.json").string(), report.numbers));
  return report;
}

absl::Status ReleaseDesk::Validate(const ReleaseRow& row, const transport::StopSource& stop) {
  ReleaseTable& releases = site_->store->releases();
  CLOISTER_ASSIGN_OR_RETURN(const Verified release, Load(row));
  for (const plan::ReleaseMember& member : release.manifest.members) {
    CLOISTER_RETURN_IF_ERROR(
        site_->models->Fetch(member.model, std::min(member.size_bytes, kMaxMemberBytes), stop).status());
    CLOISTER_RETURN_IF_ERROR(site_->models->blobs().Sync(member.model));  // it is to serve without a coordinator
  }
  CLOISTER_ASSIGN_OR_RETURN(const Scored scored, Score(release));
  if (!scored.model_invalid.empty()) {
    return releases.SetState(row.release, ReleaseState::kInvalid, scored.model_invalid, site_->NowUnixMs());
  }
  if (!scored.result.has_value()) {
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(const ReleaseReport report, WriteReport(row, release, scored));
  const bool failed = report.gate == eval::Outcome::kFail;
  CLOISTER_RETURN_IF_ERROR(releases.SetState(row.release, failed ? ReleaseState::kGateFailed : ReleaseState::kVerified,
                                             report.gate_detail, site_->NowUnixMs()));
  (void)site_->store->progress().Remove(row.job.value());
  site_->Tell(row.job.value(),
              fmt::format("release {} {} ({})", row.release.value(),
                          failed ? "did not pass this site's gate" : "waits for a clinician: cloister-site sign",
                          report.gate_detail));
  return absl::OkStatus();
}

absl::Status ReleaseDesk::RollBack(const ReleaseRow& row, const SignOffRow& by) const {
  CLOISTER_ASSIGN_OR_RETURN(
      const std::optional<ReleaseId> before,
      site_->store->releases().RollBack(row.release, "rolled back by " + by.person, site_->NowUnixMs()));
  site_->Tell(row.job.value(),
              fmt::format("release {} rolled back; {}", row.release.value(),
                          before ? fmt::format("release {} is in use again", before->value()) : "none is in use"));
  return absl::OkStatus();
}

// Judged again on the policy of now, so that nothing is used that would not pass today; the report then has the
// signature in it.
absl::Status ReleaseDesk::Decide(const ReleaseRow& row, const SignOffRow& by) const {
  ReleaseTable& releases = site_->store->releases();
  CLOISTER_ASSIGN_OR_RETURN(const Verified release, Load(row));
  CLOISTER_ASSIGN_OR_RETURN(const Scored scored, Score(release));
  if (!scored.model_invalid.empty()) {
    return absl::InternalError(scored.model_invalid);  // it could be used before
  }
  if (!scored.result.has_value()) {
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(const ReleaseReport report, WriteReport(row, release, scored));
  if (by.decision == SignOffDecision::kDecline) {
    CLOISTER_RETURN_IF_ERROR(
        releases.SetState(row.release, ReleaseState::kDeclined, "declined by " + by.person, site_->NowUnixMs()));
    site_->Tell(row.job.value(), fmt::format("release {} was declined by a clinician", row.release.value()));
    return absl::OkStatus();
  }
  if (report.gate == eval::Outcome::kFail) {
    CLOISTER_RETURN_IF_ERROR(
        releases.SetState(row.release, ReleaseState::kGateFailed, report.gate_detail, site_->NowUnixMs()));
    site_->Tell(row.job.value(), fmt::format("release {} was signed but does not pass this site's gate any more: {}",
                                             row.release.value(), report.gate_detail));
    return absl::OkStatus();
  }
  std::string detail = "signed by " + by.person;
  if (report.gate == eval::Outcome::kNotEstimable) {
    detail += "; " + report.gate_detail;
  }
  CLOISTER_RETURN_IF_ERROR(releases.Activate(row.release, detail, site_->NowUnixMs()));
  site_->Tell(row.job.value(), fmt::format("release {} is active", row.release.value()));
  return absl::OkStatus();
}

void ReleaseDesk::ApplySignOff(const ReleaseId& release) {
  // Read now: a decision just before may have changed this release too.
  const absl::StatusOr<ReleaseRow> row = site_->store->releases().Get(release);
  const absl::StatusOr<std::optional<SignOffRow>> newest = site_->store->releases().NewestSignOff(release);
  if (!row.ok() || !newest.ok()) {
    Log()->error("the sign-off of release {} cannot be read: {}", release.value(),
                 TextOf(row.ok() ? newest.status() : row.status()));
    return;
  }
  if (!newest->has_value()) {
    return;
  }
  const SignOffRow& by = **newest;
  absl::Status status;
  if (row->state == ReleaseState::kActive && by.decision != SignOffDecision::kAccept) {
    status = RollBack(*row, by);
  } else if ((row->state == ReleaseState::kVerified && by.decision != SignOffDecision::kRollback) ||
             (row->state == ReleaseState::kRolledBack && by.decision == SignOffDecision::kAccept)) {
    const auto problem = undecided_.find(release);
    if (problem != undecided_.end() && site_->clock->Now() < problem->second.again) {
      return;
    }
    status = Decide(*row, by);
  }
  if (status.ok()) {
    undecided_.erase(release);
    return;
  }
  Problem& problem = undecided_[release];
  problem.again = site_->clock->Now() + kDecideAgainAfter;
  if (problem.text != TextOf(status)) {
    problem.text = TextOf(status);
    site_->Tell(row->job.value(), fmt::format("the decision of {} on release {} cannot take effect yet: {}", by.person,
                                              release.value(), problem.text));
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
