// SPDX-License-Identifier: Apache-2.0
// The program cloister-coordinator: serves a federation, and the commands of the person who runs it.
#include <fmt/format.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "coordinator/service/coordinator.h"
#include "coordinator/service/recount.h"
#include "coordinator/web/status_site.h"
#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/storage/audit_log.h"
#include "protocols/transport/identity.h"

namespace cloister::coordinator {
namespace {

// ---- init ----

struct Init {
  std::string folder = ".";
  std::string id = "coordinator";
  std::string install;
};

// 64 hex digits in groups, as two people read them to each other.
std::string Spoken(const Digest& digest) {
  std::string text;
  const std::string hex = digest.hex();
  for (size_t i = 0; i < hex.size(); i += 4) {
    text += (i > 0 ? " " : "") + hex.substr(i, 4);
  }
  return text;
}

absl::Status RunInit(const Init& command) {
  const std::filesystem::path folder = std::filesystem::absolute(command.folder);
  const std::filesystem::path config_file = folder / "coordinator.yaml";
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  if (!std::filesystem::exists(config_file)) {
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(config_file, SampleCoordinatorConfig()));
    std::cerr << config_file.string() << ": written; look through it\n";
  }
  CLOISTER_ASSIGN_OR_RETURN(const CoordinatorConfig config, ReadCoordinatorConfig(config_file));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(config.certificates));
  std::filesystem::permissions(config.certificates, std::filesystem::perms::owner_all);
  if (!command.install.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(command.install, 64 << 10));
    CLOISTER_ASSIGN_OR_RETURN(const transport::IdentityCertificates installed,
                              transport::InstallIdentity(config.certificates, text, absl::Now()));
    std::cout << fmt::format("{} is {} of \"{}\" until {}\n", installed.tls.subject_id(),
                             crypto::RoleName(installed.tls.role()), installed.ca.subject_id(),
                             FormatUtc(installed.tls.not_after()));
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path request_file,
                            transport::RequestIdentity(config.certificates, command.id, crypto::Role::kCoordinator));
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(request_file));
  CLOISTER_ASSIGN_OR_RETURN(const transport::IdentityRequest request, transport::ReadIdentityRequest(text));
  std::cout << request_file.string() << "\n";
  std::cerr << fmt::format(
      "Send that file to whoever keeps the consortium's CA (it holds no secret), who runs:\n"
      "  cloister ca approve {} --host NAME-THAT-SITES-DIAL\n"
      "  TLS key      {}\n  signing key  {}\nThen install what comes back: cloister-coordinator init --folder {} "
      "--install "
      "FILE\n",
      request_file.filename().string(), Spoken(request.tls_key), Spoken(request.signing_key), folder.string());
  return absl::OkStatus();
}

// ---- serve ----

// Blocked in every thread, so that only sigwait hears them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

absl::Status RunServe(const std::string& config_file) {
  const sigset_t signals = BlockStopSignals();
  CLOISTER_ASSIGN_OR_RETURN(const CoordinatorConfig config, ReadCoordinatorConfig(config_file));
  SetUpLogging("coordinator", config.log_level);
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<Coordinator> coordinator, Coordinator::Start(config, &clock));
  std::unique_ptr<StatusSite> web;
  if (config.web_port != 0) {
    StatusSiteOptions options;
    options.host = config.web_host;
    options.port = config.web_port;
    options.users_file = config.web_users;
    CLOISTER_ASSIGN_OR_RETURN(web, StatusSite::Start(options, &coordinator->driver(), &clock));
    Log()->info("status page: {}", web->url());
  }
  int which = 0;
  sigwait(&signals, &which);
  Log()->info("stopping: {}", which == SIGTERM ? "SIGTERM" : "interrupted");
  web.reset();
  coordinator->Stop();
  return absl::OkStatus();
}

// ---- check ----

