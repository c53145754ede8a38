// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/submission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "protocols/base/ids.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/quantization.h"
#include "protocols/update/model_state.h"

namespace cloister::coordinator {
namespace {

constexpr uint64_t kMaxTextBytes = 1 << 20;

std::string Duration(int64_t ms) {
  return absl::FormatDuration(absl::Milliseconds(ms));
}

}  // namespace

plan::TaskLoader TasksIn(const std::filesystem::path& folder) {
  return [folder](const std::string& name) -> absl::StatusOr<std::string> {
    CLOISTER_RETURN_IF_ERROR(CheckIdentifier(name, "task"));
    auto text = ReadFile(folder / (name + ".yaml"), kMaxTextBytes);
    if (!absl::IsNotFound(text.status())) {
      return text;
    }
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".yaml") {
        names.push_back(entry.path().stem().string());
      }
    }
    std::sort(names.begin(), names.end());
    return absl::NotFoundError(fmt::format("no task '{}' in {}; there are: {}", name, folder.string(),
                                           names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
  };
}

std::filesystem::path DefaultTasks() {
  const std::filesystem::path installed = ProgramFolder().parent_path() / "share" / "cloister" / "tasks";
  return std::filesystem::is_directory(installed) ? installed : std::filesystem::path(CLOISTER_SOURCE_TASKS);
}

absl::StatusOr<FrozenPlan> FreezePlan(const Submit& command, const OperatorConfig& config) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(command.experiment, kMaxTextBytes));
  const std::filesystem::path tasks = !command.tasks.empty()  ? command.tasks
                                      : !config.tasks.empty() ? config.tasks
                                                              : DefaultTasks();
  FrozenPlan frozen;
  CLOISTER_ASSIGN_OR_RETURN(frozen.experiment,
                            plan::ParseExperiment(text, command.experiment.string(), TasksIn(tasks)));
  if (!command.initial_model.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(frozen.model, ReadInitialModel(command.initial_model));
  } else {
    const std::filesystem::path worker = !command.worker.empty()  ? command.worker
                                         : !config.worker.empty() ? config.worker
                                                                  : ProgramFolder() / "cloister-worker";
    CLOISTER_ASSIGN_OR_RETURN(frozen.model, MakeInitialModel(frozen.experiment, worker));
  }
  frozen.experiment.model.initial_model = frozen.model.digest;
  frozen.experiment.model.parameters = frozen.model.parameters;
  CLOISTER_ASSIGN_OR_RETURN(const update::ModelState model, update::ParseModelState(frozen.model.file));
  CLOISTER_RETURN_IF_ERROR(plan::CheckUpdates(frozen.experiment, model.layout));
  frozen.document = plan::PlanDocument(frozen.experiment);
  frozen.digest = crypto::Sha256(frozen.document);
  return frozen;
}

std::string DescribePlan(const FrozenPlan& frozen) {
  const plan::Experiment& experiment = frozen.experiment;
  const plan::Algorithm& algorithm = experiment.algorithm;
  std::vector<std::vector<std::string>> rows = {
      {"experiment", experiment.name},
      {"task", fmt::format("{} ({})", experiment.task.name, experiment.task.title_en)},
      {"model", fmt::format("{}, {} parameters, initial weights {}", experiment.model.architecture,
                            frozen.model.parameters, frozen.model.digest.short_hex())},
      {"algorithm", fmt::format("{}, {} rounds of {} local epoch{}, {} at {}", algorithm.name, algorithm.rounds,
                                algorithm.local_epochs, algorithm.local_epochs == 1 ? "" : "s",
                                algorithm.optimizer.name, algorithm.optimizer.lr)},
      {"sites", fmt::format("at least {}, {}; {} for each phase", experiment.sites.minimum,
                            experiment.sites.invited.empty()
                                ? "every enrolled site is invited"
                                : fmt::format("invited: {}", fmt::join(experiment.sites.invited, ", ")),
                            Duration(experiment.sites.deadline_ms))},
      {"privacy", fmt::format("secure aggregation {} in {} bits, up to {} colluding sites, counts below {} suppressed",
                              experiment.privacy.secure_aggregation, experiment.privacy.ring_bits,
                              experiment.privacy.colluders, experiment.privacy.minimum_cell)},
      {"guards", fmt::format("{}; {} rounds in a row without a model end it",
                             plan::GuardsInWords(experiment.privacy.guards), algorithm.max_skipped_rounds)}};
  for (const plan::Gate& gate : experiment.gates) {
    rows.push_back({"gate", plan::GateInWords(gate)});
  }
  rows.push_back({"plan", frozen.digest.hex()});
  return Columns(rows);
}

absl::StatusOr<JobId> SubmitPlan(const FrozenPlan& frozen, const crypto::Signer& signer, OperatorClient* client) {
  CLOISTER_RETURN_IF_ERROR(client->UploadInitialModel(frozen.model.digest, frozen.model.file));
  return client->SubmitExperiment(
      {frozen.document, signer.Sign(plan::kPlanDomain, frozen.document), signer.certificate().der()});
}

}  // namespace cloister::coordinator
