// SPDX-License-Identifier: Apache-2.0
// The commands that talk to a coordinator, against a fake one over mutual TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "coordinator/cli/submission.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/update/model_state.h"
#include "tests/coordinator/cli/cli_run.h"
#include "tests/coordinator/cli/fake_coordinator.h"
#include "tests/support/temp_dir.h"

namespace cloister::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kExperiment[] = R"(experiment: chest-pneumonia
task: chest_pneumonia
model: {architecture: resnet18, init: he_normal, seed: 7}
algorithm: {name: fedavg, rounds: 4, optimizer: {name: sgd, lr: 0.01}, seed: 1}
sites: {minimum: 3, maximum: 16, invitation: 10s, deadline: 10m}
privacy: {secure_aggregation: required}
gates: [{metric: auc, at_least: 0.75, statistic: lower_bound}]
ensemble: {members: 1, candidates_last: 1, combiner: mean_probability, operating_point: youden}
)";

class ExperimentCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto tls = pki_.Issue("olga", crypto::Role::kOperator);
    const auto folder = dir_.path() / "op";
    ASSERT_TRUE(MakeDirectories(folder).ok());
    std::filesystem::copy(tls.ca, folder / "ca.pem");
    std::filesystem::copy(tls.certificate, folder / "tls.pem");
    std::filesystem::copy(tls.key, folder / "tls.key");
    pki_.IssueSigningFiles("olga", crypto::Role::kOperator, folder);
    Write("op/operator.yaml", "coordinator: " + coordinator_.target() + "\ntasks: " CLOISTER_TEST_TASKS "\n");
    Write("experiment.yaml", kExperiment);
    layout_ = *update::Layout::Create({{"a", {2, 2}}, {"b", {}}});
    ASSERT_TRUE(update::WriteModelState(Path("model.safetensors"), layout_, std::vector<float>{1, 2, 3, 4, 5}).ok());
  }

  std::string Path(const std::string& name) const { return (dir_.path() / name).string(); }
  void Write(const std::string& name, const std::string& text, unsigned mode = 0644) {
    ASSERT_TRUE(WriteFileAtomically(Path(name), text, mode).ok());
  }
  CliResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--config", Path("op/operator.yaml")});
    return RunCli(arguments);
  }
  wire::ExperimentStatus Status(const std::string& job, wire::ExperimentPhase phase, int64_t submitted = 1) {
    wire::ExperimentStatus status;
    status.job = *JobId::Parse(job);
    status.name = "chest-pneumonia";
    status.phase = phase;
    status.submitted_unix_ms = submitted;
    status.plan_digest = crypto::Sha256("plan");
    return status;
  }
  wire::ExperimentEvent Event(uint64_t sequence, const std::string& text) {
    return {sequence, 1000, text, Status("job-1", wire::ExperimentPhase::kTraining)};
  }

  cloister::testing::TempDir dir_;
  cloister::testing::TestPki pki_{dir_.path() / "pki"};
  FakeCoordinator coordinator_{dir_.path() / "blobs", pki_};
  update::Layout layout_;
};

TEST_F(ExperimentCommandsTest, SubmitsASignedPlanWithTheGivenWeights) {
  const CliResult result =
      Run({"experiment", "submit", Path("experiment.yaml"), "--initial-model", Path("model.safetensors")});
  ASSERT_EQ(result.code, 0) << result.err;
  ASSERT_TRUE(coordinator_.submitted_.has_value());
  const wire::SignedDocument& plan = *coordinator_.submitted_;
  const auto signer = crypto::VerifySignature(plan.certificate, pki_.ca(), plan::kPlanDomain, plan.document,
                                              plan.signature, crypto::Role::kOperator, absl::Now());
  ASSERT_TRUE(signer.ok()) << signer.status();
  EXPECT_EQ(*signer, "olga");
  const auto experiment = plan::ParsePlan(plan.document);
  ASSERT_TRUE(experiment.ok()) << experiment.status();
  EXPECT_EQ(experiment->model.parameters, 5u);
  EXPECT_EQ(experiment->model.initial_model, crypto::Sha256(*ReadFile(Path("model.safetensors"))));
  EXPECT_TRUE(coordinator_.store_.Verify(experiment->model.initial_model).ok());
  EXPECT_THAT(result.out, HasSubstr("job         job-1"));
  EXPECT_THAT(result.out, HasSubstr(crypto::Sha256(plan.document).hex()));
}

