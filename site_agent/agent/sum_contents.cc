// SPDX-License-Identifier: Apache-2.0
// The part of ExperimentRunner that turns local results into what a secure sum adds up.

#include <fmt/format.h>

#include <algorithm>

#include "eval/federated/score_histogram.h"
#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/site_privacy.h"
#include "site_agent/agent/experiment_runner.h"
#include "site_agent/agent/progress_reporter.h"
#include "site_agent/agent/status_text.h"

namespace cloister::site {
namespace {

constexpr char kEnsembleId[] = "ensemble";
constexpr char kLocalOnlyId[] = "local-only";

}  // namespace

absl::StatusOr<std::vector<VectorContent>> ExperimentRunner::TrainingContents(const AcceptedExperiment& experiment,
                                                                              const wire::SumStep& step,
                                                                              const OpenSum& sum,
                                                                              const TrainingResult& local) {
  CLOISTER_ASSIGN_OR_RETURN(global_, update::MappedModel::Open(sum.global_model));
  CLOISTER_ASSIGN_OR_RETURN(local_, update::MappedModel::Open(local.model));
  if (global_->layout() != local_->layout()) {
    failure_ = wire::FailureReason::kModelInvalid;
    return absl::InternalError("the worker trained a model of another layout");
  }
  // The weight is this site's word to the others, not the worker's.
  if (const size_t cases = experiment.cohort.Of(CohortSplit::kTrain).size(); local.samples > cases) {
    failure_ = wire::FailureReason::kModelInvalid;
    return absl::InternalError(
        fmt::format("the worker says that it trained on {} cases; the cohort has {}", local.samples, cases));
  }
  SiteUpdate::Inputs inputs;
  inputs.plan = &experiment.plan;
  inputs.layout = &global_->layout();
  inputs.local = local_->values();
  inputs.global = global_->values();
  inputs.samples = local.samples;
  inputs.site_secret = site_->site_secret;
  inputs.job_secret = &experiment.job_secret;
  // Bound to both models: the same update repeats its bits after a restart or in another attempt, and no other one
  // meets them.
  inputs.label = CanonicalWriter()
                     .Put(experiment.plan_digest)
                     .U32(step.round)
                     .Put(step.models[0].blob)
                     .Put(crypto::MerkleRoot(local_->file()))
                     .Take();
  absl::StatusOr<SiteUpdate> made = SiteUpdate::Create(inputs);
  if (!made.ok()) {
    if (absl::IsInvalidArgument(made.status())) {
      failure_ = wire::FailureReason::kNotFinite;
    }
    return made.status();
  }
  update_.emplace(*std::move(made));
  plan::TrainCounters counters;
  counters.weight = update_->weight().fixed();
  // With differential privacy the loss stays here, since it has no noise; where the unit is the site, so do the counts.
  if (!plan::HasSiteUnit(experiment.plan)) {
    counters.samples = local.samples;
    counters.batches = local.batches;
  }
  if (!experiment.plan.privacy.differential_privacy.has_value()) {
    counters.loss_sum = local.loss_sum;
  }
  std::vector<VectorContent> contents(2);
  const auto read = [this](uint64_t first, auto residues) {
    const absl::Status status = update_->Read(first, residues);
    if (!status.ok()) {
      failure_ = wire::FailureReason::kNotFinite;
    }
    return status;
  };
  contents[0] = {global_->values().size(), read, read};
  contents[1] = CountersContent(plan::EncodeTrainCounters(counters));
  return contents;
}

absl::StatusOr<std::optional<std::filesystem::path>> ExperimentRunner::PathOf(const AcceptedExperiment& experiment,
                                                                              const wire::ModelRef& model,
                                                                              const transport::StopSource& stop) {
  if (model.kind == wire::ModelKind::kGlobal) {
    CLOISTER_ASSIGN_OR_RETURN(std::filesystem::path path,
                              site_->models->Fetch(model.blob, experiment.MostModelBytes(), stop));
    return path;
  }
  const BaselineSeal seal = {experiment.plan_digest, model.origin_site};
  absl::StatusOr<std::filesystem::path> path = site_->models->FetchSealed(
      model.blob, experiment.MostModelBytes(), model.sealed_key, seal, site_->site(), experiment.sealing_key, stop);
  if (path.ok()) {
    return *std::move(path);
  }
  if (absl::IsCancelled(path.status()) || absl::IsUnavailable(path.status())) {
    return path.status();
  }
  // One bad baseline does not stop the others: it gets no score here.
  Log()->warn("{}: {} cannot be opened and is not scored: {}", job_.value(), model.id, TextOf(path.status()));
  return std::nullopt;
}

absl::StatusOr<std::optional<std::vector<uint64_t>>> ExperimentRunner::ValidationCounters(
    const AcceptedExperiment& experiment, const wire::SumStep& step, const OpenSum& sum,
    const transport::StopSource& stop) {
  const plan::Experiment& plan = experiment.plan;
  const bool calibrate = step.kind == wire::SumKind::kCalibrate;
  std::vector<ScoredModel> scored;
  std::string own_baseline;  // the id under which this site's local-only model is scored
  if (calibrate) {
    ScoredModel ensemble;
    ensemble.id = kEnsembleId;
    for (const wire::ModelRef& model : step.models) {
      CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::filesystem::path> path, PathOf(experiment, model, stop));
      if (!path.has_value()) {
        return absl::DataLossError("a member of the ensemble cannot be opened");
      }
      ensemble.members.push_back(*path);
    }
    scored.push_back(std::move(ensemble));
  } else {
    for (const wire::ModelRef& model : step.models) {
      CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::filesystem::path> path, PathOf(experiment, model, stop));
      if (path.has_value()) {
        scored.push_back({model.id, {*path}});
        if (model.kind == wire::ModelKind::kBaseline && model.origin_site == site_->site()) {
          own_baseline = model.id;
        }
      }
    }
    if (own_baseline.empty()) {
      const WorkerJob baseline =
          TrainingJob(job_, plan, experiment.cohort, 0, site_->models->blobs().Path(plan.model.initial_model));
      if (const auto done = FinishedResult(site_->jobs->FolderOf(baseline))) {
        const absl::StatusOr<TrainingResult> result = ReadTrainingResult({site_->jobs->FolderOf(baseline), *done});
        if (result.ok()) {
          scored.push_back({kLocalOnlyId, {result->model}});
          own_baseline = kLocalOnlyId;
        }
      }
    }
  }

  std::vector<std::string> ids;
  for (const ScoredModel& model : scored) {
    ids.push_back(model.id);
  }
  ValidationResult result;
  result.test.cases = experiment.cohort.Of(CohortSplit::kTest);
  result.tuning.cases = experiment.cohort.Of(CohortSplit::kTuning);
  if (!scored.empty() && !(result.test.cases.empty() && result.tuning.cases.empty())) {
    const WorkerJob job =
        ValidationJob(job_, plan, experiment.cohort, scored, calibrate ? "calibration" : "validation");
    const auto progress = std::make_shared<ProgressReporter>(&site_->store->progress(), site_->clock, job_.value(),
                                                             calibrate ? "calibration" : "validation");
    const std::optional<WorkerOutcome> outcome =
        site_->jobs->Ensure(kTrainingLane, job, [progress](const WorkerProgress& at) { (*progress)(at); });
    if (!outcome.has_value()) {
      return std::nullopt;
    }
    if (const WorkerError* error = std::get_if<WorkerError>(&*outcome)) {
      failure_ = FailureOf(*error);
      site_->jobs->ForgetFailure(job);
      return absl::InternalError(fmt::format("validation: {}: {}", WorkerFailureName(error->failure), error->message));
    }
    CLOISTER_ASSIGN_OR_RETURN(result, ReadValidationResult(std::get<WorkerDone>(*outcome), experiment.cohort, ids));
    for (const auto& [id, why] : result.unscored) {
      Log()->warn("{}: {} cannot be used and is not scored: {}", job_.value(), id, why);
    }
    if (calibrate && !result.unscored.empty()) {
      failure_ = wire::FailureReason::kModelInvalid;
      return absl::InvalidArgumentError(
          fmt::format("the ensemble cannot be used: {}", result.unscored.begin()->second));
    }
    if (result.unscored.count(own_baseline) > 0) {
      own_baseline.clear();
    }
  } else {
    for (const std::string& id : ids) {
      result.test.scores[id] = {};
      result.tuning.scores[id] = {};
    }
  }

  std::vector<uint64_t> counters;
  for (const plan::HistogramSlot& slot : plan::HistogramSlots(static_cast<plan::SumKind>(step.kind), sum.models)) {
    const std::string id = calibrate ? kEnsembleId : sum.models[slot.members.front()].id;
    const ScoredSplit& split = slot.split == plan::Split::kTest ? result.test : result.tuning;
    CLOISTER_ASSIGN_OR_RETURN(const eval::ScoreHistogram histogram,
                              split.scores.count(id) > 0
                                  ? eval::ScoreHistogram::FromCases(split.CasesOf(id), plan.evaluation.histogram_bins)
                                  : eval::ScoreHistogram::Create(plan.evaluation.histogram_bins));
    const std::vector<uint64_t> values = histogram.Counters();
    counters.insert(counters.end(), values.begin(), values.end());
  }
  if (!calibrate) {
    CLOISTER_RETURN_IF_ERROR(SendSummary(experiment, step, result, own_baseline, stop));
  }
  return counters;
}