absl::Status RunCheck(const std::string& config_file) {
  CLOISTER_ASSIGN_OR_RETURN(const CoordinatorConfig config, ReadCoordinatorConfig(config_file));
  std::cout << "ok  " << config_file << "\n";
  const SystemClock clock;
  int problems = 0;
  const auto report = [&](const std::string& good, const absl::Status& status) {
    std::cout << (status.ok() ? "ok  " + good : "BAD " + std::string(status.message())) << "\n";
    problems += status.ok() ? 0 : 1;
  };
  const auto identity = LoadIdentity(config, &clock);
  report(identity.ok() ? fmt::format("{} of \"{}\", certificate until {}", identity->tls.subject_id(),
                                     identity->ca.subject_id(), FormatUtc(identity->tls.not_after()))
                       : "",
         identity.status());
  const auto lock = LockDataFolder(config.data);
  const bool running = absl::IsFailedPrecondition(lock.status());
  report("data folder " + config.data.string() + (running ? " (a coordinator is running on it)" : ""),
         running ? absl::OkStatus() : lock.status());
  if (lock.ok()) {
    const auto database = storage::Database::Open(config.data / "coordinator.db");
    report("database", database.status());
  }
  if (config.web_port != 0) {
    const auto users = transport::ReadUsers(config.web_users);
    report("users of the status page", users.ok() && users->empty()
                                           ? absl::FailedPreconditionError("nobody can log in to the status page: "
                                                                           "cloister-coordinator web-user NAME")
                                           : users.status());
  }
  if (problems == 0) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(fmt::format("{} problem{}", problems, problems == 1 ? "" : "s"));
}

// ---- web-user ----

std::string ReadPassword() {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  termios before{};
  if (terminal) {
    std::cerr << "password: ";
    tcgetattr(STDIN_FILENO, &before);
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &silent);
  }
  std::string password;
  std::getline(std::cin, password);
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    std::cerr << "\n";
  }
  return password;
}

absl::Status RunWebUser(const std::string& config_file, const std::string& name) {
  CLOISTER_ASSIGN_OR_RETURN(const CoordinatorConfig config, ReadCoordinatorConfig(config_file));
  CLOISTER_RETURN_IF_ERROR(transport::WriteUser(config.web_users, name, ReadPassword()));
  std::cerr << name << " can log in to the status page\n";
  return absl::OkStatus();
}

// ---- audit ----

absl::StatusOr<storage::Database> OpenDatabase(const std::string& config_file) {
  CLOISTER_ASSIGN_OR_RETURN(const CoordinatorConfig config, ReadCoordinatorConfig(config_file));
  if (!std::filesystem::exists(config.data / "coordinator.db")) {
    return absl::NotFoundError((config.data / "coordinator.db").string() + ": there is no database yet");
  }
  return storage::Database::Open(config.data / "coordinator.db");
}

absl::Status RunAuditVerify(const std::string& config_file, const std::string& head) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Database database, OpenDatabase(config_file));
  CLOISTER_ASSIGN_OR_RETURN(const storage::AuditLog log, storage::AuditLog::Create(&database));
  std::optional<audit::Head> remembered;
  if (!head.empty()) {
    const size_t colon = head.find(':');
    remembered.emplace();
    if (colon == std::string::npos || head.find_first_not_of("0123456789") != colon || colon > 18 || colon == 0) {
      return absl::InvalidArgumentError("--head is NUMBER:HASH, as audit verify prints it");
    }
    remembered->sequence = std::stoull(head.substr(0, colon));
    CLOISTER_ASSIGN_OR_RETURN(remembered->hash, Digest::FromHex(head.substr(colon + 1)));
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<audit::Break> broken, log.Verify(remembered));
  if (broken) {
    return absl::DataLossError(fmt::format("the audit log is broken at record {} ({}): {}", broken->sequence,
                                           audit::BreakName(broken->kind), broken->message));
  }
  CLOISTER_ASSIGN_OR_RETURN(const audit::Head now, log.Head());
  std::cout << fmt::format("the chain of {} records is whole; head {}:{}\n", now.sequence, now.sequence,
                           now.hash.hex());
  return absl::OkStatus();
}

absl::Status RunAuditShow(const std::string& config_file, size_t last) {
  CLOISTER_ASSIGN_OR_RETURN(storage::Database database, OpenDatabase(config_file));
  CLOISTER_ASSIGN_OR_RETURN(const storage::AuditLog log, storage::AuditLog::Create(&database));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<audit::Record> records, log.ReadLast(last));
  for (const audit::Record& record : records) {
    const audit::Event& event = record.event;
    std::cout << fmt::format("{:>6}  {}  {:<20} {:<24} {:<32} {} {} {}\n", record.sequence, FormatUtc(event.time),
                             event.actor, event.action, event.subject, event.type,
                             event.size_bytes > 0 ? fmt::format("{} bytes", event.size_bytes) : "",
                             event.digest.is_zero() ? "" : event.digest.short_hex());
  }
  return absl::OkStatus();
}

