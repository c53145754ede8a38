// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/operator_config.h"

#include <fmt/format.h>

#include <cstdlib>

#include "protocols/base/file.h"
#include "protocols/base/strict_yaml.h"
#include "protocols/transport/channel.h"

namespace cloister::coordinator {

absl::StatusOr<OperatorConfig> ReadOperatorConfig(const std::filesystem::path& file) {
  const auto text = ReadFile(file, 1 << 20);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        fmt::format("{} does not exist; make it with: cloister enroll --id YOUR-ID --coordinator HOST:PORT, or name "
                    "another with --config",
                    file.string()));
  }
  CLOISTER_RETURN_IF_ERROR(text.status());
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml root, StrictYaml::Parse(*text, file.string()));
  const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
  const auto path = [&](const char* key, const char* otherwise) -> std::filesystem::path {
    const std::string value = root.Text(key, otherwise);
    return value.empty() ? std::filesystem::path() : folder / value;
  };
  OperatorConfig config;
  config.coordinator = root.Text("coordinator");
  if (const absl::Status target = transport::CheckTarget(config.coordinator); !target.ok()) {
    root.Fail("coordinator", std::string(target.message()));
  }
  config.certificates = path("certificates", ".");
  config.tasks = path("tasks", "");
  config.worker = path("worker", "");
  CLOISTER_RETURN_IF_ERROR(root.Finish());
  return config;
}

std::string OperatorConfigText(const std::string& coordinator) {
  return fmt::format(
      "# The operator's side of Cloister; see cloister --help.\n"
      "coordinator: {}\n"
      "certificates: .     # folder: ca.pem tls.pem tls.key signing.pem signing.key, see cloister enroll\n"
      "# tasks: /path      # folder of task files, if not the installed ones\n"
      "# worker: /path     # cloister-worker, if not beside the program cloister\n",
      coordinator);
}

std::filesystem::path DefaultFolder() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config != '\0') {
    return std::filesystem::path(config) / "cloister";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : ".") / ".config" / "cloister";
}

std::filesystem::path ProgramFolder() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::filesystem::path() : program.parent_path();
}

}  // namespace cloister::coordinator
