// SPDX-License-Identifier: Apache-2.0
#include "tests/site_agent/cli/cli_site.h"

#include <fmt/format.h>

#include <sstream>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/transport/identity.h"
#include "tests/support/orthanc.h"

namespace cloister::site {
namespace {

constexpr char kNumbers[] = R"({"site": "north", "release": "rel-1", "version": "1.0.0.0", "task": "chest_pneumonia",
  "patients": 412, "positive_patients": 137, "prevalence": 0.3325, "test_patients": 82, "operating_point": 0.4125,
  "local_only": {"auc": {"not_estimable": "no_baseline"}},
  "federated": {"auc": {"value": 0.87, "lower": 0.781, "upper": 0.959, "n": 82, "method": "delong"},
                "sensitivity": {"value": 0.9, "lower": 0.74, "upper": 0.97, "n": 30, "method": "wilson"},
                "specificity": {"not_estimable": "one_class"}},
  "gates": [{"rule": "auc at every site", "verdict": "pass", "detail": "0.87 >= 0.65"}], "gate_passed": true})";

}  // namespace

void CliSite::SetUp() {
  pacs_port_ = testing::FreePort();
  coordinator_port_ = testing::FreePort();
  WriteConfig();
  Write("policy.yaml", SamplePolicy());
  Write("labels.csv", "accession_number,label\nA1,pneumonia\nA2,normal\n");
}

Shown CliSite::Run(std::vector<std::string> arguments, const std::string& input, bool with_config) {
  if (with_config) {
    arguments.insert(arguments.end(), {"--config", File("site.yaml").string()});
  }
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  Shown shown;
  shown.status = RunCommandLine(arguments, {&in, &out, &err, false, &clock_});
  shown.out = out.str();
  shown.err = err.str();
  return shown;
}

void CliSite::Write(const std::string& name, const std::string& text) const {
  ASSERT_TRUE(WriteFileAtomically(File(name), text).ok());
}

void CliSite::WriteConfig(const std::string& more) {
  Write("site.yaml", fmt::format(R"(site: north
coordinator: 127.0.0.1:{}
tasks: {}/models/tasks
pacs: {{host: 127.0.0.1, port: {}, ae_title: PACS}}
dicom: {{ae_title: NORTH_AI, port: {}}}
labels:
  - {{task: chest_pneumonia, file: labels.csv}}
worker: {{program: no-such-worker}}
{})",
                                 coordinator_port_, CLOISTER_SOURCE_DIR, pacs_port_, testing::FreePort(), more));
}

Bytes CliSite::Approve(const crypto::CertificateAuthority& ca, int validity_days) const {
  const auto request = transport::ReadIdentityRequest(*ReadFile(File("certificates/site.csr")));
  EXPECT_TRUE(request.ok()) << request.status();
  crypto::IssueOptions options;
  options.not_before = testing::kTestStart;
  options.validity_days = validity_days;
  return transport::JoinCertificates({*crypto::IssueCertificate(ca, request->tls_pem, options),
                                      *crypto::IssueCertificate(ca, request->signing_pem, options), ca.certificate});
}

void CliSite::EnrolNorth() {
  ASSERT_EQ(Run({"enroll"}).status, kDone);
  Write("bundle.pem", Approve(consortium_.authority()));
  const Shown installed = Run({"enroll", "--install", File("bundle.pem").string()});
  ASSERT_EQ(installed.status, kDone) << installed.err;
}

SiteStore& CliSite::store() {
  if (store_ == nullptr) {
    EXPECT_TRUE(MakeDirectories(File("data")).ok());
    store_ = SiteStore::Open(File("data")).value();
  }
  return *store_;
}

ExperimentRow CliSite::Offer(const std::string& job, const std::string& name) {
  const std::filesystem::path source = CLOISTER_SOURCE_DIR;
  const auto load_task = [&](const std::string& task) { return ReadFile(source / "models/tasks" / (task + ".yaml")); };
  absl::StatusOr<plan::Experiment> plan = plan::ParseExperiment(
      *ReadFile(source / "deploy/experiments/chest_pneumonia.yaml"), "chest_pneumonia.yaml", load_task);
  EXPECT_TRUE(plan.ok()) << plan.status();
  plan->name = name;
  plan->model.initial_model = crypto::Sha256("weights");
  plan->model.parameters = 11'177'025;
  ExperimentRow row;
  row.job = *JobId::Parse(job);
  row.plan = plan::PlanDocument(*plan);
  row.plan_digest = crypto::Sha256(row.plan);
  row.name = plan->name;
  row.task = plan->task.name;
  row.sponsor = "study-office";
  row.received_unix_ms = absl::ToUnixMillis(clock_.Now());
  EXPECT_TRUE(store().experiments().AddOffer(row).ok());
  return row;
}

ReleaseRow CliSite::AddRelease(const std::string& release, ReleaseState state) {
  ReleaseRow row;
  row.release = *ReleaseId::Parse(release);
  row.job = *JobId::Parse("job-1");
  row.task = "chest_pneumonia";
  row.version = "1.0.0.0";
  row.digest = crypto::Sha256(release);
  row.manifest = "{}";
  row.state = ReleaseState::kOffered;
  row.detail = "is being validated";
  row.received_unix_ms = absl::ToUnixMillis(clock_.Now());
  EXPECT_TRUE(store().releases().AddOffer(row).ok());
  if (state != ReleaseState::kOffered) {
    EXPECT_TRUE(store().releases().SetReport(row.release, "/r/report.html", "/r/report.json", kNumbers).ok());
    const int64_t now = absl::ToUnixMillis(clock_.Now());
    const absl::Status set = state == ReleaseState::kActive
                                 ? store().releases().Activate(row.release, "signed by Dr Li", now)
                                 : store().releases().SetState(row.release, state, "a detail", now);
    EXPECT_TRUE(set.ok()) << set;
  }
  return row;
}

std::vector<audit::Record> CliSite::AuditLog() {
  return *store().audit().ReadLast(100);
}

}  // namespace cloister::site
