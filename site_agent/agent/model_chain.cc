// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/model_chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/plan/guards.h"
#include "protocols/plan/next_model.h"
#include "protocols/plan/sum_result.h"
#include "protocols/plan/sums.h"

namespace cloister::site {

// Those of one training round, and the global model that the round started from.
struct ModelChain::Totals {
  plan::SumResult result;
  std::string mismatch;  // they do not have the sites' tags, and in which words
  update::MappedModel global;
  std::optional<update::MappedModel> before;  // where the guards ask for it

  absl::StatusOr<plan::AggregateVerdict> Judge(const plan::Experiment& plan) const {
    return plan::JudgeAggregate(plan, global, before.has_value() ? &*before : nullptr, result.Values(0),
                                result.Values64(1));
  }
};

absl::StatusOr<ModelChain::GlobalModel> ModelChain::Fetch(const Owner& owner, const wire::ModelRef& model,
                                                          const transport::StopSource& stop) const {
  GlobalModel global;
  CLOISTER_ASSIGN_OR_RETURN(global.checked, sums_->IsChecked(owner.job, model.blob));
  global.checked = global.checked || model.blob == owner.plan.model.initial_model;
  if (!global.checked && model.made_by.has_value()) {
    const absl::Status made = Make(owner, model, *model.made_by, stop, global);
    if (!made.ok()) {
      return Annotate(made, "global model " + model.id);
    }
    if (!global.mismatch.empty()) {
      return global;
    }
  }
  for (const wire::SumOrigin& refused : model.refused) {
    const absl::StatusOr<std::string> line = CheckRefusal(owner, refused, stop);
    if (!line.ok()) {
      return Annotate(line.status(), fmt::format("training round {}", refused.round));
    }
    if (!line->empty()) {
      global.refusals.push_back(*line);
    }
  }
  if (global.path.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(global.path, models_->Fetch(model.blob, owner.most_model_bytes, stop));
  }
  if (!global.checked) {
    Log()->info("{}: global model {} was made while this site was away; it relies on the sites that checked it",
                owner.job.value(), model.id);
  }
  return global;
}

absl::StatusOr<std::optional<ModelChain::Totals>> ModelChain::FetchTotals(const Owner& owner,
                                                                          const wire::SumOrigin& origin,
                                                                          const transport::StopSource& stop) const {
  CLOISTER_ASSIGN_OR_RETURN(std::vector<SumCheckRow> checks,
                            sums_->Checks(owner.job, static_cast<int>(wire::SumKind::kTrain), origin.round));
  checks.erase(std::remove_if(checks.begin(), checks.end(),
                              [&](const SumCheckRow& check) { return check.model != origin.parent; }),
               checks.end());
  if (checks.empty()) {
    return std::nullopt;
  }
  const std::vector<secagg::VectorSpec> vectors = plan::SumVectors(owner.plan, plan::SumKind::kTrain, {});
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path path,
                            models_->Fetch(origin.result, plan::MostSumResultBytes(vectors), stop));
  CLOISTER_ASSIGN_OR_RETURN(plan::SumResult result, plan::SumResult::Open(path));
  const auto check = std::find_if(checks.begin(), checks.end(),
                                  [&](const SumCheckRow& row) { return row.ctx2 == result.header().ctx2; });
  if (check == checks.end()) {
    return std::nullopt;  // of an attempt that went on without this site
  }
  const absl::Status holds =
      plan::CheckSumResult(result, {check->ctx2, check->survivors, check->seed.Clone()}, vectors);
  if (!holds.ok() && !absl::IsAborted(holds)) {
    return holds;
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path parent,
                            models_->Fetch(origin.parent, owner.most_model_bytes, stop));
  CLOISTER_ASSIGN_OR_RETURN(update::MappedModel global, update::MappedModel::Open(parent));
  Totals totals{std::move(result), holds.ok() ? "" : std::string(holds.message()), std::move(global), std::nullopt};
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<Digest> wanted, plan::ModelBefore(owner.plan, totals.global));
  if (wanted.has_value()) {
    CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path before,
                              models_->Fetch(*wanted, owner.most_model_bytes, stop));
    CLOISTER_ASSIGN_OR_RETURN(totals.before, update::MappedModel::Open(before));
  }
  return totals;
}

absl::Status ModelChain::Make(const Owner& owner, const wire::ModelRef& model, const wire::SumOrigin& origin,
                              const transport::StopSource& stop, GlobalModel& global) const {
  const std::filesystem::path next = folder_ / fmt::format("next-model-{}", owner.job.value());
  Digest made;
  {
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<Totals> totals, FetchTotals(owner, origin, stop));
    if (!totals.has_value()) {
      return absl::OkStatus();
    }
    if (!totals->mismatch.empty()) {
      global.mismatch = fmt::format("training round {}: {}", origin.round, totals->mismatch);
      return absl::OkStatus();
    }
    CLOISTER_ASSIGN_OR_RETURN(const plan::AggregateVerdict verdict, totals->Judge(owner.plan));
    if (!verdict.broken.empty()) {
      return absl::DataLossError("its round breaks a guard, so it must not be: " + verdict.broken);
    }
    CLOISTER_ASSIGN_OR_RETURN(const auto lineage,
                              plan::NextLineage(owner.plan, totals->global, origin.parent, verdict));
    CLOISTER_ASSIGN_OR_RETURN(made, plan::WriteNextModel(next, owner.plan, totals->global, totals->result.Values(0),
                                                         totals->result.Values64(1), lineage));
  }
  if (made != model.blob) {
    return absl::DataLossError(fmt::format("what the sites added up gives model {}, the coordinator publishes {}",
                                           made.short_hex(), model.blob.short_hex()));
  }
  CLOISTER_ASSIGN_OR_RETURN(std::filesystem::path path, models_->Adopt(next, made));
  CLOISTER_RETURN_IF_ERROR(sums_->SetChecked(owner.job, model.blob));
  (void)models_->blobs().Remove(origin.result);  // as large as the model, and not needed again
  global.path = std::move(path);
  global.checked = true;
  return absl::OkStatus();
}

absl::StatusOr<std::string> ModelChain::CheckRefusal(const Owner& owner, const wire::SumOrigin& refused,
                                                     const transport::StopSource& stop) const {
  CLOISTER_ASSIGN_OR_RETURN(const bool known, sums_->IsChecked(owner.job, refused.result));
  if (known) {
    return std::string();
  }
  std::string line;
  bool mismatch = false;
  {
    CLOISTER_ASSIGN_OR_RETURN(const std::optional<Totals> totals, FetchTotals(owner, refused, stop));
    if (!totals.has_value()) {
      return std::string();
    }
    // Without the tags there is nothing to judge: the round is lost either way.
    line = totals->mismatch;
    mismatch = !line.empty();
    if (!mismatch) {
      const absl::StatusOr<plan::AggregateVerdict> verdict = totals->Judge(owner.plan);
      if (!verdict.ok() || verdict->broken.empty()) {
        return verdict.ok() ? absl::DataLossError("its totals break no guard, but the coordinator refuses them")
                            : verdict.status();
      }
      line = "refused, and rightly: " + verdict->broken;
    }
  }
  CLOISTER_RETURN_IF_ERROR(sums_->SetChecked(owner.job, refused.result));
  if (!mismatch) {  // then it is evidence
    (void)models_->blobs().Remove(refused.result);
  }
  return fmt::format("training round {}: {}", refused.round, line);
}

}  // namespace cloister::site
