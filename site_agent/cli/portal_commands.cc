// SPDX-License-Identifier: Apache-2.0
// portal-user.
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <iostream>

#include "protocols/base/file.h"
#include "protocols/crypto/secret.h"
#include "protocols/transport/http_server.h"
#include "site_agent/cli/command.h"

namespace cloister::site {
namespace {

struct UserOptions {
  std::string name;
  std::string password_file;
};

// While it lives, what is typed at the terminal is not shown.
class HiddenTyping {
 public:
  explicit HiddenTyping(bool on) : on_(on && tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (on_) {
      termios hidden = before_;
      hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
      tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
  }
  ~HiddenTyping() {
    if (on_) {
      tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
  }
  HiddenTyping(const HiddenTyping&) = delete;
  HiddenTyping& operator=(const HiddenTyping&) = delete;

 private:
  termios before_ = {};
  bool on_;
};

std::string ReadLine(const Session& session, const std::string& question) {
  if (session.interactive()) {
    session.err() << question << std::flush;
  }
  std::string line;
  {
    const HiddenTyping hidden(session.interactive());
    std::getline(session.in(), line);
  }
  if (session.interactive()) {
    session.err() << "\n";
  }
  if (!line.empty() && line.back() == '\r') {
    line.pop_back();
  }
  return line;
}

absl::StatusOr<std::string> ReadPassword(const Session& session, const UserOptions& options) {
  if (!options.password_file.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(std::string text, ReadFile(options.password_file, 4096));
    return text.substr(0, text.find_first_of("\r\n"));
  }
  std::string password = ReadLine(session, "Password (at least 10 characters): ");
  if (session.interactive() && ReadLine(session, "The same again: ") != password) {
    return absl::InvalidArgumentError("the two passwords differ; nothing was changed");
  }
  return password;
}

absl::StatusOr<int> AddUser(Session& session, const UserOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(std::string password, ReadPassword(session, options));
  const absl::Status written = transport::WriteUser(config.portal_users, options.name, password);
  crypto::WipeMemory(password.data(), password.size());
  CLOISTER_RETURN_IF_ERROR(written);
  session.out() << fmt::format("{} may log in: {}{}\n", options.name, config.portal_users.string(),
                               config.portal_port == 0 ? " (the portal is off: portal.port in site.yaml)" : "");
  return kDone;
}

}  // namespace

void AddPortalCommands(CommandSet& commands) {
  const auto options = std::make_shared<UserOptions>();
  CLI::App* command = commands.Add("portal-user", "Add a user of the portal, or change a password",
                                   {"cloister-site portal-user wang                        asks for the password",
                                    "cloister-site portal-user wang --password-file FILE   takes its first line",
                                    "printf '%s\\n' \"$PASSWORD\" | cloister-site portal-user wang"},
                                   [options](Session& session) { return AddUser(session, *options); });
  command->add_option("NAME", options->name, "Lower-case letters, digits, - and _")->required();
  command->add_option("--password-file", options->password_file, "Instead of stdin")->type_name("FILE");
}

}  // namespace cloister::site
