// SPDX-License-Identifier: Apache-2.0
// job.json: every kind as the agent writes it, and every way it can be wrong.

#include "site_agent/worker/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/site_agent/worker/example_task.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

Json Common(const std::string& kind) {
  return {{"kind", kind}, {"threads", 2}, {"memory_mb", 4096}, {"task", testing::ExampleTask()}};
}

Json TrainJson() {
  Json job = Common("train");
  job["model"] = {{"architecture", "resnet18"}, {"init", "he_normal"}, {"seed", 18446744073709551615u}};
  job["prepared"] = "/data/prepared";
  job["cases"] = Json::parse(R"([{"case": "c1", "label": 1}, {"case": "c2", "label": 0}])");
  job["initial_model"] = "/data/w.safetensors";
  job["epochs"] = 3;
  job["seed"] = 9;
  job["augment"] = true;
  job["algorithm"] = Json::parse(
      R"({"batch_size": 16, "optimizer": {"name": "adamw", "lr": 3e-4, "momentum": 0, "weight_decay": 0.01}, "proximal_mu": 0.1})");
  return job;
}

TEST(JobTest, Train) {
  const auto job = ParseJob(TrainJson().dump());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->threads, 2);
  EXPECT_EQ(job->memory_bytes, uint64_t{4096} << 20);
  EXPECT_EQ(job->task.name, "chest_pneumonia");
  const TrainJob& train = std::get<TrainJob>(job->kind);
  EXPECT_EQ(train.model.seed, 18446744073709551615u);
  EXPECT_EQ(train.cases[1].id, "c2");
  EXPECT_EQ(train.cases[0].label, 1);
  EXPECT_EQ(train.options.epochs, 3);
  EXPECT_EQ(train.options.optimizer.kind, models::OptimizerKind::kAdamW);
  EXPECT_DOUBLE_EQ(train.options.optimizer.lr, 3e-4);
  EXPECT_DOUBLE_EQ(train.options.proximal_mu, 0.1);
  EXPECT_TRUE(train.options.augment);
  EXPECT_EQ(train.options.positive_weight, 0);  // balance_classes
  EXPECT_THAT(ReadablePaths(*job), ElementsAre("/data/prepared", "/data/w.safetensors"));
}

Json PrivateTrainJson() {
  Json job = TrainJson();
  job["cases"] = Json::parse(R"([{"case": "c1", "label": 1, "patient": 0}, {"case": "c2", "label": 0, "patient": 1}])");
  job["privacy"] = {{"noise_multiplier", 1.1}, {"clip_norm", 0.5}, {"key", std::string(64, 'a')}};
  return job;
}

TEST(JobTest, TrainWithDifferentialPrivacy) {
  const auto job = ParseJob(PrivateTrainJson().dump());
  ASSERT_TRUE(job.ok()) << job.status();
  const TrainJob& train = std::get<TrainJob>(job->kind);
  ASSERT_TRUE(train.options.privacy.has_value());
  EXPECT_EQ(train.options.privacy->noise_multiplier, 1.1);
  EXPECT_EQ(train.options.privacy->clip_norm, 0.5);
  EXPECT_EQ(train.options.privacy->key->view(), Bytes(32, '\xaa'));
  EXPECT_EQ(train.cases[1].patient, 1u);
  EXPECT_EQ(train.options.positive_weight, 1);  // whatever the task says of balance_classes
}

TEST(JobTest, InspectNeedsNoTask) {
  const auto job = ParseJob(R"({"kind": "inspect", "threads": 1, "memory_mb": 1024, "files": ["/d/a.dcm", "/d/b"]})");
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(std::get<InspectJob>(job->kind).files, ElementsAre("/d/a.dcm", "/d/b"));
  EXPECT_THAT(ReadablePaths(*job), ElementsAre("/d/a.dcm", "/d/b"));
  EXPECT_FALSE(ParseJob(R"({"kind": "inspect", "files": []})").ok());
  EXPECT_FALSE(ParseJob(R"({"kind": "inspect", "files": ["a.dcm"]})").ok());
}

TEST(JobTest, InitPrepareValidatePredictSelfTest) {
  Json init = Common("init");
  init["model"] = {{"architecture", "torchscript"}, {"file", "/m/net.pt"}, {"seed", 7}};
  auto job = ParseJob(init.dump());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(std::get<InitJob>(job->kind).model.torchscript_file, "/m/net.pt");
  EXPECT_THAT(ReadablePaths(*job), ElementsAre("/m/net.pt"));

  Json prepare = Common("prepare");
  prepare["cases"] = Json::parse(R"([{"case": "c1", "files": ["/a/1.dcm", "/a/2.dcm"]}])");
  job = ParseJob(prepare.dump());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(ReadablePaths(*job), ElementsAre("/a/1.dcm", "/a/2.dcm"));

  Json validate = Common("validate");
  validate["model"] = {{"architecture", "resnet18"}};
  validate["models"] = Json::parse(R"([{"id": "m1", "members": ["/w/1", "/w/2"], "combiner": "mean_logit"}])");
  validate["prepared"] = "/p";
  validate["cases"] = Json::parse(R"(["c1", {"case": "c2", "label": 0}])");
  job = ParseJob(validate.dump());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(std::get<ValidateJob>(job->kind).cases, ElementsAre("c1", "c2"));
  EXPECT_EQ(std::get<ValidateJob>(job->kind).candidates[0].combiner, models::Combiner::kMeanLogit);

  Json predict = Common("predict");
  predict["model"] = {{"architecture", "resnet18"}};
  predict["members"] = {"/w/1"};
  predict["combiner"] = "mean_probability";
  predict["operating_point"] = 0.41;
  predict["files"] = {"/a/1.dcm"};
  predict["capture_text"] = {"version 1"};
  job = ParseJob(predict.dump());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(ReadablePaths(*job), ElementsAre("/w/1", "/a/1.dcm"));

  job = ParseJob(R"({"kind": "self_test", "action": "sandbox"})");
  ASSERT_TRUE(job.ok()) << job.status();
}

