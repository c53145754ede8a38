// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/site_config.h"

#include <fmt/format.h>

#include <thread>

#include "protocols/base/file.h"
#include "protocols/base/strict_yaml.h"

namespace cloister::site {
namespace {

constexpr char kSampleConfig[] = R"yaml(# Cloister site agent. Relative paths are relative to this file.
site: {site}                       # as in the certificate
name: {site}                       # for people
data: data                         # database, caches, reports; 0700
policy: policy.yaml                # what this site allows
coordinator: 127.0.0.1:7600        # the only address this program dials outside the hospital
certificates: certificates         # ca.pem tls.pem tls.key signing.pem signing.key, see cloister-site enroll

pacs:
  host: 127.0.0.1
  port: 4242
  ae_title: PACS
  retrieve: get                    # get: C-GET; move: C-MOVE to our own port (an inbound rule inside the hospital)
  # viewer_link: "https://pacs.example/viewer?accession={{case}}"

dicom:
  ae_title: CLOISTER               # list this AE title in the PACS, with this machine's address and the port below
  port: 11112

labels:                            # one a task
  - task: chest_pneumonia
    file: labels.csv
    accession_column: accession_number
    # patient_conflicts: keep      # default reject: a patient with studies of both labels is left out

worker:
  threads: 2
  memory: 8192                     # MiB
  # program: /usr/libexec/cloister/cloister-worker

portal:
  port: 7701                       # on this machine only; 0: no portal
  users: portal-users              # made by cloister-site portal-user
)yaml";

constexpr char kSamplePolicy[] = R"yaml(# What this site allows. Whatever is not named is refused.
allowed_tasks: [chest_pneumonia]
minimum_cohort: 30                 # patients with usable images and labels
minimum_sites: 5                   # that every sum must have; never below 3
secure_aggregation: required
approval: manual                   # manual: a person runs cloister-site approve; automatic
# hours: {from: "18:00", to: "07:00"}
share_local_baseline: never        # sealed: the other hospitals of a study, not the coordinator, may test our local model
# What all experiments together may tell of one patient; require: a plan without differential privacy is refused
# differential_privacy: {max_epsilon: 10, delta: 1.0e-4, require: false}
serving: allowed                   # allowed: answer new studies once a release is signed; never
# A release, on this site's test patients; require_decided: a gate that they are too few to decide has failed
release_gate: {minimum_auc: 0.0, require_decided: false}
)yaml";

}  // namespace

const LabelConfig* SiteConfig::LabelsOf(const std::string& task) const {
  for (const LabelConfig& one : labels) {
    if (one.task == task) {
      return &one;
    }
  }
  return nullptr;
}

absl::StatusOr<SiteConfig> ParseSiteConfig(const std::string& text, const std::filesystem::path& file) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml root, StrictYaml::Parse(text, file.string()));
  const std::filesystem::path base = std::filesystem::absolute(file).parent_path();
  const auto path_of = [&](const std::string& value) {
    return value.empty() ? std::filesystem::path() : (base / value).lexically_normal();
  };
  const auto ae_title = [](StrictYaml& map, const std::string& key) {
    const std::string title = map.Text(key);
    if (title.empty() || title.size() > 16) {
      map.Fail(key, "an AE title has 1 to 16 characters");
    }
    return title;
  };

  SiteConfig config;
  const std::string id = root.Text("site");
  const absl::StatusOr<SiteId> site = SiteId::Parse(id);
  if (site.ok()) {
    config.site = *site;
  } else {
    root.Fail("site", std::string(site.status().message()));
  }
  config.name = root.Text("name", id);
  config.data = path_of(root.Text("data", "data"));
  config.policy = path_of(root.Text("policy", "policy.yaml"));
  config.log_level = root.OneOf("log_level", {"trace", "debug", "info", "warning", "error"}, "info");
  config.coordinator = root.Text("coordinator");
  config.certificates = path_of(root.Text("certificates", "certificates"));
  config.tasks = path_of(root.Text("tasks", ""));

  StrictYaml pacs = root.Map("pacs");
  config.pacs_host = pacs.Text("host");
  config.pacs_port = static_cast<int>(pacs.Int("port", 1, 65535));
  config.pacs_ae_title = ae_title(pacs, "ae_title");
  config.retrieve = pacs.OneOf("retrieve", {"get", "move"}, "get") == "move" ? RetrieveBy::kMove : RetrieveBy::kGet;
  config.viewer_link = pacs.Text("viewer_link", "");

  StrictYaml dicom = root.Map("dicom");
  config.ae_title = ae_title(dicom, "ae_title");
  config.scp_port = static_cast<int>(dicom.Int("port", 0, 65535));

  for (StrictYaml& one : root.MapList("labels", false)) {
    LabelConfig labels;
    labels.task = one.Text("task");
    labels.file = path_of(one.Text("file"));
    labels.accession_column = one.Text("accession_column", "accession_number");
    labels.keep_conflicting_patients = one.OneOf("patient_conflicts", {"reject", "keep"}, "reject") == "keep";
    if (config.LabelsOf(labels.task) != nullptr) {
      one.Fail("task", "task " + labels.task + " has a label file already");
    }
    config.labels.push_back(std::move(labels));
  }

  StrictYaml worker = root.Map("worker", false);
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  config.worker_program = path_of(worker.Text("program", ""));
  config.worker_threads = static_cast<int>(worker.Int("threads", 1, 1024, cores));
  config.worker_memory_mib = static_cast<uint64_t>(worker.Int("memory", 256, int64_t{1} << 24, 8192));
  config.worker_time_limit_ms = worker.DurationMs("time_limit", int64_t{24} * 3600 * 1000);

  StrictYaml portal = root.Map("portal", false);
  config.portal_host = portal.Text("host", "127.0.0.1");
  config.portal_port = static_cast<int>(portal.Int("port", 0, 65535, 0));
  config.portal_users = path_of(portal.Text("users", "portal-users"));
  CLOISTER_RETURN_IF_ERROR(root.Finish());
  return config;
}

absl::StatusOr<SiteConfig> ReadSiteConfig(const std::filesystem::path& file) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(file, uint64_t{1} << 20));
  return ParseSiteConfig(text, file);
}

absl::StatusOr<Policy> ReadPolicy(const std::filesystem::path& file) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(file, uint64_t{1} << 20));
  return ParsePolicy(text, file.string());
}

std::string SampleSiteConfig(const std::string& site) {
  return fmt::format(kSampleConfig, fmt::arg("site", site));
}

std::string SamplePolicy() {
  return kSamplePolicy;
}

}  // namespace cloister::site