TEST_F(ExperimentCommandsTest, MakesTheWeightsWithTheWorker) {
  // Copies prepared weights into the job's folder, after a look at what it was asked for.
  Write("worker",
        "#!/bin/sh\ngrep -q '\"kind\":\"init\"' \"$2/job.json\" && grep -q '\"seed\":7' \"$2/job.json\" || exit 9\n"
        "cp " +
            Path("model.safetensors") + " \"$2/model.safetensors\"\necho '{\"parameters\": 5}' > \"$2/result.json\"\n",
        0755);
  const CliResult result = Run({"--json", "experiment", "submit", Path("experiment.yaml"), "--worker", Path("worker")});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["job"], "job-1");
  EXPECT_EQ(json["parameters"], 5);
  EXPECT_THAT(result.err, HasSubstr("resnet18"));
}

TEST_F(ExperimentCommandsTest, AWorkersTroubleIsToldInOneLine) {
  Write("worker",
        "#!/bin/sh\necho '{\"error\": {\"code\": \"INVALID_ARGUMENT\", \"message\": \"no architecture resnet18\"}}' > "
        "\"$2/result.json\"\nexit 1\n",
        0755);
  CliResult result = Run({"experiment", "submit", Path("experiment.yaml"), "--worker", Path("worker")});
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_EQ(result.err, "cloister: initial weights: no architecture resnet18\n");
  Write("worker", "#!/bin/sh\necho broken >&2\nkill -9 $$\n", 0755);
  result = Run({"experiment", "submit", Path("experiment.yaml"), "--worker", Path("worker")});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("signal 9"));
  EXPECT_THAT(result.err, HasSubstr("broken"));
  result = Run({"experiment", "submit", Path("experiment.yaml"), "--worker", Path("nowhere")});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.err, HasSubstr("--initial-model"));
  EXPECT_FALSE(coordinator_.submitted_.has_value());
}

TEST_F(ExperimentCommandsTest, ADryRunSubmitsNothing) {
  const CliResult result =
      Run({"experiment", "submit", Path("experiment.yaml"), "--initial-model", Path("model.safetensors"), "--dry-run"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("fedavg, 4 rounds"));
  EXPECT_FALSE(coordinator_.submitted_.has_value());
}

TEST_F(ExperimentCommandsTest, APlanWhoseUpdatesCannotBeSummedIsRefusedBeforeItIsSigned) {
  const auto refusal = [&](const std::string& privacy) {
    std::string text = kExperiment;
    const std::string from = "privacy: {secure_aggregation: required}";
    Write("experiment.yaml", text.replace(text.find(from), from.size(), "privacy: {" + privacy + "}"));
    const CliResult result = Run(
        {"experiment", "submit", Path("experiment.yaml"), "--initial-model", Path("model.safetensors"), "--dry-run"});
    EXPECT_NE(result.code, 0);
    return result.err;
  };
  EXPECT_THAT(refusal("ring_bits: 16, clip: 100"), HasSubstr("leaves steps of 0.0625 in a ring of 16 bits"));
  EXPECT_THAT(refusal("tensor_clips: [{tensor: c, clip: 1}]"), HasSubstr("no tensor of the model is called \"c\""));
  EXPECT_THAT(refusal("differential_privacy: {unit: site, noise_multiplier: 1, clip_norm: 1, delta: 1.0e-5, "
                      "max_epsilon: 3}"),
              HasSubstr("4 rounds with noise_multiplier 1 cost a site epsilon"));
}

TEST_F(ExperimentCommandsTest, ATypoIsNamedWithItsPlace) {
  Write("experiment.yaml", std::string(kExperiment) + "gatez: []\n");
  const CliResult typo = Run({"experiment", "submit", Path("experiment.yaml")});
  EXPECT_EQ(typo.code, kExitUsage);
  EXPECT_THAT(typo.err, HasSubstr("experiment.yaml:9:1"));
  std::string other = kExperiment;
  other.replace(other.find("task: chest_pneumonia"), 21, "task: chest_pneumona ");
  Write("experiment.yaml", other);
  EXPECT_THAT(Run({"experiment", "submit", Path("experiment.yaml")}).err, HasSubstr("chest_pneumonia"));
  EXPECT_EQ(Run({"experiment", "submit", Path("nowhere.yaml")}).code, 5);
}

TEST_F(ExperimentCommandsTest, WeightsThatAreNotFiniteAreRefused) {
  ASSERT_TRUE(update::WriteModelState(Path("model.safetensors"), layout_, std::vector<float>{1, 2, NAN, 4, 5}).ok());
  const CliResult result =
      Run({"experiment", "submit", Path("experiment.yaml"), "--initial-model", Path("model.safetensors")});
  EXPECT_EQ(result.code, kExitUsage);
  EXPECT_THAT(result.err, HasSubstr("not finite"));
}

TEST_F(ExperimentCommandsTest, TheCoordinatorsRefusalIsTold) {
  coordinator_.refuse_ = absl::FailedPreconditionError("a plan with this digest runs already as job-0");
  const CliResult result =
      Run({"experiment", "submit", Path("experiment.yaml"), "--initial-model", Path("model.safetensors")});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "cloister: a plan with this digest runs already as job-0\n");
}