// ---- recount ----

absl::Status RunRecount(const std::string& config_file, const std::string& job_text, uint32_t round) {
  CLOISTER_ASSIGN_OR_RETURN(const CoordinatorConfig config, ReadCoordinatorConfig(config_file));
  CLOISTER_ASSIGN_OR_RETURN(const JobId job, JobId::Parse(job_text));
  CLOISTER_ASSIGN_OR_RETURN(storage::Database database, OpenDatabase(config_file));
  CLOISTER_ASSIGN_OR_RETURN(const Descriptor lock, LockDataFolder(config.data));
  CLOISTER_ASSIGN_OR_RETURN(const storage::BlobStore blobs, storage::BlobStore::Open(config.data / "blobs"));
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(const CoordinatorIdentity identity, LoadIdentity(config, &clock));
  CLOISTER_ASSIGN_OR_RETURN(const std::string line,
                            RecountRound({&database, &blobs, identity.ca, config.data}, job, round));
  std::cout << line << "\n";
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app{"Serves a Cloister federation: sites and operators dial it, it dials nobody.", "cloister-coordinator"};
  app.set_version_flag("--version", std::string("cloister-coordinator ") + kCodeVersion);
  app.require_subcommand(1);
  std::string config_file = "coordinator.yaml";
  const auto with_config = [&](CLI::App* command) {
    command->add_option("--config", config_file, "the configuration file")->capture_default_str();
    return command;
  };
  std::function<absl::Status()> run;

  Init init;
  CLI::App* command = app.add_subcommand("init", "Make keys and the request for certificates, or install certificates");
  command->add_option("--folder", init.folder, "where coordinator.yaml is, or shall be")->capture_default_str();
  command->add_option("--id", init.id, "this coordinator's id")->capture_default_str();
  command->add_option("--install", init.install, "the file that cloister ca approve wrote");
  command->callback([&] { run = [&] { return RunInit(init); }; });

  command = with_config(app.add_subcommand("serve", "Serve until SIGTERM or Ctrl-C"));
  command->callback([&] { run = [&] { return RunServe(config_file); }; });

  command = with_config(app.add_subcommand("check", "Check configuration, certificates and data folder"));
  command->callback([&] { run = [&] { return RunCheck(config_file); }; });

  std::string name;
  command = with_config(app.add_subcommand("web-user",
                                           "Add a user of the status page, or change the password (read from "
                                           "standard input)"));
  command->add_option("name", name, "user name")->required();
  command->callback([&] { run = [&] { return RunWebUser(config_file, name); }; });

  CLI::App* audit = app.add_subcommand("audit", "The coordinator's audit log");
  audit->require_subcommand(1);
  std::string head;
  command = with_config(audit->add_subcommand("verify", "Check the hash chain"));
  command->add_option("--head", head, "NUMBER:HASH of an earlier check: nothing up to there may have changed");
  command->callback([&] { run = [&] { return RunAuditVerify(config_file, head); }; });
  size_t last = 50;
  command = with_config(audit->add_subcommand("show", "Print the last records"));
  command->add_option("--last", last, "how many")->capture_default_str();
  command->callback([&] { run = [&] { return RunAuditShow(config_file, last); }; });

  std::string job;
  uint32_t round = 0;
  command = with_config(app.add_subcommand(
      "recount",
      "Add up a training round that was taken back again, from what its sites signed: did a site lie, or this "
      "coordinator? It must not be running"));
  command->add_option("job", job, "the experiment's job id")->required();
  command->add_option("--round", round, "from 1")->required();
  command->callback([&] { run = [&] { return RunRecount(config_file, job, round); }; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  const absl::Status status = run();
  if (!status.ok()) {
    std::cerr << "cloister-coordinator: " << std::string(status.message()) << "\n";
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  return 0;
}

}  // namespace
}  // namespace cloister::coordinator

int main(int argc, char** argv) {
  return cloister::coordinator::Main(argc, argv);
}
