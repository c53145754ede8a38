#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the commands of cloister-site share: the terminal, the configuration and the store they work with, and how a
// command is added to the command line. A command never needs the agent: both work on the same store.

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "protocols/base/clock.h"
#include "protocols/base/status.h"
#include "site_agent/agent/site_config.h"
#include "site_agent/storage/site_store.h"

namespace cloister::site {

// Exit statuses.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // one line on stderr says what and what to do
inline constexpr int kUsage = 2;   // the command line is wrong

struct Terminal {
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  bool interactive = false;  // a person types at `in`
  const Clock* clock = nullptr;
};

class Session {
 public:
  explicit Session(Terminal terminal) : terminal_(terminal) {}

  // --config, else ./site.yaml, else /etc/cloister/site.yaml. NOT_FOUND: none of them is there.
  absl::StatusOr<std::filesystem::path> ConfigFile() const;
  // Codes as ReadSiteConfig.
  absl::StatusOr<SiteConfig> Config() const;
  // Makes the data folder (0700) and the database where they are missing. Codes as SiteStore::Open.
  absl::StatusOr<std::unique_ptr<SiteStore>> Store(const SiteConfig& config) const;

  std::istream& in() const { return *terminal_.in; }
  std::ostream& out() const { return *terminal_.out; }
  std::ostream& err() const { return *terminal_.err; }
  bool interactive() const { return terminal_.interactive; }
  const Clock& clock() const { return *terminal_.clock; }
  int64_t NowUnixMs() const { return absl::ToUnixMillis(clock().Now()); }

  // Asks on stderr; true for a line that starts with y or Y.
  bool Ask(const std::string& question) const;

  std::string config_file;  // what --config says

 private:
  Terminal terminal_;
};

// The account this program runs under, as the audit log has it: "cli:wang".
std::string Account();

// The exit status, or why it failed.
using Action = std::function<absl::StatusOr<int>(Session& session)>;

class CommandSet {
 public:
  // Both must outlive this.
  CommandSet(CLI::App* app, Session* session);

  // `examples`: whole command lines, shown at the end of its --help. With `group` it is a command of that command. An
  // action may be null for a group that only has commands.
  CLI::App* Add(const std::string& name, const std::string& about, const std::vector<std::string>& examples,
                Action action, CLI::App* group = nullptr);

  // Runs the command that was parsed. FAILED_PRECONDITION with its help when it is a group without an action.
  absl::StatusOr<int> Run() const;

 private:
  CLI::App* app_;
  Session* session_;
  std::map<const CLI::App*, Action> actions_;
};

// The whole program but main(): parses, runs, prints errors. Returns the exit status.
int RunCommandLine(const std::vector<std::string>& arguments, Terminal terminal);

// One function a file of commands.
void AddSetupCommands(CommandSet& commands);       // init, enroll, run
void AddDoctorCommand(CommandSet& commands);       // doctor
void AddInspectCommand(CommandSet& commands);      // inspect
void AddCohortCommands(CommandSet& commands);      // cohort show|build
void AddExperimentCommands(CommandSet& commands);  // experiments, approve, decline
void AddPrivacyCommand(CommandSet& commands);      // privacy
void AddReleaseCommands(CommandSet& commands);     // releases, sign, rollback
void AddReportCommand(CommandSet& commands);       // report
void AddAuditCommands(CommandSet& commands);       // audit verify|show
void AddStatusCommand(CommandSet& commands);       // status
void AddPortalCommands(CommandSet& commands);      // portal-user

}  // namespace cloister::site
