#pragma once
// SPDX-License-Identifier: Apache-2.0
// Global models at the site, each with the answer to the question whether it is what it should be. Where this site took
// part in the sum behind a model, it fetches the totals instead, checks their tag, and makes the model itself: the
// coordinator cannot hand out another one. Thread-safe.

#include <filesystem>
#include <string>
#include <vector>

#include "protocols/plan/experiment.h"
#include "protocols/transport/stop.h"
#include "protocols/wire/messages.h"
#include "site_agent/agent/model_store.h"
#include "site_agent/storage/sum_table.h"

namespace cloister::site {

class ModelChain {
 public:
  struct GlobalModel {
    std::filesystem::path path;
    // It is the plan's initial model, or follows from totals that this site has checked. If not, this site was away
    // when it was made.
    bool checked = false;
    // Why the totals behind it are not to be trusted: they do not have the sites' tags. Then there is no path, and the
    // round is lost, by a site's doing or by the coordinator's. Empty: nothing is wrong.
    std::string mismatch;
    // A line for people about each round since that was refused by a guard, where it is news.
    std::vector<std::string> refusals;
  };

  // Whose models.
  struct Owner {
    const JobId& job;
    const plan::Experiment& plan;
    uint64_t most_model_bytes;
  };

  // Both must outlive this. `folder`: for files in the making.
  ModelChain(SumTable* sums, ModelStore* models, std::filesystem::path folder)
      : sums_(sums), models_(models), folder_(std::move(folder)) {}

  // DATA_LOSS with the evidence: the model is not what follows from the totals, or the totals break no guard where the
  // coordinator says so, or break one where it publishes a model. Also as ModelStore::Fetch.
  absl::StatusOr<GlobalModel> Fetch(const Owner& owner, const wire::ModelRef& model,
                                    const transport::StopSource& stop) const;

 private:
  struct Totals;

  // The totals of `origin` and what this site knows of them. Nothing: it did not take part in that sum.
  absl::StatusOr<std::optional<Totals>> FetchTotals(const Owner& owner, const wire::SumOrigin& origin,
                                                    const transport::StopSource& stop) const;
  // What follows from them, made here: `global.path`, or `global.mismatch`; or neither, when this site did not take
  // part.
  absl::Status Make(const Owner& owner, const wire::ModelRef& model, const wire::SumOrigin& origin,
                    const transport::StopSource& stop, GlobalModel& global) const;
  // Is it true that the totals of `refused` break a guard? A line about it; empty where this site cannot tell.
  absl::StatusOr<std::string> CheckRefusal(const Owner& owner, const wire::SumOrigin& refused,
                                           const transport::StopSource& stop) const;

  SumTable* sums_;
  ModelStore* models_;
  std::filesystem::path folder_;
};

}  // namespace cloister::site
