// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "coordinator/cli/authority.h"
#include "coordinator/cli/enrolment.h"
#include "coordinator/cli/operator_client.h"
#include "coordinator/cli/operator_config.h"
#include "coordinator/cli/show.h"
#include "coordinator/cli/submission.h"
#include "coordinator/cli/watch.h"
#include "protocols/base/log.h"
#include "protocols/plan/documents.h"
#include "protocols/transport/identity.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
namespace {

constexpr char kAbout[] =
    "Operates a Cloister consortium: its certificate authority, its experiments, its releases.\n"
    "Images never leave the hospitals; this program talks to the coordinator only.";

constexpr char kFooter[] = R"(
A first day:
  cloister ca init --folder ca                               once, on a machine off the network
  cloister enroll --id olga --coordinator hub.example.org:8443
  cloister ca approve operator.csr --folder ca                shows who asks for what, and asks
  cloister enroll --install olga.certificates.pem
  cloister experiment submit experiment.yaml --watch

Exit status: 0 done; 1 something else failed; 2 the command line, a file or a value is wrong; 3 the coordinator cannot be reached;
4 it refuses, or our certificate is not valid; 5 there is no such thing; 6 the experiment failed; 7 it was aborted.
)";

// What the options of the command line fill in, and the commands they run.
class CommandLine {
 public:
  CommandLine(const Clock& clock, Terminal terminal) : clock_(clock), terminal_(terminal) {
    app_.footer(kFooter);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--config", config_file_, "operator.yaml (default ~/.config/cloister/operator.yaml)")
        ->type_name("FILE");
    app_.add_option("--coordinator", coordinator_, "instead of the configured one")->type_name("HOST:PORT");
    app_.add_flag("--json", json_, "results as JSON on stdout");
    app_.add_option("--log-level", log_level_, "trace, debug, info, warning or error")->capture_default_str();
    AddCa();
    AddEnroll();
    AddExperiment();
    AddRelease();
    AddSite();
  }

  int Run(std::vector<std::string> arguments) {
    if (const std::string problem = UnknownCommand(arguments); !problem.empty()) {
      terminal_.err << "cloister: " << problem << "\n";
      return kExitUsage;
    }
    try {
      std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
      app_.parse(arguments);
    } catch (const CLI::ParseError& error) {
      const int code = app_.exit(error, terminal_.out, terminal_.err);
      return code == 0 ? 0 : kExitUsage;
    }
    SetUpLogging("cloister", log_level_);
    int code = 0;
    const absl::Status status = action_(&code);
    if (!status.ok()) {
      terminal_.err << "cloister: " << status.message() << "\n";
      return ExitCodeOf(status);
    }
    return code;
  }

 private:
  // CLI11 only says that a command is missing; empty: nothing wrong.
  std::string UnknownCommand(const std::vector<std::string>& arguments) const {
    const CLI::App* group = &app_;
    for (size_t i = 0; i < 2 && i < arguments.size() && arguments[i].front() != '-'; ++i) {
      std::vector<std::string> names;
      const CLI::App* found = nullptr;
      for (const CLI::App* command : group->get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
        found = command->get_name() == arguments[i] ? command : found;
      }
      if (names.empty()) {
        return "";
      }
      if (found == nullptr) {
        return fmt::format("no command '{}'; there are: {}", arguments[i], fmt::join(names, ", "));
      }
      group = found;
    }
    return "";
  }

  using Action = std::function<absl::Status(int* code)>;

