// SPDX-License-Identifier: Apache-2.0
// Folders, certificates, policy, labels, agent, portal: what lies on this machine.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "protocols/transport/http_server.h"
#include "protocols/transport/identity.h"
#include "site_agent/cli/doctor.h"
#include "site_agent/cli/task_lookup.h"
#include "site_agent/cli/text.h"
#include "site_agent/cohort/label_file.h"
#include "site_agent/policy/policy.h"

namespace cloister::site {
namespace {

constexpr uint64_t kLeastFreeBytes = uint64_t{2} << 30;
constexpr uint64_t kFewFreeBytes = uint64_t{20} << 30;
constexpr absl::Duration kRenewBefore = absl::Hours(24 * 30);
constexpr uint64_t kMostPolicyBytes = 1 << 20;

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::LocalTimeZone());
}

// A key that others on this machine can read is not secret any more.
std::vector<Finding> ExamineKeyModes(const std::filesystem::path& folder) {
  std::vector<Finding> findings;
  for (const char* name : {"tls.key", "signing.key"}) {
    struct stat facts = {};
    const std::filesystem::path path = folder / name;
    if (stat(path.c_str(), &facts) == 0 && (facts.st_mode & 077) != 0) {
      findings.push_back({"certificates", Health::kProblem,
                          fmt::format("{} can be read by others (mode {:o})", path.string(), facts.st_mode & 0777),
                          fmt::format("chmod 600 {}", path.string())});
    }
  }
  return findings;
}

// What to do about a certificate that does not work.
std::string CertificateAdvice(const std::filesystem::path& folder, const absl::Status& status) {
  std::error_code error;
  if (absl::IsNotFound(status) && !std::filesystem::exists(folder / "tls.key", error)) {
    return "cloister-site enroll, send site.csr to the consortium CA, then cloister-site enroll --install FILE";
  }
  if (absl::IsNotFound(status)) {
    return "install what the consortium CA sent back: cloister-site enroll --install FILE";
  }
  return "cloister-site enroll --renew, send site.csr to the consortium CA, then cloister-site enroll --install FILE";
}

std::optional<Finding> ExamineLabelFile(const Patient& patient, const LabelConfig& labels) {
  const absl::StatusOr<plan::Task> task = FindTask(patient.config, patient.store->experiments(), labels.task);
  if (!task.ok()) {
    if (const absl::Status readable = ReadFile(labels.file).status(); !readable.ok()) {
      return Finding{"labels", Health::kProblem, std::string(readable.message()),
                     "correct labels.file in site.yaml, or put the CSV there"};
    }
    return Finding{
        "labels", absl::IsNotFound(task.status()) ? Health::kNote : Health::kProblem,
        fmt::format("{} cannot be checked yet: {}", labels.file.string(), std::string(task.status().message())),
        "name a folder with task files under \"tasks\" in site.yaml"};
  }
  const absl::StatusOr<LabelFile> file = ReadLabelFile(labels.file, labels.accession_column, task->label);
  if (!file.ok()) {
    return Finding{
        "labels", Health::kProblem, std::string(file.status().message()),
        fmt::format("{} needs the columns {} and {}", labels.task, labels.accession_column, task->label.column)};
  }
  int positive = 0;
  int negative = 0;
  for (const auto& [accession, row] : file->by_accession) {
    positive += row.value == LabelValue::kPositive ? 1 : 0;
    negative += row.value == LabelValue::kNegative ? 1 : 0;
  }
  Finding finding{"labels", Health::kOk,
                  fmt::format("{}: {} rows, {} positive, {} negative", labels.task, file->rows, positive, negative),
                  ""};
  if (positive == 0 || negative == 0) {
    finding.health = Health::kNote;
    finding.advice = fmt::format(
        "only one class: most numbers will not be estimable here; \"{}\" means positive, "
        "\"{}\" negative",
        task->label.positive, task->label.negative);
  }
  if (!file->findings.empty()) {
    finding.health = Health::kNote;
    finding.text += fmt::format(", {} odd rows", file->findings.size());
    finding.advice = fmt::format("cloister-site cohort build {} lists their lines", labels.task);
  }
  return finding;
}

}  // namespace

std::vector<Finding> ExamineFolders(const Patient& patient) {
  const std::filesystem::path& data = patient.config.data;
  struct statvfs disk = {};
  if (access(data.c_str(), W_OK) != 0 || statvfs(data.c_str(), &disk) != 0) {
    return {{"disk", Health::kProblem, fmt::format("{} cannot be written", data.string()),
             fmt::format("chown it to the account of the agent (this is {})", Account().substr(4))}};
  }
  const uint64_t free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  std::vector<Finding> findings;
  Finding finding{"disk", Health::kOk, fmt::format("{:.1f} GB free for {}", free_bytes / 1e9, data.string()), ""};
  if (free_bytes < kFewFreeBytes) {
    finding.health = free_bytes < kLeastFreeBytes ? Health::kProblem : Health::kNote;
    finding.advice = fmt::format("make room: the cache of studies in {} may be removed, it is fetched again",
                                 (data / "cache").string());
  }
  findings.push_back(finding);
  struct stat facts = {};
  if (stat(data.c_str(), &facts) == 0 && (facts.st_mode & 077) != 0) {
    findings.push_back({"disk", Health::kProblem,
                        fmt::format("{} holds identified images and is open to others (mode {:o})", data.string(),
                                    facts.st_mode & 0777),
                        fmt::format("chmod 700 {}", data.string())});
  }
  return findings;
}

