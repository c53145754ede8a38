// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cli/task_lookup.h"

#include <fmt/format.h>

#include <set>

#include "protocols/base/file.h"
#include "protocols/base/ids.h"
#include "protocols/plan/experiment.h"

namespace cloister::site {
namespace {

constexpr uint64_t kMostTaskBytes = 1 << 20;

std::set<std::string> FilesIn(const std::filesystem::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".yaml") {
      names.insert(entry.path().stem().string());
    }
  }
  return names;
}

}  // namespace

absl::StatusOr<plan::Task> FindTask(const SiteConfig& config, const ExperimentTable& experiments,
                                    const std::string& name) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(name, "task"));
  std::set<std::string> known;
  if (!config.tasks.empty()) {
    const std::filesystem::path file = config.tasks / (name + ".yaml");
    const absl::StatusOr<Bytes> text = ReadFile(file, kMostTaskBytes);
    if (text.ok()) {
      return plan::ParseTask(*text, file.string());
    }
    if (!absl::IsNotFound(text.status())) {
      return text.status();
    }
    known = FilesIn(config.tasks);
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ExperimentRow> offered, experiments.List());
  for (const ExperimentRow& row : offered) {
    known.insert(row.task);
    if (row.task != name) {
      continue;
    }
    if (const absl::StatusOr<plan::Experiment> plan = plan::ParsePlan(row.plan); plan.ok()) {
      return plan->task;
    }
  }
  std::string list;
  for (const std::string& one : known) {
    list += (list.empty() ? "; known here: " : ", ") + one;
  }
  return absl::NotFoundError(fmt::format(
      "task {}: no file {}.yaml in {}, and no experiment with it was offered here{}", name, name,
      config.tasks.empty() ? "a tasks folder (name one under \"tasks\" in site.yaml)" : config.tasks.string(), list));
}

}  // namespace cloister::site