absl::Status ExperimentRunner::SendSummary(const AcceptedExperiment& experiment, const wire::SumStep& step,
                                           const ValidationResult& result, const std::string& own_baseline,
                                           const transport::StopSource& stop) {
  const std::string what = fmt::format("summary/{}/{}", static_cast<int>(step.kind), step.round);
  if (!Due(what)) {
    return absl::OkStatus();
  }
  const std::vector<eval::Gate> gates = GatesOf(experiment.plan, true);
  // The local-only model was trained without noise: with differential privacy nothing is said of it that no gate needs.
  const bool compare = !experiment.plan.privacy.differential_privacy.has_value() ||
                       std::any_of(gates.begin(), gates.end(), [](const eval::Gate& gate) {
                         return gate.comparison == eval::Gate::Comparison::kNonInferior;
                       });
  wire::SiteSummary message;
  message.job = job_;
  message.kind = step.kind;
  message.round = step.round;
  for (const wire::ModelRef& model : step.models) {
    if (result.test.scores.count(model.id) == 0) {
      continue;
    }
    const eval::Cases cases = result.test.CasesOf(model.id);
    eval::SummaryInput input;
    input.model = model.blob;
    input.cases = cases;
    if (compare && !own_baseline.empty()) {
      input.local_only_scores = result.test.scores.at(own_baseline);
    }
    input.gates = gates;
    CLOISTER_ASSIGN_OR_RETURN(const eval::SiteSummary summary, eval::Summarise(input, MinimumCellOf(experiment.plan)));
    message.models.push_back({model.id, eval::SummaryJson(summary)});
  }
  CLOISTER_RETURN_IF_ERROR(Send(message, stop));
  Delivered(what);
  return absl::OkStatus();
}

}  // namespace cloister::site