  // A command that runs `action`; its own exit code stays 0.
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& about, const std::string& examples,
                std::function<absl::Status()> action) {
    return AddWithCode(parent, name, about, examples, [action = std::move(action)](int*) { return action(); });
  }
  CLI::App* AddWithCode(CLI::App* parent, const std::string& name, const std::string& about,
                        const std::string& examples, Action action) {
    CLI::App* command = parent->add_subcommand(name, about);
    command->footer("\nExamples:\n" + examples);
    command->callback([this, action = std::move(action)] { action_ = action; });
    return command;
  }
  CLI::App* AddGroup(const std::string& name, const std::string& about) {
    CLI::App* group = app_.add_subcommand(name, about);
    group->require_subcommand(1);
    group->fallthrough();
    return group;
  }

  void AddCa() {
    CLI::App* ca = AddGroup("ca", "The consortium's certificate authority");
    ca_init_.folder = ca_approve_.folder = ca_show_ = DefaultFolder() / "ca";
    CLI::App* init = Add(ca, "init", "Make the CA: a key and a certificate in a folder",
                         "  cloister ca init --folder ca --name \"Chest X-ray consortium\"\n",
                         [this] { return InitAuthority(ca_init_, clock_, terminal_); });
    init->add_option("--folder", ca_init_.folder, "where")->capture_default_str();
    init->add_option("--name", ca_init_.name, "shown to people")->capture_default_str();
    init->add_option("--years", ca_init_.years, "how long it lasts")->capture_default_str()->check(CLI::Range(1, 30));

    CLI::App* approve = Add(ca, "approve", "Issue the certificates that a request asks for",
                            "  cloister ca approve site.csr --folder ca\n"
                            "  cloister ca approve coordinator.csr --folder ca --host hub.example.org --host 10.0.0.5\n"
                            "The certificates' file is printed; send it back. A renewal is the same again.\n",
                            [this] { return ApproveRequest(ca_approve_, clock_, terminal_); });
    approve
        ->add_option("request", ca_approve_.request,
                     "the request file (NAME.csr) of cloister enroll or cloister-site enroll")
        ->required();
    approve->add_option("--folder", ca_approve_.folder, "of the CA")->capture_default_str();
    approve->add_option("--out", ca_approve_.out,
                        "where the certificates go (default ID.certificates.pem beside the request)");
    approve->add_option("--days", ca_approve_.days, "how long they last")
        ->capture_default_str()
        ->check(CLI::Range(1, 3650));
    approve->add_option("--host", ca_approve_.hosts,
                        "a name or address that sites dial; for a coordinator, repeatable");
    approve->add_flag("--yes", ca_approve_.yes, "do not ask");
    approve->add_flag("--replace", ca_approve_.replace, "the party has new keys or a new role");

    CLI::App* show = Add(ca, "show", "The CA and what it has issued", "  cloister ca show --folder ca --json\n",
                         [this] { return ShowAuthority(ca_show_, json_, clock_, terminal_); });
    show->add_option("--folder", ca_show_, "of the CA")->capture_default_str();
  }

  void AddEnroll() {
    enroll_.folder = DefaultFolder();
    CLI::App* enroll = Add(&app_, "enroll",
                           "Keys and certificate requests of an operator or a coordinator; installing what comes back",
                           "  cloister enroll --id olga --coordinator hub.example.org:8443\n"
                           "  cloister enroll --id hub --role coordinator --folder /etc/cloister/certificates\n"
                           "  cloister enroll --install olga.certificates.pem\n"
                           "Running it again makes a request for a renewal with the same keys.\n",
                           [this] {
                             enroll_.coordinator = coordinator_;
                             return RunEnroll(enroll_, clock_, terminal_);
                           });
    enroll->add_option("--id", enroll_.id, "who: letters, digits, - and _");
    enroll->add_option("--role", enroll_.role, "operator or coordinator")->capture_default_str();
    enroll->add_option("--folder", enroll_.folder, "where keys and certificates lie")->capture_default_str();
    enroll->add_option("--install", enroll_.install, "what cloister ca approve wrote");
  }

  void AddExperiment() {
    CLI::App* experiment = AddGroup("experiment", "Submit, watch and abort experiments");
    CLI::App* submit = AddWithCode(
        experiment, "submit", "Freeze an experiment file into a plan, sign it and hand it to the coordinator",
        "  cloister experiment submit experiment.yaml --watch\n"
        "  cloister experiment submit experiment.yaml --dry-run\n"
        "  cloister experiment submit experiment.yaml --initial-model pretrained.safetensors\n"
        "The job's id is printed. Sites then approve the plan by its digest.\n",
        [this](int* code) { return SubmitCommand(code); });
    submit->add_option("file", submit_.experiment, "the experiment, YAML")->required();
    submit->add_option("--tasks", submit_.tasks, "folder of task files (default: the installed ones)");
    submit->add_option("--initial-model", submit_.initial_model, "start from these weights (safetensors)");
    submit->add_option("--worker", submit_.worker,
                       "the program that makes initial weights (default: cloister-worker beside this one)");
    submit->add_flag("--dry-run", dry_run_, "show the plan, submit nothing");
    submit->add_flag("--watch", watch_, "then watch it");

    Add(experiment, "list", "All experiments", "  cloister experiment list\n", [this] { return ListCommand(); });
    CLI::App* status =
        Add(experiment, "status", "One experiment: phase, sites, gates",
            "  cloister experiment status            the newest\n  cloister experiment status JOB --json\n",
            [this] { return StatusCommand(); });
    status->add_option("job", job_, "its id or name (default: the newest)");
    CLI::App* watch = AddWithCode(experiment, "watch", "A line for everything that happens, until it has ended",
                                  "  cloister experiment watch\n  cloister experiment watch JOB && echo released\n",
                                  [this](int* code) { return WatchCommand(code); });
    watch->add_option("job", job_, "its id or name (default: the newest)");
    CLI::App* abort =
        Add(experiment, "abort", "End an experiment; sites are told why",
            "  cloister experiment abort JOB --reason \"wrong label column\"\n", [this] { return AbortCommand(); });
    abort->add_option("job", job_, "its id or name")->required();
    abort->add_option("--reason", reason_, "one line, shown at every site")->required();
  }

  void AddRelease() {
    CLI::App* release = AddGroup("release", "Signed ensembles");
    Add(release, "list", "All releases", "  cloister release list\n", [this] {
      return WithClient([&](OperatorClient& client) -> absl::Status {
        CLOISTER_ASSIGN_OR_RETURN(const auto list, client.ListReleases());
        PrintList(list, ReleasesText(list, clock_.Now()));
        return absl::OkStatus();
      });
    });
    CLI::App* show = Add(release, "show", "One release: members, gates, where it is in use",
                         "  cloister release show RELEASE\n", [this] { return ReleaseCommand(); });
    show->add_option("release", release_, "its id")->required();
  }

  void AddSite() {
    CLI::App* site = AddGroup("site", "The hospitals");
    Add(site, "list", "Who has connected, when, with which agent", "  cloister site list\n", [this] {
      return WithClient([&](OperatorClient& client) -> absl::Status {
        CLOISTER_ASSIGN_OR_RETURN(const auto list, client.ListSites());
        PrintList(list, SitesText(list, clock_.Now()));
        return absl::OkStatus();
      });
    });
  }

  absl::StatusOr<OperatorConfig> Config() const {
    CLOISTER_ASSIGN_OR_RETURN(OperatorConfig config,
                              ReadOperatorConfig(config_file_.empty() ? DefaultFolder() / "operator.yaml"
                                                                      : std::filesystem::path(config_file_)));
    if (!coordinator_.empty()) {
      config.coordinator = coordinator_;
    }
    return config;
  }

  absl::Status WithClient(const std::function<absl::Status(OperatorClient&)>& use) const {
    CLOISTER_ASSIGN_OR_RETURN(const OperatorConfig config, Config());
    CLOISTER_ASSIGN_OR_RETURN(OperatorClient client, OperatorClient::Create(config, &clock_));
    return use(client);
  }

  template <typename Value>
  void PrintList(const std::vector<Value>& list, const std::string& text) const {
    if (!json_) {
      terminal_.out << text;
      return;
    }
    Json array = Json::array();
    for (const Value& value : list) {
      array.push_back(ToJson(value));
    }
    terminal_.out << array.dump(2) << "\n";
  }

  // The experiment that `job_` names: by id, by name (its newest), or the newest of all.
  absl::StatusOr<wire::ExperimentStatus> Find(OperatorClient& client) const {
    CLOISTER_ASSIGN_OR_RETURN(std::vector<wire::ExperimentStatus> list, client.ListExperiments());
    const wire::ExperimentStatus* newest = nullptr;
    for (const wire::ExperimentStatus& status : list) {
      if (status.job.value() == job_) {
        return status;
      }
      const bool named = job_.empty() || status.name == job_;
      if (named && (newest == nullptr || newest->submitted_unix_ms <= status.submitted_unix_ms)) {
        newest = &status;
      }
    }
    if (newest == nullptr) {
      return absl::NotFoundError(job_.empty() ? "there are no experiments yet"
                                              : fmt::format("no experiment '{}'; see cloister experiment list", job_));
    }
    return *newest;
  }

  absl::Status SubmitCommand(int* code) {
    CLOISTER_ASSIGN_OR_RETURN(const OperatorConfig config, Config());
    CLOISTER_ASSIGN_OR_RETURN(const FrozenPlan frozen, FreezePlan(submit_, config));
    (json_ ? terminal_.err : terminal_.out) << DescribePlan(frozen) << std::flush;
    if (dry_run_) {
      if (json_) {
        terminal_.out << frozen.document << "\n";
      }
      return absl::OkStatus();
    }
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Signer signer,
                              transport::LoadSigner(config.certificates, crypto::Role::kOperator, clock_.Now()));
    CLOISTER_ASSIGN_OR_RETURN(OperatorClient client, OperatorClient::Create(config, &clock_));
    CLOISTER_ASSIGN_OR_RETURN(const JobId job, SubmitPlan(frozen, signer, &client));
    if (json_) {
      const Json result = {{"job", job.value()},
                           {"plan", frozen.digest.hex()},
                           {"model", frozen.model.digest.hex()},
                           {"parameters", frozen.model.parameters}};
      terminal_.out << result.dump() << "\n" << std::flush;
    } else {
      terminal_.out << fmt::format("job         {}\n", job.value()) << std::flush;
    }
    if (!watch_) {
      return absl::OkStatus();
    }
    CLOISTER_ASSIGN_OR_RETURN(*code, Watch(&client, job, json_, terminal_));
    return absl::OkStatus();
  }

  absl::Status ListCommand() const {
    return WithClient([&](OperatorClient& client) -> absl::Status {
      CLOISTER_ASSIGN_OR_RETURN(const auto list, client.ListExperiments());
      PrintList(list, ExperimentsText(list, clock_.Now()));
      return absl::OkStatus();
    });
  }

  absl::Status StatusCommand() const {
    return WithClient([&](OperatorClient& client) -> absl::Status {
      CLOISTER_ASSIGN_OR_RETURN(const wire::ExperimentStatus found, Find(client));
      CLOISTER_ASSIGN_OR_RETURN(const wire::ExperimentStatus status, client.GetExperiment(found.job));
      terminal_.out << (json_ ? ToJson(status).dump(2) + "\n" : ExperimentText(status));
      return absl::OkStatus();
    });
  }

  absl::Status WatchCommand(int* code) const {
    return WithClient([&](OperatorClient& client) -> absl::Status {
      CLOISTER_ASSIGN_OR_RETURN(const wire::ExperimentStatus found, Find(client));
      CLOISTER_ASSIGN_OR_RETURN(*code, Watch(&client, found.job, json_, terminal_));
      return absl::OkStatus();
    });
  }

  absl::Status AbortCommand() const {
    return WithClient([&](OperatorClient& client) -> absl::Status {
      CLOISTER_ASSIGN_OR_RETURN(const wire::ExperimentStatus found, Find(client));
      CLOISTER_ASSIGN_OR_RETURN(const wire::ExperimentStatus status, client.AbortExperiment(found.job, reason_));
      terminal_.out << (json_ ? ToJson(status).dump(2) + "\n"
                              : fmt::format("{}: {}\n", status.job.value(), wire::NameOf(status.phase)));
      return absl::OkStatus();
    });
  }

  absl::Status ReleaseCommand() const {
    return WithClient([&](OperatorClient& client) -> absl::Status {
      CLOISTER_ASSIGN_OR_RETURN(const ReleaseId id, ReleaseId::Parse(release_));
      CLOISTER_ASSIGN_OR_RETURN(const wire::ReleaseStatus release, client.GetRelease(id));
      const absl::StatusOr<std::string> signer = Signer(release);
      if (json_) {
        Json json = ToJson(release);
        json["signed_by"] = signer.ok() ? Json(*signer) : Json();
        terminal_.out << json.dump(2) << "\n";
        return signer.status();
      }
      CLOISTER_ASSIGN_OR_RETURN(const std::string text, ReleaseText(release));
      terminal_.out << text << (signer.ok() ? "\nSignature of " + *signer + ": valid\n" : "");
      return signer.status();
    });
  }

  // UNAUTHENTICATED: the manifest was not signed by a coordinator of our consortium.
  absl::StatusOr<std::string> Signer(const wire::ReleaseStatus& release) const {
    CLOISTER_ASSIGN_OR_RETURN(const OperatorConfig config, Config());
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Certificate ca, transport::LoadAuthority(config.certificates));
    const wire::SignedDocument& manifest = release.manifest;
    return crypto::VerifySignature(manifest.certificate, ca, plan::kReleaseDomain, manifest.document,
                                   manifest.signature, crypto::Role::kCoordinator, clock_.Now());
  }

  const Clock& clock_;
  Terminal terminal_;
  CLI::App app_{kAbout, "cloister"};
  Action action_;

  std::string config_file_, coordinator_, log_level_ = "warning";
  bool json_ = false;
  CaInit ca_init_;
  CaApprove ca_approve_;
  std::filesystem::path ca_show_;
  Enroll enroll_;
  Submit submit_;
  bool dry_run_ = false, watch_ = false;
  std::string job_, reason_, release_;
};

}  // namespace

int RunCommandLine(std::vector<std::string> arguments, const Clock& clock, Terminal terminal) {
  return CommandLine(clock, terminal).Run(std::move(arguments));
}

}  // namespace cloister::coordinator