std::vector<Finding> ExamineCertificates(const Patient& patient) {
  const std::filesystem::path& folder = patient.config.certificates;
  const absl::Time now = patient.clock->Now();
  std::vector<Finding> findings = ExamineKeyModes(folder);
  const auto add_problem = [&](const absl::Status& status) {
    findings.push_back(
        {"certificates", Health::kProblem, std::string(status.message()), CertificateAdvice(folder, status)});
  };
  const auto tls = transport::CheckOwnCertificate(transport::TlsFilesOf(folder), crypto::Role::kSite, now);
  if (!tls.ok()) {
    add_problem(tls.status());
    return findings;
  }
  const auto signer = transport::LoadSigner(folder, crypto::Role::kSite, now);
  if (!signer.ok()) {
    add_problem(signer.status());
    return findings;
  }
  for (const crypto::Certificate* certificate : {&*tls, &signer->certificate()}) {
    if (certificate->subject_id() != patient.config.site.value()) {
      add_problem(absl::FailedPreconditionError(fmt::format("the certificate is for site {}, site.yaml says {}",
                                                            certificate->subject_id(), patient.config.site.value())));
      return findings;
    }
  }
  const absl::Time until = std::min(tls->not_after(), signer->certificate().not_after());
  Finding finding{"certificates", Health::kOk,
                  fmt::format("{}, role site, keys match, until {}", tls->subject_id(), Date(until)), ""};
  if (until - now < kRenewBefore) {
    finding.health = Health::kNote;
    finding.advice = fmt::format("{} days are left: cloister-site enroll --renew, and send site.csr to the CA",
                                 absl::ToInt64Hours(until - now) / 24);
  }
  findings.push_back(finding);
  return findings;
}

std::vector<Finding> ExaminePolicy(const Patient& patient) {
  const std::filesystem::path& path = patient.config.policy;
  const absl::StatusOr<Bytes> text = ReadFile(path, kMostPolicyBytes);
  const absl::StatusOr<Policy> policy = text.ok() ? ParsePolicy(*text, path.string()) : text.status();
  if (!policy.ok()) {
    return {{"policy", Health::kProblem, std::string(policy.status().message()),
             "until it is corrected this site answers no experiment"}};
  }
  std::string tasks;
  for (const std::string& task : policy->allowed_tasks) {
    tasks += (tasks.empty() ? "" : ", ") + task;
  }
  std::vector<Finding> findings = {
      {"policy", Health::kOk,
       fmt::format("allows {}; at least {} patients, sums over at least {} sites, approval {}",
                   tasks.empty() ? "no task" : tasks, policy->minimum_cohort, policy->minimum_sites,
                   policy->approval == Approval::kManual ? "by a person" : "automatic"),
       ""}};
  for (const std::string& task : policy->allowed_tasks) {
    if (patient.config.LabelsOf(task) == nullptr) {
      findings.push_back({"policy", Health::kNote, fmt::format("{} is allowed, but has no label file", task),
                          "add it under \"labels\" in site.yaml"});
    }
  }
  return findings;
}

std::vector<Finding> ExamineLabels(const Patient& patient) {
  std::vector<Finding> findings;
  for (const LabelConfig& labels : patient.config.labels) {
    if (std::optional<Finding> finding = ExamineLabelFile(patient, labels)) {
      findings.push_back(*std::move(finding));
    }
  }
  if (findings.empty()) {
    findings.push_back({"labels", Health::kNote, "no label file is configured, so this site cannot train or validate",
                        "add one a task under \"labels\" in site.yaml"});
  }
  return findings;
}

std::vector<Finding> ExamineAgent(const Patient& patient) {
  if (patient.agent_alive) {
    return {{"agent", Health::kOk, "running", ""}};
  }
  return {{"agent", Health::kNote, "not running", "cloister-site run, or start its service"}};
}

std::vector<Finding> ExaminePortal(const Patient& patient) {
  const SiteConfig& config = patient.config;
  if (config.portal_port == 0) {
    return {{"portal", Health::kOk, "off (portal.port in site.yaml)", ""}};
  }
  std::vector<Finding> findings;
  const absl::StatusOr<transport::Users> users = transport::ReadUsers(config.portal_users);
  if (!users.ok() || users->empty()) {
    const bool damaged = !users.ok() && !absl::IsNotFound(users.status());
    return {{"portal", Health::kProblem,
             damaged ? std::string(users.status().message()) : "nobody can log in: there are no users",
             "cloister-site portal-user NAME"}};
  }
  const absl::Status free = patient.agent_alive ? absl::OkStatus() : TryPort(config.portal_host, config.portal_port);
  if (!free.ok()) {
    return {{"portal", Health::kProblem, std::string(free.message()),
             "stop the other program, or choose another portal.port in site.yaml"}};
  }
  return {{"portal", Health::kOk,
           fmt::format("http://{}:{}/, {} user{}", config.portal_host, config.portal_port, users->size(),
                       users->size() == 1 ? "" : "s"),
           ""}};
}

}  // namespace cloister::site
