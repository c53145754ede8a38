// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cli/enrolment.h"

#include <fmt/format.h>

#include <ostream>

#include "protocols/base/file.h"
#include "protocols/transport/identity.h"
#include "site_agent/cli/text.h"

namespace cloister::site {
namespace {

constexpr uint64_t kMostBundleBytes = 64 << 10;

absl::Status MakePrivateFolder(const std::filesystem::path& folder) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  std::error_code error;
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  return error ? ErrnoStatus(error.value(), "cannot set the mode of", folder) : absl::OkStatus();
}

// In groups, as two people read it to each other.
std::string Spoken(const Digest& fingerprint) {
  const std::string hex = fingerprint.hex();
  std::string text;
  for (size_t i = 0; i < hex.size(); i += 8) {
    text += (i == 0 ? "" : " ") + hex.substr(i, 8);
  }
  return text;
}

}  // namespace

absl::Status InitSite(const Session& session, const std::string& site, const std::filesystem::path& folder) {
  CLOISTER_RETURN_IF_ERROR(SiteId::Parse(site).status());
  const std::filesystem::path config = folder / "site.yaml";
  const std::filesystem::path policy = folder / "policy.yaml";
  std::error_code error;
  if (std::filesystem::exists(config, error)) {
    return absl::AlreadyExistsError(config.string() + " is there already; nothing was changed");
  }
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_RETURN_IF_ERROR(MakePrivateFolder(folder / "data"));
  CLOISTER_RETURN_IF_ERROR(MakePrivateFolder(folder / "certificates"));
  const bool has_policy = std::filesystem::exists(policy, error);
  if (!has_policy) {
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(policy, SamplePolicy(), 0644));
  }
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(config, SampleSiteConfig(site), 0644));
  session.out() << fmt::format(
      "{}  who this site is and where its PACS and coordinator are: edit it\n"
      "{}  what it allows{}\n"
      "next: cloister-site enroll --config {}\n",
      config.string(), policy.string(), has_policy ? ": it was there and stays as it is" : ": edit it",
      config.string());
  return absl::OkStatus();
}

absl::Status RequestCertificates(const Session& session, const SiteConfig& config) {
  CLOISTER_RETURN_IF_ERROR(MakePrivateFolder(config.certificates));
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path path,
                            transport::RequestIdentity(config.certificates, config.site.value(), crypto::Role::kSite));
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(path, kMostBundleBytes));
  CLOISTER_ASSIGN_OR_RETURN(const transport::IdentityRequest request, transport::ReadIdentityRequest(text));
  session.out() << path.string() << "\n";
  session.err() << fmt::format(
      "Send that file to whoever keeps the consortium's CA (it holds no secret); they run: cloister ca approve {}\n"
      "Compare by telephone\n  TLS key      {}\n  signing key  {}\n"
      "Then install what comes back: cloister-site enroll --install FILE\n",
      path.filename().string(), Spoken(request.tls_key), Spoken(request.signing_key));
  return absl::OkStatus();
}

absl::Status InstallCertificates(const Session& session, const SiteConfig& config,
                                 const std::filesystem::path& bundle) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(bundle, kMostBundleBytes));
  const absl::StatusOr<transport::IdentityCertificates> offered = transport::SplitCertificates(text);
  if (!offered.ok()) {
    return Annotate(offered.status(), bundle.string());
  }
  if (offered->tls.role() != crypto::Role::kSite || offered->tls.subject_id() != config.site.value()) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: certificates of {} {}, but this is site {}; ask for the right "
        "file, or correct \"site\" in site.yaml and enrol again",
        bundle.string(), crypto::RoleName(offered->tls.role()), offered->tls.subject_id(), config.site.value()));
  }
  const auto installed = transport::InstallIdentity(config.certificates, text, session.clock().Now());
  if (absl::IsNotFound(installed.status())) {
    return absl::NotFoundError(
        fmt::format("{}; these certificates are for keys of another folder: run cloister-site enroll first",
                    std::string(installed.status().message())));
  }
  if (!installed.ok()) {
    return Annotate(installed.status(), bundle.string());
  }
  session.out() << fmt::format("{} is site of \"{}\" until {}\nCA fingerprint, to compare: {}\n",
                               installed->tls.subject_id(), Printable(installed->ca.subject_id()),
                               FormatUtc(installed->tls.not_after()), Spoken(installed->ca.fingerprint()));
  return absl::OkStatus();
}

}  // namespace cloister::site
