#pragma once
// SPDX-License-Identifier: Apache-2.0
// Global models at the site, each with the answer to the question whether it is what it should be. Where this site took
// part in the sum behind a model, it fetches the totals instead, checks their tag, and makes the model itself: the
// coordinator cannot hand out another one. Thread-safe.

#include <filesystem>

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

  // DATA_LOSS with the evidence: the totals or the model are not what the sites added up. Also as ModelStore::Fetch.
  absl::StatusOr<GlobalModel> Fetch(const Owner& owner, const wire::ModelRef& model,
                                    const transport::StopSource& stop) const;

 private:
  // The model of `origin`, made here. Nothing: this site did not take part in that sum.
  absl::StatusOr<std::optional<std::filesystem::path>> Make(const Owner& owner, const wire::ModelRef& model,
                                                            const wire::SumOrigin& origin,
                                                            const transport::StopSource& stop) const;

  SumTable* sums_;
  ModelStore* models_;
  std::filesystem::path folder_;
};

}  // namespace cloister::site
