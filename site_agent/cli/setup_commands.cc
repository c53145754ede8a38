// SPDX-License-Identifier: Apache-2.0
// init, enroll, run.
#include "site_agent/cli/command.h"
#include "site_agent/cli/enrolment.h"
#include "site_agent/cli/run_command.h"

namespace cloister::site {
namespace {

struct SetupOptions {
  std::string site;
  std::string folder = ".";
  std::string install;
  bool renew = false;
};

absl::StatusOr<int> Enroll(Session& session, const SetupOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_RETURN_IF_ERROR(options.install.empty() ? RequestCertificates(session, config)
                                                   : InstallCertificates(session, config, options.install));
  return kDone;
}

absl::StatusOr<int> Run(Session& session) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_RETURN_IF_ERROR(RunAgent(config));
  return kDone;
}

}  // namespace

void AddSetupCommands(CommandSet& commands) {
  const auto options = std::make_shared<SetupOptions>();
  CLI::App* init =
      commands.Add("init", "Write a sample site.yaml and policy.yaml, and make the folders",
                   {"cloister-site init --site north", "cloister-site init --site north --dir /etc/cloister"},
                   [options](Session& session) -> absl::StatusOr<int> {
                     CLOISTER_RETURN_IF_ERROR(InitSite(session, options->site, options->folder));
                     return kDone;
                   });
  init->add_option("--site", options->site, "The site's id: lower-case letters, digits, - and _")
      ->type_name("ID")
      ->required();
  init->add_option("--dir", options->folder, "Where to; files that are there are never overwritten")
      ->type_name("DIR")
      ->capture_default_str();

  CLI::App* enroll =
      commands.Add("enroll", "Make this site's keys and certificate requests, or install the certificates",
                   {"cloister-site enroll                              makes keys, writes certificates/site.csr",
                    "cloister-site enroll --install north.certificates.pem    with what cloister ca approve wrote",
                    "cloister-site enroll --renew                      a new request for the same keys"},
                   [options](Session& session) { return Enroll(session, *options); });
  CLI::Option* install =
      enroll->add_option("--install", options->install, "The file that came back: the CA's certificate and two of ours")
          ->type_name("FILE");
  enroll->add_flag("--renew", options->renew, "Keys are always kept, so this is what enroll does anyway")
      ->excludes(install);

  commands.Add("run", "Run the agent until it is told to stop (SIGTERM or Ctrl-C)",
               {"cloister-site run --config /etc/cloister/site.yaml"}, Run);
}

}  // namespace cloister::site
