// SPDX-License-Identifier: Apache-2.0
// The program `cloister-coordinator`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "coordinator/service/program.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/storage/audit_log.h"
#include "protocols/transport/http_server.h"

namespace cloister::coordinator {
namespace {

constexpr char kExamples[] = R"(Examples:
  cloister-coordinator init --config coordinator.yaml            a configuration to start from
  cloister enroll --id hub --role coordinator --folder certificates   keys and a request for the consortium CA
  cloister-coordinator web-user li                               a login for the status page, password from stdin
  cloister-coordinator check                                     is everything there that serve needs?
  cloister-coordinator serve                                     run until SIGTERM
  cloister-coordinator audit verify                              is the log of what happened whole?

Exit status: 0 done, 1 it failed (one line on stderr says why and what to do), 2 wrong usage.)";

absl::Status Init(const std::filesystem::path& file) {
  if (std::filesystem::exists(file))
    return absl::AlreadyExistsError(file.string() + " is there already; nothing was changed");
  if (file.has_parent_path()) CLOISTER_RETURN_IF_ERROR(MakeDirectories(file.parent_path()));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(file, SampleServerConfig()));
  fmt::print("wrote {}\n", file.string());
  return absl::OkStatus();
}

absl::Status AddUser(const ServerConfig& config, const std::string& name) {
  std::string password;
  std::getline(std::cin, password);
  CLOISTER_RETURN_IF_ERROR(transport::WriteUser(config.web_users, name, password));
  fmt::print("{} may log in to the status page\n", name);
  return absl::OkStatus();
}

absl::Status VerifyAudit(const ServerConfig& config) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Database database, storage::Database::Open(config.data / "coordinator.db"));
  CLOISTER_ASSIGN_OR_RETURN(const storage::AuditLog log, storage::AuditLog::Create(&database));
  CLOISTER_ASSIGN_OR_RETURN(const auto broken, log.Verify());
  if (broken)
    return absl::DataLossError(fmt::format("the chain breaks at record {}: {}", broken->sequence, broken->message));
  CLOISTER_ASSIGN_OR_RETURN(const audit::Head head, log.Head());
  fmt::print("whole: {} records, head {}\n", head.sequence, head.hash.hex());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app("Cloister's coordinator: sums what it cannot read, judges candidates, publishes releases.");
  app.footer(kExamples);
  app.set_version_flag("--version", CLOISTER_VERSION);
  app.require_subcommand(1);
  std::string file = "coordinator.yaml";
  std::string user;
  const auto with_config = [&](CLI::App* command) {
    command->add_option("--config", file, "Configuration file")->capture_default_str();
    return command;
  };
  const CLI::App* init = with_config(app.add_subcommand("init", "Write a configuration to start from"));
  const CLI::App* check = with_config(app.add_subcommand("check", "Is everything there that serve needs?"));
  const CLI::App* serve = with_config(app.add_subcommand("serve", "Run until SIGTERM"));
  CLI::App* web_user = with_config(app.add_subcommand("web-user", "Add a login for the status page"));
  web_user->add_option("NAME", user, "Who")->required();
  CLI::App* audit = app.add_subcommand("audit", "The log of what happened");
  audit->require_subcommand(1);
  const CLI::App* verify = with_config(audit->add_subcommand("verify", "Is the chain whole?"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  absl::Status status;
  if (init->parsed()) {
    status = Init(file);
  } else if (const absl::StatusOr<ServerConfig> config = ReadServerConfig(file); !config.ok()) {
    status = config.status();
  } else {
    SetUpLogging("coordinator", config->log_level);
    if (serve->parsed()) status = Serve(*config);
    if (web_user->parsed()) status = AddUser(*config, user);
    if (verify->parsed()) status = VerifyAudit(*config);
    if (check->parsed()) {
      status = Check(*config);
      if (status.ok()) fmt::print("ok\n");
    }
  }
  if (status.ok()) return 0;
  fmt::print(stderr, "cloister-coordinator: {}\n", std::string(status.message()));
  return 1;
}

}  // namespace
}  // namespace cloister::coordinator

int main(int argc, char** argv) {
  return cloister::coordinator::Main(argc, argv);
}
