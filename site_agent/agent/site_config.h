#pragma once
// SPDX-License-Identifier: Apache-2.0
// The site's configuration file, site.yaml: who we are, where the coordinator, the PACS and the label files are. What
// is allowed is the policy file's business. Relative paths are relative to the configuration file.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/ids.h"
#include "protocols/base/status.h"
#include "site_agent/policy/policy.h"

namespace cloister::site {

enum class RetrieveBy { kGet, kMove };

struct LabelConfig {
  std::string task;
  std::filesystem::path file;
  std::string accession_column;
  bool keep_conflicting_patients = false;
};

struct SiteConfig {
  SiteId site;
  std::string name;  // for people; the site id when not given
  std::filesystem::path data;
  std::filesystem::path policy;
  std::string log_level;

  std::string coordinator;  // host:port

  // File names are fixed inside the folder: ca.pem, tls.pem, tls.key, signing.pem, signing.key.
  std::filesystem::path certificates;

  std::string pacs_host;
  int pacs_port = 0;
  std::string pacs_ae_title;
  RetrieveBy retrieve = RetrieveBy::kGet;
  std::string viewer_link;  // "https://pacs/viewer?accession={case}" or ""

  std::string ae_title;  // ours
  int scp_port = 0;      // of our Storage SCP

  std::vector<LabelConfig> labels;
  std::filesystem::path tasks;  // folder of task files, for cloister-site cohort

  std::filesystem::path worker_program;  // empty: cloister-worker beside our own program
  int worker_threads = 1;
  uint64_t worker_memory_mib = 8192;
  int64_t worker_time_limit_ms = 0;

  std::string portal_host;
  int portal_port = 0;                 // 0: no portal
  std::filesystem::path portal_users;  // name:hash lines

  // Null: none configured.
  const LabelConfig* LabelsOf(const std::string& task) const;
};

// INVALID_ARGUMENT: "file:line:column: ...".
absl::StatusOr<SiteConfig> ParseSiteConfig(const std::string& text, const std::filesystem::path& file);
// Also NOT_FOUND, PERMISSION_DENIED.
absl::StatusOr<SiteConfig> ReadSiteConfig(const std::filesystem::path& file);

// The site's policy file, at most 1 MiB. Codes as ParsePolicy and ReadFile.
absl::StatusOr<Policy> ReadPolicy(const std::filesystem::path& file);

// A configuration to start from, with comments.
std::string SampleSiteConfig(const std::string& site);
std::string SamplePolicy();

}  // namespace cloister::site