void Refuses(const Json& json, const char* why) {
  const auto job = ParseJob(json.dump());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument) << why;
  EXPECT_THAT(std::string(job.status().message()), HasSubstr(why));
}

TEST(JobTest, NamesTheFieldThatIsWrong) {
  const auto with = [](const char* pointer, const Json& value) {
    Json job = TrainJson();
    job[Json::json_pointer(pointer)] = value;
    return job;
  };
  Refuses(with("/kind", "trian"), "kind: unknown 'trian'; allowed: init");
  Refuses(with("/kind", 7), "kind: must be a text");
  Refuses(with("/threads", 0), "threads: must be a whole number from 1 to 256");
  Refuses(with("/threads", 1.5), "threads");
  Refuses(with("/memory_mb", -1), "memory_mb");
  Refuses(with("/memory_mb", 100), "memory_mb: must be a whole number from 512");
  Refuses(with("/memory_mb", 18446744073709551615u), "memory_mb");
  Refuses(with("/surprise", 1), "surprise: unknown field");
  Refuses(with("/model/achitecture", "x"), "model.achitecture: unknown field");
  Refuses(with("/model", "resnet18"), "model: must be an object");
  Refuses(with("/model/seed", -1), "model.seed");
  Refuses(with("/model/file", "/x"), "model.file: unknown field");
  Refuses(with("/prepared", "relative/path"), "prepared: must be an absolute path");
  Refuses(with("/prepared", "/a/../../etc"), "prepared: must be an absolute path without '..'");
  Refuses(with("/prepared", ""), "prepared");
  Refuses(with("/cases", 3), "cases: must be a list");
  Refuses(with("/cases/1", "c2"), "cases[1]: must be an object");
  Refuses(with("/cases/1/label", 2), "cases[1].label: must be a whole number from 0 to 1");
  Refuses(with("/cases/0/patient", "x"), "cases[0].patient: unknown field");
  Refuses(with("/epochs", 0), "epochs");
  Refuses(with("/augment", "yes"), "augment: must be true or false");
  Refuses(with("/algorithm/batch_size", 1), "algorithm.batch_size: must be a whole number from 2 to 4096");
  Refuses(with("/algorithm/optimizer/name", "lion"), "algorithm.optimizer.name: allowed: sgd, adamw");
  Refuses(with("/algorithm/optimizer/lr", 0), "algorithm.optimizer.lr: must be a number");
  Refuses(with("/algorithm/optimizer/lr", "fast"), "algorithm.optimizer.lr: must be a number");
  Refuses(with("/algorithm/optimizer/learning_rate", 1), "algorithm.optimizer.learning_rate: unknown field");
  Refuses(with("/algorithm/proximal_mu", -0.1), "algorithm.proximal_mu");
  Refuses(with("/task", Json::object()), "job.json: task");
  for (const char* field :
       {"kind", "task", "model", "prepared", "cases", "initial_model", "epochs", "seed", "algorithm"}) {
    Json job = TrainJson();
    job.erase(field);
    Refuses(job, field);
  }
}

TEST(JobTest, NamesWhatIsWrongWithThePrivacy) {
  const auto with = [](const char* pointer, const Json& value) {
    Json job = PrivateTrainJson();
    job[Json::json_pointer(pointer)] = value;
    return job;
  };
  Refuses(with("/privacy", "yes"), "privacy: must be an object");
  Refuses(with("/privacy/noise_multiplier", 0), "privacy.noise_multiplier: must be a number");
  Refuses(with("/privacy/clip_norm", "short"), "privacy.clip_norm: must be a number");
  Refuses(with("/privacy/key", "abc"), "privacy.key: must be 64 hex digits");
  Refuses(with("/privacy/epsilon", 1), "privacy.epsilon: unknown field");
  Refuses(with("/cases/1/patient", -1), "cases[1].patient: must be a whole number");
  for (const char* field : {"noise_multiplier", "clip_norm", "key"}) {
    Json job = PrivateTrainJson();
    job["privacy"].erase(field);
    Refuses(job, field);
  }
  Json job = PrivateTrainJson();
  job["cases"][0].erase("patient");
  Refuses(job, "cases[0].patient: is missing");
}

TEST(JobTest, RefusesCasesThatAreThereTwice) {
  Json job = Common("prepare");
  job["cases"] = Json::parse(R"([{"case": "c1", "files": ["/1"]}, {"case": "c1", "files": ["/2"]}])");
  Refuses(job, "cases[1].case: 'c1' is there twice");
}

TEST(JobTest, SurvivesEveryTruncation) {
  const std::string text = TrainJson().dump();
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseJob(text.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseJob("[]").ok());
  EXPECT_FALSE(ParseJob("null").ok());
  EXPECT_FALSE(ParseJob(std::string(100000, '[')).ok());
}

}  // namespace
}  // namespace cloister::site
