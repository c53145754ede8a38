// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/authority.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "protocols/base/file.h"
#include "protocols/transport/identity.h"

namespace cloister::coordinator {
namespace {

using transport::IdentityCertificates;
using transport::IdentityRequest;

constexpr uint64_t kMaxPemBytes = 64 << 10;
// Clocks differ; a certificate that is "not yet valid" at its owner helps nobody.
constexpr absl::Duration kClockSlack = absl::Minutes(10);

std::string Day(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

absl::StatusOr<crypto::CertificateAuthority> ReadAuthority(const std::filesystem::path& folder) {
  const auto certificate = ReadFile(folder / "ca.pem", kMaxPemBytes);
  if (absl::IsNotFound(certificate.status())) {
    return absl::NotFoundError(fmt::format("there is no CA in {}; make one with: cloister ca init --folder {}",
                                           folder.string(), folder.string()));
  }
  CLOISTER_RETURN_IF_ERROR(certificate.status());
  CLOISTER_ASSIGN_OR_RETURN(Bytes key, ReadFile(folder / "ca.key", kMaxPemBytes));
  return crypto::LoadAuthority(*certificate, crypto::SecretBytes::TakeFrom(key));
}

std::filesystem::path IssuedPath(const std::filesystem::path& folder, const std::string& id) {
  return folder / "issued" / (id + ".pem");
}

absl::StatusOr<IdentityCertificates> ReadIssued(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(path, kMaxPemBytes));
  return transport::SplitCertificates(text);
}

absl::StatusOr<crypto::IssueOptions> OptionsFor(const CaApprove& command, const IdentityRequest& request,
                                                absl::Time now) {
  crypto::IssueOptions options;
  options.not_before = now - kClockSlack;
  options.validity_days = command.days;
  if ((request.role == crypto::Role::kCoordinator) == command.hosts.empty()) {
    return absl::InvalidArgumentError(command.hosts.empty()
                                          ? "a coordinator's certificate carries the names that sites dial: say --host "
                                            "coordinator.example.org (or --host "
                                            "localhost)"
                                          : fmt::format("--host is for coordinators; this request is for the role {}",
                                                        crypto::RoleName(request.role)));
  }
  for (const std::string& host : command.hosts) {
    in6_addr address = {};
    const bool is_address =
        inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
    (is_address ? options.ip_addresses : options.dns_names).push_back(host);
  }
  return options;
}

std::string Describe(const IdentityRequest& request, const CaApprove& command) {
  std::string text = fmt::format("Request of {}, role {}\n  TLS key      {}\n  signing key  {}\n", request.id,
                                 crypto::RoleName(request.role), SpokenFingerprint(request.tls_key),
                                 SpokenFingerprint(request.signing_key));
  for (const std::string& host : command.hosts) {
    text += fmt::format("  host         {}\n", host);
  }
  return text + fmt::format("  valid for    {} days\nCompare the fingerprints with whoever sent it, by telephone.\n",
                            command.days);
}

}  // namespace

std::string SpokenFingerprint(const Digest& digest) {
  const std::string hex = digest.hex();
  std::string text;
  for (size_t i = 0; i < hex.size(); i += 8) {
    text += (i > 0 ? " " : "") + hex.substr(i, 8);
  }
  return text;
}

absl::Status InitAuthority(const CaInit& command, const Clock& clock, Terminal terminal) {
  if (std::filesystem::exists(command.folder / "ca.key")) {
    return absl::AlreadyExistsError(fmt::format("{} has a CA already; see cloister ca show", command.folder.string()));
  }
  const absl::Time now = clock.Now();
  CLOISTER_ASSIGN_OR_RETURN(
      const crypto::CertificateAuthority ca,
      crypto::CreateAuthority(command.name, now - kClockSlack, absl::Hours(24 * 365) * command.years));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(command.folder / "issued"));
  std::filesystem::permissions(command.folder, std::filesystem::perms::owner_all);
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(command.folder / "ca.key", ca.key_pem.view(), 0600));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(command.folder / "ca.pem", ca.certificate.ToPem()));
  terminal.out << fmt::format(
      "CA \"{}\" in {}, valid until {}\n  fingerprint  {}\nKeep {} off the network and in a backup: who has "
      "it can let anybody in.\n",
      command.name, command.folder.string(), Day(ca.certificate.not_after()),
      SpokenFingerprint(ca.certificate.fingerprint()), (command.folder / "ca.key").string());
  return absl::OkStatus();
}

