// SPDX-License-Identifier: Apache-2.0
// Tasks and experiments as people write them: what is accepted is a plan that every site can read.
#include "protocols/plan/experiment.h"

#include "tests/fuzz/plan_examples.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const size_t choice = TakeChoice(input, 2);
  const Bytes text(input);
  if (choice == 0) {
    const absl::StatusOr<plan::Experiment> experiment = plan::ParseExperiment(text, "experiment.yaml", LoadTask);
    if (!experiment.ok()) return;
    const Bytes document = plan::PlanDocument(*experiment);
    const absl::StatusOr<plan::Experiment> plan = plan::ParsePlan(document);
    Require(plan.ok(), "an experiment's plan can be read");
    for (const plan::Gate& gate : plan->gates) plan::GateInWords(gate);
    return;
  }
  const absl::StatusOr<plan::Task> task = plan::ParseTask(text, "task.yaml");
  if (!task.ok()) return;
  const std::string json = plan::TaskJson(*task);
  const absl::StatusOr<plan::Task> again = plan::ParseTask(json, "task.json");
  Require(again.ok(), "a task's canonical form can be read");
  RequireSame(plan::TaskJson(*again), json, "and is the same task");
}

std::vector<Bytes> Seeds() {
  return {WithChoice(0, kExperiment), WithChoice(1, kTask)};
}

}  // namespace cloister::fuzz
