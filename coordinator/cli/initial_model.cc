// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/initial_model.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/update/model_state.h"

namespace cloister::coordinator {
namespace {

using Json = nlohmann::json;

absl::StatusOr<InitialModel> FromState(const update::ModelState& state, const std::string& name) {
  for (const update::Tensor& tensor : state.layout.tensors()) {
    for (const float value : state.Values(tensor.name)) {
      if (!std::isfinite(value)) {
        return absl::InvalidArgumentError(
            fmt::format("{}: tensor {} holds a value that is not finite", name, tensor.name));
      }
    }
  }
  InitialModel model;
  CLOISTER_ASSIGN_OR_RETURN(model.file, update::EncodeModelState(state.layout, state.values));
  model.digest = crypto::Sha256(model.file);
  model.parameters = state.layout.parameters();
  return model;
}

// A folder that goes with its owner.
class JobFolder {
 public:
  static absl::StatusOr<JobFolder> Create() {
    std::string name = (std::filesystem::temp_directory_path() / "cloister-init-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      return ErrnoStatus(errno, "cannot make the folder", name);
    }
    return JobFolder(name);
  }
  JobFolder(JobFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~JobFolder() {
    std::error_code ignored;
    if (!path_.empty()) {
      std::filesystem::remove_all(path_, ignored);
    }
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit JobFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// The worker's exit status. Its progress lines are not for this terminal.
absl::StatusOr<int> Run(const std::filesystem::path& worker, const std::filesystem::path& folder) {
  const std::string program = worker.string(), job = folder.string();
  char* const arguments[] = {const_cast<char*>(program.c_str()), const_cast<char*>("--job"),
                             const_cast<char*>(job.c_str()), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const std::string log = (folder / "worker.log").string();
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoStatus(error, "cannot start", worker);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string LastLines(const std::filesystem::path& log) {
  auto text = ReadFile(log, 1 << 20);
  if (!text.ok() || text->empty()) {
    return "it said nothing";
  }
  return text->size() > 500 ? text->substr(text->size() - 500) : *text;
}

absl::Status WorkerFailure(int status, const std::filesystem::path& worker, const std::filesystem::path& folder) {
  if (const auto text = ReadFile(folder / "result.json", 1 << 20); text.ok()) {
    const Json result = Json::parse(*text, nullptr, false);
    if (result.is_object() && result.contains("error") && result["error"].is_object()) {
      return absl::InvalidArgumentError(
          fmt::format("initial weights: {}", result["error"].value("message", std::string("the worker failed"))));
    }
  }
  return absl::InternalError(
      fmt::format("{} failed ({} {}): {}", worker.string(), WIFSIGNALED(status) ? "signal" : "exit status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), LastLines(folder / "worker.log")));
}

}  // namespace

absl::StatusOr<InitialModel> ReadInitialModel(const std::filesystem::path& file) {
  CLOISTER_ASSIGN_OR_RETURN(const update::ModelState state, update::ReadModelState(file, update::ImportMode::kConvert));
  return FromState(state, file.string());
}

absl::StatusOr<InitialModel> MakeInitialModel(const plan::Experiment& experiment, const std::filesystem::path& worker) {
  if (!std::filesystem::exists(worker)) {
    return absl::NotFoundError(
        fmt::format("{} does not exist, so the initial weights cannot be made; install it, set worker in "
                    "operator.yaml, or give --initial-model FILE.safetensors",
                    worker.string()));
  }
  CLOISTER_ASSIGN_OR_RETURN(const JobFolder folder, JobFolder::Create());
  const Json task = Json::parse(plan::TaskJson(experiment.task), nullptr, false);
  const Json job = {{"kind", "init"},
                    {"threads", 1},
                    {"task", task},
                    {"model",
                     {{"architecture", experiment.model.architecture},
                      {"init", experiment.model.init},
                      {"seed", experiment.model.seed}}}};
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder.path() / "job.json", job.dump()));
  CLOISTER_ASSIGN_OR_RETURN(const int status, Run(worker, folder.path()));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return WorkerFailure(status, worker, folder.path());
  }
  CLOISTER_ASSIGN_OR_RETURN(const update::ModelState state,
                            update::ReadModelState(folder.path() / "model.safetensors"));
  return FromState(state, "the worker's model");
}

}  // namespace cloister::coordinator