absl::Status ApproveRequest(const CaApprove& command, const Clock& clock, Terminal terminal) {
  CLOISTER_ASSIGN_OR_RETURN(const crypto::CertificateAuthority ca, ReadAuthority(command.folder));
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(command.request, kMaxPemBytes));
  const auto read = transport::ReadIdentityRequest(text);
  if (!read.ok()) {
    return Annotate(read.status(), command.request.string());
  }
  const IdentityRequest& request = *read;
  CLOISTER_ASSIGN_OR_RETURN(const crypto::IssueOptions options, OptionsFor(command, request, clock.Now()));
  terminal.err << Describe(request, command);

  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate tls, crypto::IssueCertificate(ca, request.tls_pem, options));
  crypto::IssueOptions signing_options = options;
  signing_options.dns_names.clear();
  signing_options.ip_addresses.clear();
  CLOISTER_ASSIGN_OR_RETURN(crypto::Certificate signing,
                            crypto::IssueCertificate(ca, request.signing_pem, signing_options));
  const auto earlier = ReadIssued(IssuedPath(command.folder, request.id));
  if (!earlier.ok() && !absl::IsNotFound(earlier.status())) {
    return Annotate(earlier.status(), IssuedPath(command.folder, request.id).string());
  }
  const bool other =
      earlier.ok() && (earlier->tls.public_key() != tls.public_key() ||
                       earlier->signing.public_key() != signing.public_key() || earlier->tls.role() != tls.role());
  if (other && !command.replace) {
    return absl::FailedPreconditionError(
        fmt::format("{} has certificates for other keys or another role already, valid until {}; if that party really "
                    "made new keys, "
                    "approve again with --replace",
                    request.id, Day(earlier->tls.not_after())));
  }
  if (!command.yes &&
      !terminal.Confirm(fmt::format("Issue certificates for {} as {}?", request.id, crypto::RoleName(request.role)))) {
    return absl::CancelledError("not approved, nothing was issued");
  }

  const Bytes issued = transport::JoinCertificates({tls, signing, ca.certificate});
  const std::filesystem::path out = command.out.empty() ? std::filesystem::absolute(command.request).parent_path() /
                                                              (request.id + ".certificates.pem")
                                                        : command.out;
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(command.folder / "issued"));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(IssuedPath(command.folder, request.id), issued));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(out, issued));
  terminal.out << out.string() << "\n";
  terminal.err << fmt::format(
      "Certificates of {} until {}. Send that file back; it is not secret. There: {} enroll --install {}\n", request.id,
      Day(tls.not_after()), request.role == crypto::Role::kSite ? "cloister-site" : "cloister",
      out.filename().string());
  return absl::OkStatus();
}

absl::Status ShowAuthority(const std::filesystem::path& folder, bool json, const Clock& clock, Terminal terminal) {
  CLOISTER_ASSIGN_OR_RETURN(const crypto::CertificateAuthority ca, ReadAuthority(folder));
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "issued", error)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows = {{"ID", "ROLE", "UNTIL", "TLS CERTIFICATE"}};
  for (const std::filesystem::path& path : paths) {
    const auto issued = ReadIssued(path);
    if (!issued.ok()) {
      terminal.err << path.string() << ": " << issued.status().message() << "\n";
      continue;
    }
    const crypto::Certificate& tls = issued->tls;
    const std::string role(crypto::RoleName(tls.role()));
    list.push_back({{"id", tls.subject_id()},
                    {"role", role},
                    {"expires", FormatUtc(tls.not_after())},
                    {"tls_fingerprint", tls.fingerprint().hex()},
                    {"signing_fingerprint", issued->signing.fingerprint().hex()}});
    rows.push_back({tls.subject_id(), role, Day(tls.not_after()) + (tls.not_after() < clock.Now() ? " (expired)" : ""),
                    tls.fingerprint().short_hex()});
  }
  if (json) {
    const nlohmann::ordered_json document = {{"name", ca.certificate.subject_id()},
                                             {"expires", FormatUtc(ca.certificate.not_after())},
                                             {"fingerprint", ca.certificate.fingerprint().hex()},
                                             {"issued", list}};
    terminal.out << document.dump(2) << "\n";
    return absl::OkStatus();
  }
  terminal.out << fmt::format("CA \"{}\" in {}, valid until {}\n  fingerprint  {}\n\n", ca.certificate.subject_id(),
                              folder.string(), Day(ca.certificate.not_after()),
                              SpokenFingerprint(ca.certificate.fingerprint()))
               << (rows.size() > 1 ? Columns(rows) : "Nothing issued yet.\n");
  return absl::OkStatus();
}

}  // namespace cloister::coordinator