TEST_F(ExperimentCommandsTest, WatchFollowsAcrossALostConnection) {
  coordinator_.experiments_ = {Status("job-1", wire::ExperimentPhase::kReleased)};
  coordinator_.experiments_[0].gates = {{"AUC over all sites >= 0.75", "round-4", "pooled", "pass", "0.83"}};
  coordinator_.experiments_[0].release = *ReleaseId::Parse("release-1");
  coordinator_.streams_ = {
      {{Event(1, "3 sites have accepted"), Event(2, "round 1")}, absl::UnavailableError("restarting")},
      {{Event(3, "released")}, absl::OkStatus()}};
  const CliResult result = Run({"experiment", "watch"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(coordinator_.watched_after_, ElementsAre(0u, 2u));
  EXPECT_THAT(result.out, HasSubstr("3 sites have accepted\n"));
  EXPECT_THAT(result.out, HasSubstr("AUC over all sites >= 0.75  round-4  pooled  pass     0.83"));
  EXPECT_THAT(result.out, HasSubstr("cloister release show release-1"));
  EXPECT_THAT(result.err, HasSubstr("restarting"));
}

TEST_F(ExperimentCommandsTest, WatchsExitCodeTellsTheEnd) {
  coordinator_.experiments_ = {Status("job-1", wire::ExperimentPhase::kFailed)};
  EXPECT_EQ(Run({"experiment", "watch", "job-1"}).code, kExitFailed);
  coordinator_.experiments_ = {Status("job-1", wire::ExperimentPhase::kAborted)};
  EXPECT_EQ(Run({"experiment", "watch", "chest-pneumonia"}).code, kExitAborted);
  EXPECT_EQ(Run({"experiment", "watch", "job-9"}).code, 5);
  coordinator_.streams_ = {{{Event(1, "a")}, absl::OkStatus()}};
  const CliResult json = Run({"experiment", "watch", "job-1", "--json"});
  EXPECT_EQ(json.code, kExitAborted);
  EXPECT_EQ(nlohmann::json::parse(json.out)["text"], "a");
}

TEST_F(ExperimentCommandsTest, StatusFindsTheNewest) {
  EXPECT_EQ(Run({"experiment", "status"}).code, 5);
  coordinator_.experiments_ = {Status("job-1", wire::ExperimentPhase::kFailed, 100),
                               Status("job-2", wire::ExperimentPhase::kTraining, 200)};
  EXPECT_THAT(Run({"experiment", "status"}).out, HasSubstr("job-2"));
  EXPECT_EQ(nlohmann::json::parse(Run({"experiment", "status", "job-1", "--json"}).out)["phase"], "FAILED");
  EXPECT_EQ(nlohmann::json::parse(Run({"--json", "experiment", "list"}).out).size(), 2u);
}

TEST_F(ExperimentCommandsTest, AbortGivesTheReason) {
  coordinator_.experiments_ = {Status("job-1", wire::ExperimentPhase::kTraining)};
  EXPECT_EQ(Run({"experiment", "abort", "job-1"}).code, kExitUsage);  // why?
  EXPECT_EQ(Run({"experiment", "abort", "job-1", "--reason", "wrong labels"}).out, "job-1: ABORTED\n");
  EXPECT_EQ(coordinator_.aborted_, "job-1: wrong labels");
}

TEST_F(ExperimentCommandsTest, ListsSitesAndReleases) {
  EXPECT_THAT(Run({"site", "list"}).out, HasSubstr("No site"));
  coordinator_.sites_ = {{*SiteId::Parse("site-a"), 1, absl::ToUnixMillis(absl::Now()), "0.1.0", 1000}};
  EXPECT_THAT(Run({"site", "list"}).out, HasSubstr("site-a  0 s ago"));
  EXPECT_THAT(Run({"site", "list"}).out, HasSubstr("(expired)"));
  EXPECT_EQ(nlohmann::json::parse(Run({"--json", "site", "list"}).out)[0]["site"], "site-a");
  EXPECT_THAT(Run({"release", "list"}).out, HasSubstr("No releases"));
  EXPECT_EQ(Run({"release", "show", "release-1"}).code, 5);
}

TEST_F(ExperimentCommandsTest, AReleaseIsShownWithItsSignatureChecked) {
  const auto frozen = plan::ParseExperiment(kExperiment, "experiment.yaml", TasksIn(CLOISTER_TEST_TASKS));
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  plan::ReleaseManifest manifest;
  manifest.id = *ReleaseId::Parse("release-1");
  manifest.version = "1.0.0.1";
  manifest.device_uid = "2.25.1";
  manifest.job = *JobId::Parse("job-1");
  manifest.task = frozen->task;
  manifest.architecture = "resnet18";
  manifest.members = {{"round-4", crypto::Sha256("m"), 10}};
  manifest.combiner = "mean_probability";
  manifest.operating_point = 0.4125;
  manifest.operating_point_rule = "youden";
  manifest.sites = {"site-a"};
  manifest.rounds = 4;
  manifest.code_version = "0.1.0";
  manifest.published = "2026-03-01T08:15:30.125Z";
  const Bytes document = plan::ReleaseDocument(manifest);
  const crypto::Signer hub = pki_.IssueSigner("hub", crypto::Role::kCoordinator);
  coordinator_.releases_ = {{manifest.id,
                             manifest.job,
                             manifest.version,
                             {document, hub.Sign(plan::kReleaseDomain, document), hub.certificate().der()},
                             {{*SiteId::Parse("site-a"), wire::ReleaseState::kActive}},
                             1000}};
  const CliResult good = Run({"release", "show", "release-1"});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("0.4125"));
  EXPECT_THAT(good.out, HasSubstr("Signature of hub: valid"));
  EXPECT_THAT(Run({"release", "list"}).out, HasSubstr("1 of 1 sites"));
  EXPECT_EQ(nlohmann::json::parse(Run({"--json", "release", "show", "release-1"}).out)["signed_by"], "hub");

  coordinator_.releases_[0].manifest.signature[0] ^= 1;
  const CliResult tampered = Run({"release", "show", "release-1"});
  EXPECT_EQ(tampered.code, 4);
  EXPECT_TRUE(nlohmann::json::parse(Run({"--json", "release", "show", "release-1"}).out)["signed_by"].is_null());
  EXPECT_THAT(tampered.out, Not(HasSubstr("valid\n")));
}

TEST_F(ExperimentCommandsTest, NobodyThereIsExitCode3) {
  const CliResult result = Run({"experiment", "list", "--coordinator", "127.0.0.1:1"});
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("cannot reach the coordinator at 127.0.0.1:1"));
  Write("op/operator.yaml", "coordinator: nowhere\n");
  EXPECT_EQ(Run({"experiment", "list"}).code, kExitUsage);
  Write("op/operator.yaml", "coordinatr: a:1\n");
  EXPECT_THAT(Run({"experiment", "list"}).err, HasSubstr("operator.yaml:1"));
}

}  // namespace
}  // namespace cloister::coordinator
