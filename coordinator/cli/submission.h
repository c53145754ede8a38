#pragma once
// SPDX-License-Identifier: Apache-2.0
// `cloister experiment submit`: from an experiment file to a signed plan at the coordinator.

#include <filesystem>

#include "coordinator/cli/initial_model.h"
#include "coordinator/cli/operator_client.h"
#include "coordinator/cli/terminal.h"
#include "protocols/crypto/signer.h"
#include "protocols/plan/experiment.h"

namespace cloister::coordinator {

struct Submit {
  std::filesystem::path experiment;
  std::filesystem::path tasks;          // empty: configured, else installed
  std::filesystem::path initial_model;  // empty: made by the worker
  std::filesystem::path worker;         // empty: configured, else beside this program
};

// What will be signed.
struct FrozenPlan {
  plan::Experiment experiment;
  InitialModel model;
  Bytes document;
  Digest digest;
};

// Reads, resolves, makes the weights. INVALID_ARGUMENT: "file:line:column: ..." or the model; FAILED_PRECONDITION:
// updates of this model cannot be summed as the privacy block says (plan::CheckUpdates); NOT_FOUND: a file or program.
absl::StatusOr<FrozenPlan> FreezePlan(const Submit& command, const OperatorConfig& config);

// For people, before it is signed.
std::string DescribePlan(const FrozenPlan& frozen);

// Signs, uploads the weights, submits.
absl::StatusOr<JobId> SubmitPlan(const FrozenPlan& frozen, const crypto::Signer& signer, OperatorClient* client);

// Looks for NAME.yaml in `folder`. NOT_FOUND lists the names there are.
plan::TaskLoader TasksIn(const std::filesystem::path& folder);
// The installed task files, or those of the source tree this was built from.
std::filesystem::path DefaultTasks();

}  // namespace cloister::coordinator
