// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/model_chain.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/plan/next_model.h"
#include "protocols/plan/sum_result.h"
#include "protocols/plan/sums.h"

namespace cloister::site {

absl::StatusOr<ModelChain::GlobalModel> ModelChain::Fetch(const Owner& owner, const wire::ModelRef& model,
                                                          const transport::StopSource& stop) const {
  CLOISTER_ASSIGN_OR_RETURN(bool checked, sums_->IsChecked(owner.job, model.blob));
  checked = checked || model.blob == owner.plan.model.initial_model;
  if (!checked && model.made_by.has_value()) {
    const absl::StatusOr<std::optional<std::filesystem::path>> made = Make(owner, model, *model.made_by, stop);
    if (!made.ok()) {
      return Annotate(made.status(), "global model " + model.id);
    }
    if (made->has_value()) {
      return GlobalModel{**made, true};
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(std::filesystem::path path, models_->Fetch(model.blob, owner.most_model_bytes, stop));
  if (!checked) {
    Log()->info("{}: global model {} was made while this site was away; it relies on the sites that checked it",
                owner.job.value(), model.id);
  }
  return GlobalModel{std::move(path), checked};
}

absl::StatusOr<std::optional<std::filesystem::path>> ModelChain::Make(const Owner& owner, const wire::ModelRef& model,
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
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path totals,
                            models_->Fetch(origin.result, plan::MostSumResultBytes(vectors), stop));
  const std::filesystem::path next = folder_ / fmt::format("next-model-{}", owner.job.value());
  Digest made;
  {
    CLOISTER_ASSIGN_OR_RETURN(const plan::SumResult result, plan::SumResult::Open(totals));
    const auto check = std::find_if(checks.begin(), checks.end(),
                                    [&](const SumCheckRow& row) { return row.ctx2 == result.header().ctx2; });
    if (check == checks.end()) {
      return std::nullopt;  // of an attempt that went on without this site
    }
    CLOISTER_RETURN_IF_ERROR(
        plan::CheckSumResult(result, {check->ctx2, check->survivors, check->seed.Clone()}, vectors));
    CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path parent,
                              models_->Fetch(origin.parent, owner.most_model_bytes, stop));
    CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel global, update::MappedModel::Open(parent));
    CLOISTER_ASSIGN_OR_RETURN(made,
                              plan::WriteNextModel(next, owner.plan, global, result.Values(0), result.Values64(1)));
  }
  if (made != model.blob) {
    return absl::DataLossError(fmt::format("what the sites added up gives model {}, the coordinator publishes {}",
                                           made.short_hex(), model.blob.short_hex()));
  }
  CLOISTER_ASSIGN_OR_RETURN(std::filesystem::path path, models_->Adopt(next, made));
  CLOISTER_RETURN_IF_ERROR(sums_->SetChecked(owner.job, model.blob));
  (void)models_->blobs().Remove(origin.result);  // as large as the model, and not needed again
  return path;
}

}  // namespace cloister::site
