// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cli/command.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <iostream>

#include "protocols/base/file.h"

namespace cloister::site {
namespace {

constexpr char kEverybodysConfig[] = "/etc/cloister/site.yaml";

constexpr char kAbout[] =
    "A hospital's side of Cloister: finds studies in the PACS, trains and validates locally, and sends out only "
    "masked\n"
    "sums and aggregate numbers. Every command works with and without a running agent.";

constexpr char kEnding[] =
    "Exit status: 0 done, 1 it failed (one line on stderr says what to do), 2 the command line is wrong.\n"
    "The configuration is --config, else ./site.yaml, else /etc/cloister/site.yaml.\n"
    "\n"
    "A new site:  cloister-site init --site north      then edit site.yaml and policy.yaml\n"
    "             cloister-site enroll                 send certificates/site.csr to the consortium CA\n"
    "             cloister-site enroll --install F     with what came back\n"
    "             cloister-site doctor                 until every line is ok\n"
    "             cloister-site run";

}  // namespace

absl::StatusOr<std::filesystem::path> Session::ConfigFile() const {
  if (!config_file.empty()) {
    return config_file;
  }
  for (const char* candidate : {"site.yaml", kEverybodysConfig}) {
    std::error_code error;
    if (std::filesystem::exists(candidate, error)) {
      return candidate;
    }
  }
  return absl::NotFoundError(
      fmt::format("no configuration: neither ./site.yaml nor {} is there; name one with --config, or make one with "
                  "cloister-site init --site ID",
                  kEverybodysConfig));
}

absl::StatusOr<SiteConfig> Session::Config() const {
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path file, ConfigFile());
  return ReadSiteConfig(file);
}

absl::StatusOr<std::unique_ptr<SiteStore>> Session::Store(const SiteConfig& config) const {
  std::error_code error;
  if (!std::filesystem::exists(config.data, error)) {
    CLOISTER_RETURN_IF_ERROR(MakeDirectories(config.data));
    std::filesystem::permissions(config.data, std::filesystem::perms::owner_all, error);
  }
  return SiteStore::Open(config.data);
}

bool Session::Ask(const std::string& question) const {
  err() << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(in(), answer);
  if (!interactive()) {
    err() << "\n";
  }
  return !answer.empty() && (answer[0] == 'y' || answer[0] == 'Y');
}

std::string Account() {
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? fmt::format("cli:{}", entry->pw_name) : fmt::format("cli:uid-{}", getuid());
}

CommandSet::CommandSet(CLI::App* app, Session* session) : app_(app), session_(session) {}

CLI::App* CommandSet::Add(const std::string& name, const std::string& about, const std::vector<std::string>& examples,
                          Action action, CLI::App* group) {
  CLI::App* command = (group == nullptr ? app_ : group)->add_subcommand(name, about);
  command->add_option("--config", session_->config_file, "The site's configuration file")->type_name("FILE");
  std::string footer;
  for (const std::string& example : examples) {
    footer += (footer.empty() ? "Examples:\n  " : "\n  ") + example;
  }
  command->footer(footer);
  command->require_subcommand(0, 1);
  actions_[command] = std::move(action);
  return command;
}

absl::StatusOr<int> CommandSet::Run() const {
  const CLI::App* command = app_;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
  }
  const auto action = actions_.find(command);
  if (action == actions_.end() || !action->second) {
    session_->err() << app_->help();
    return kUsage;
  }
  return action->second(*session_);
}

int RunCommandLine(const std::vector<std::string>& arguments, Terminal terminal) {
  CLI::App app(kAbout, "cloister-site");
  app.footer(kEnding);
  app.set_version_flag("--version", std::string("cloister-site ") + CLOISTER_VERSION);
  app.require_subcommand(0, 1);
  Session session(terminal);
  app.add_option("--config", session.config_file, "The site's configuration file")->type_name("FILE");
  CommandSet commands(&app, &session);
  AddSetupCommands(commands);
  AddDoctorCommand(commands);
  AddInspectCommand(commands);
  AddCohortCommands(commands);
  AddExperimentCommands(commands);
  AddPrivacyCommand(commands);
  AddReleaseCommands(commands);
  AddReportCommand(commands);
  AddStatusCommand(commands);
  AddAuditCommands(commands);
  AddPortalCommands(commands);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    session.out() << app.help();
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    session.out() << version.what() << "\n";
    return kDone;
  } catch (const CLI::ParseError& error) {
    session.err() << "cloister-site: " << error.what() << "; see cloister-site "
                  << (app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name() + " ")
                  << "--help\n";
    return kUsage;
  }
  const absl::StatusOr<int> status = commands.Run();
  session.out().flush();
  if (!status.ok()) {
    session.err() << "cloister-site: " << status.status().message() << "\n";
    return kFailed;
  }
  return *status;
}

}  // namespace cloister::site
