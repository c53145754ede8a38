// SPDX-License-Identifier: Apache-2.0
// The worker: does it start here, and is it contained?
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "protocols/base/file.h"
#include "site_agent/agent/agent.h"
#include "site_agent/agent/worker_process.h"
#include "site_agent/cli/doctor.h"
#include "site_agent/cli/scratch_folder.h"
#include "site_agent/cli/text.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

std::vector<Finding> Judge(const Json& result) {
  std::string allowed;
  if (const auto attempts = result.find("attempts"); attempts != result.end() && attempts->is_object()) {
    for (const auto& [name, outcome] : attempts->items()) {
      if (outcome != "refused") {
        allowed += (allowed.empty() ? "" : ", ") + name;
      }
    }
  }
  const auto contained = result.find("contained");
  if (contained == result.end() || !contained->is_boolean() || !contained->get<bool>()) {
    return {{"worker", Health::kProblem, "the sandbox leaks: a worker could " + Printable(allowed),
             "do not run it on this machine: a kernel with seccomp is needed, and Landlock (5.13 or newer) against "
             "reading outside"}};
  }
  std::vector<Finding> findings = {
      {"worker", Health::kOk, "starts, and cannot connect, execute, or read and write outside its folder", ""}};
  if (const auto warnings = result.find("warnings"); warnings != result.end() && warnings->is_array()) {
    for (const Json& warning : *warnings) {
      findings.push_back({"worker", Health::kNote, warning.is_string() ? Printable(warning.get<std::string>()) : "",
                          "a second layer is missing on this machine; the first one holds"});
    }
  }
  return findings;
}

}  // namespace

std::vector<Finding> ExamineWorker(const Patient& patient) {
  const ScratchFolder folder(patient.config.data / "jobs" / fmt::format("doctor-{}", getpid()));
  WorkerCommand command;
  command.program = WorkerProgram(patient.config);
  command.folder = folder.path();
  command.limits.time = absl::Seconds(60);
  command.limits.silence = absl::Seconds(60);
  const auto problem = [&](const std::string& text) -> std::vector<Finding> {
    return {{"worker", Health::kProblem, text,
             fmt::format("is {} there and complete? worker.program in site.yaml names it", command.program.string())}};
  };
  absl::Status made = MakeDirectories(folder.path());
  if (made.ok()) {
    const Json job = {{"kind", "self_test"}, {"action", "sandbox"}, {"threads", 1}};
    made = WriteFileAtomically(folder.path() / "job.json", job.dump(), 0600);
  }
  if (!made.ok()) {
    return problem(std::string(made.message()));
  }
  const std::variant<Json, WorkerError> outcome = RunWorker(command, transport::StopSource(), nullptr);
  if (const WorkerError* error = std::get_if<WorkerError>(&outcome)) {
    return problem(fmt::format("{}: {}", WorkerFailureName(error->failure), Printable(error->message)));
  }
  return Judge(std::get<Json>(outcome));
}

}  // namespace cloister::site
