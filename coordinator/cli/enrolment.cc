// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/enrolment.h"

#include <fmt/format.h>

#include "coordinator/cli/authority.h"
#include "coordinator/cli/operator_config.h"
#include "protocols/base/file.h"
#include "protocols/transport/channel.h"
#include "protocols/transport/identity.h"

namespace cloister::coordinator {
namespace {

absl::Status Install(const Enroll& command, const Clock& clock, Terminal terminal) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(command.install, 64 << 10));
  const auto installed = transport::InstallIdentity(command.folder, text, clock.Now());
  if (!installed.ok()) {
    return Annotate(installed.status(), command.install.string());
  }
  terminal.out << fmt::format("{} is {} of \"{}\" until {}\n", installed->tls.subject_id(),
                              crypto::RoleName(installed->tls.role()), installed->ca.subject_id(),
                              FormatUtc(installed->tls.not_after()));
  return absl::OkStatus();
}

}  // namespace

absl::Status RunEnroll(const Enroll& command, const Clock& clock, Terminal terminal) {
  if (!command.install.empty()) {
    return Install(command, clock, terminal);
  }
  if (command.id.empty()) {
    return absl::InvalidArgumentError("say who: --id YOUR-ID (or --install FILE for what the CA sent back)");
  }
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Role role, crypto::ParseRole(command.role));
  if (role != crypto::Role::kOperator && role != crypto::Role::kCoordinator) {
    return absl::InvalidArgumentError(
        fmt::format("--role {}: operator or coordinator (a site has cloister-site enroll)", command.role));
  }
  if (!command.coordinator.empty()) {
    CLOISTER_RETURN_IF_ERROR(transport::CheckTarget(command.coordinator));
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path path,
                            transport::RequestIdentity(command.folder, command.id, role));
  std::filesystem::permissions(command.folder, std::filesystem::perms::owner_all);
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(path));
  CLOISTER_ASSIGN_OR_RETURN(const transport::IdentityRequest request, transport::ReadIdentityRequest(text));
  const std::filesystem::path config = command.folder / "operator.yaml";
  if (!command.coordinator.empty() && !std::filesystem::exists(config)) {
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(config, OperatorConfigText(command.coordinator)));
  }
  terminal.out << path.string() << "\n";
  terminal.err << fmt::format(
      "Send that file to whoever keeps the consortium's CA (it holds no secret), who runs: cloister ca approve {}\n"
      "  TLS key      {}\n  signing key  {}\nThen install what comes back: cloister enroll --folder {} --install "
      "FILE\n",
      path.filename().string(), SpokenFingerprint(request.tls_key), SpokenFingerprint(request.signing_key),
      command.folder.string());
  return absl::OkStatus();
}

}  // namespace cloister::coordinator
