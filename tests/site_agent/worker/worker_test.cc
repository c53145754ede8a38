// SPDX-License-Identifier: Apache-2.0
// The real program, in its sandbox, from DICOM files to a score: init, prepare, train, validate, predict; killed and
// resumed; misbehaving on purpose. Runs the cloister-worker beside this test.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "models/random.h"
#include "protocols/base/file.h"
#include "protocols/update/model_state.h"
#include "tests/site_agent/worker/example_task.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Ended {
  int status = 0;  // exit status, or minus the signal
  Json result;     // null if there is none
  std::string out;
};

std::filesystem::path WorkerProgram() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cloister-worker";
}

class WorkerTest : public ::testing::Test {
 protected:
  std::filesystem::path Folder(const std::string& name) {
    const std::filesystem::path folder = dir_.path() / name;
    std::filesystem::create_directories(folder);
    return folder;
  }

  static Json Job(const std::string& kind) {
    return {{"kind", kind}, {"threads", 1}, {"task", testing::ExampleTask()}};
  }

  // Runs a job; `kill_when` ends the worker as soon as that text is on its stdout.
  Ended Run(const std::filesystem::path& folder, const Json& job, const std::string& kill_when = "") {
    EXPECT_TRUE(WriteFileAtomically(folder / "job.json", job.dump()).ok());
    int pipe_ends[2];
    EXPECT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(pipe_ends[1], STDOUT_FILENO);
      setenv("CLOISTER_WORKER_SELF_TEST", "1", 1);
      execl(WorkerProgram().c_str(), "cloister-worker", "--job", folder.c_str(), nullptr);
      _exit(127);
    }
    close(pipe_ends[1]);
    Ended ended;
    char buffer[4096];
    bool killed = false;
    for (ssize_t n = 0; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
      ended.out.append(buffer, static_cast<size_t>(n));
      if (!killed && !kill_when.empty() && ended.out.find(kill_when) != std::string::npos) {
        kill(child, SIGKILL);
        killed = true;
      }
    }
    close(pipe_ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    if (const auto text = ReadFile(folder / "result.json"); text.ok()) {
      ended.result = Json::parse(*text, nullptr, false);
    }
    return ended;
  }

  // A film whose upper (positive) or lower half is bright.
  std::filesystem::path WriteFilm(const std::string& name, bool positive, uint64_t seed) {
    constexpr Uint16 kSide = 64;
    models::Random random({seed});
    std::vector<Uint16> pixels;
    for (int i = 0; i < kSide * kSide; ++i) {
      const bool bright = (i / kSide < kSide / 2) == positive;
      pixels.push_back(static_cast<Uint16>((bright ? 2800 : 900) + random.Below(600)));
    }
    DcmFileFormat file;
    DcmDataset* data = file.getDataset();
    data->putAndInsertString(DCM_SOPClassUID, UID_ComputedRadiographyImageStorage);
    data->putAndInsertString(DCM_SOPInstanceUID, ("2.25." + std::to_string(1000 + seed)).c_str());
    data->putAndInsertString(DCM_Modality, "CR");
    data->putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME2");
    data->putAndInsertUint16(DCM_SamplesPerPixel, 1);
    data->putAndInsertUint16(DCM_Rows, kSide);
    data->putAndInsertUint16(DCM_Columns, kSide);
    data->putAndInsertUint16(DCM_BitsAllocated, 16);
    data->putAndInsertUint16(DCM_BitsStored, 12);
    data->putAndInsertUint16(DCM_HighBit, 11);
    data->putAndInsertUint16(DCM_PixelRepresentation, 0);
    data->putAndInsertUint16Array(DCM_PixelData, pixels.data(), pixels.size());
    const std::filesystem::path path = Folder("films") / (name + ".dcm");
    EXPECT_TRUE(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
    return path;
  }

  // Twelve films and a file that is none, prepared in `prepared_`; their cases with labels in `cases_`.
  void Prepare() {
    Json job = Job("prepare");
    for (int i = 0; i < 12; ++i) {
      const std::string id = "c" + std::to_string(i);
      job["cases"].push_back({{"case", id}, {"files", {WriteFilm(id, i % 2 == 1, static_cast<uint64_t>(i))}}});
      cases_.push_back({{"case", id}, {"label", i % 2}});
    }
    ASSERT_TRUE(WriteFileAtomically(Folder("films") / "broken.dcm", "not DICOM").ok());
    job["cases"].push_back({{"case", "broken"}, {"files", {Folder("films") / "broken.dcm"}}});
    job["cases"].push_back({{"case", "absent"}, {"files", {Folder("films") / "absent.dcm"}}});
    prepared_ = Folder("prepare");
    const Ended ended = Run(prepared_, job);
    ASSERT_EQ(ended.status, 0) << ended.result;
    EXPECT_EQ(ended.result["usable"], 12);
    EXPECT_EQ(ended.result["rejected"], 2);
    EXPECT_EQ(std::filesystem::file_size(prepared_ / "prepared.u8"), 12u * 32 * 32);
    const Json index = Json::parse(*ReadFile(prepared_ / "prepared.json"));
    EXPECT_EQ(index["cases"][12]["rejected"], "NOT_DICOM");
    EXPECT_EQ(index["cases"][13]["rejected"], "UNREADABLE");
  }

  std::filesystem::path Init() {
    Json job = Job("init");
    job["model"] = {{"architecture", "resnet18"}, {"init", "he_normal"}, {"seed", 7}};
    const Ended ended = Run(Folder("init"), job);
    EXPECT_EQ(ended.status, 0) << ended.result;
    EXPECT_EQ(ended.result["parameters"], 11180353);  // ResNet-18, 1 channel, 1 output, with running statistics
    return Folder("init") / "model.safetensors";
  }

  Json TrainJob(const std::filesystem::path& initial, int epochs) const {
    Json job = Job("train");
    job["model"] = {{"architecture", "resnet18"}, {"init", "he_normal"}, {"seed", 7}};
    job["prepared"] = prepared_;
    job["cases"] = cases_;
    job["initial_model"] = initial;
    job["epochs"] = epochs;
    job["seed"] = 5;
    job["augment"] = true;
    job["algorithm"] = {{"batch_size", 4},
                        {"optimizer", {{"name", "adamw"}, {"lr", 1e-3}, {"momentum", 0}, {"weight_decay", 0.01}}},
                        {"proximal_mu", 0}};
    return job;
  }

  const cloister::testing::TempDir dir_;
  std::filesystem::path prepared_;
  Json cases_ = Json::array();
};

TEST_F(WorkerTest, FromFilmsToAScore) {
  Prepare();
  const std::filesystem::path initial = Init();
  const Ended trained = Run(Folder("train"), TrainJob(initial, 8));
  ASSERT_EQ(trained.status, 0) << trained.result;
  EXPECT_EQ(trained.result["samples"], 12);
  EXPECT_EQ(trained.result["batches"], 3);
  EXPECT_LT(trained.result["loss_last_epoch"], trained.result["loss_first_epoch"]);
  EXPECT_FALSE(std::filesystem::exists(Folder("train") / "checkpoint"));
  const std::filesystem::path model = Folder("train") / "model.safetensors";
  EXPECT_TRUE(update::ReadModelState(model).ok());

  // Every line on stdout is one JSON object of progress.
  std::istringstream lines(trained.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json json = Json::parse(line, nullptr, false);
    ASSERT_TRUE(json.is_object() && json["progress"]["phase"] == "train") << line;
  }
  EXPECT_GE(count, 8);  // at least the last batch of each epoch

  Json validate = Job("validate");
  validate["model"] = {{"architecture", "resnet18"}};
  validate["models"] = {{{"id", "before"}, {"members", {initial}}, {"combiner", "mean_probability"}},
                        {{"id", "after"}, {"members", {model, model}}, {"combiner", "mean_probability"}},
                        {{"id", "torn"}, {"members", {Folder("films") / "broken.dcm"}}, {"combiner", "mean_logit"}}};
  validate["prepared"] = prepared_;
  validate["cases"] = cases_;
  const Ended validated = Run(Folder("validate"), validate);
  ASSERT_EQ(validated.status, 0) << validated.result;
  ASSERT_EQ(validated.result["scores"]["after"].size(), 12u);
  ASSERT_EQ(validated.result["scores"]["before"].size(), 12u);
  EXPECT_FALSE(validated.result["scores"].contains("torn")) << "one bad model does not stop the others";
  EXPECT_THAT(validated.result["unscored"]["torn"].get<std::string>(), HasSubstr("broken.dcm"));
  double worst_positive = 1, best_negative = 0;
  for (size_t i = 0; i < 12; ++i) {
    const double score = validated.result["scores"]["after"][i];
    (i % 2 == 1 ? worst_positive : best_negative) =
        i % 2 == 1 ? std::min(worst_positive, score) : std::max(best_negative, score);
  }
  EXPECT_GT(worst_positive, best_negative);

  Json predict = Job("predict");
  predict["model"] = {{"architecture", "resnet18"}};
  predict["members"] = {model, model};
  predict["combiner"] = "mean_logit";
  predict["operating_point"] = (worst_positive + best_negative) / 2;
  predict["files"] = {Folder("films") / "c1.dcm"};
  predict["capture_text"] = {"Model 1.0.0.1", "For research"};
  const Ended predicted = Run(Folder("predict"), predict);
  ASSERT_EQ(predicted.status, 0) << predicted.result;
  EXPECT_EQ(predicted.result["positive"], true);
  // The same preprocessing and weights as in validation: the same score but for the batch's float rounding.
  EXPECT_NEAR(predicted.result["score"], validated.result["scores"]["after"][1], 1e-5);
  const Json& capture = predicted.result["capture"];
  EXPECT_EQ(std::filesystem::file_size(Folder("predict") / capture["file"].get<std::string>()),
            capture["rows"].get<size_t>() * capture["columns"].get<size_t>() * 3);

  predict["files"] = {Folder("films") / "broken.dcm"};
  const Ended rejected = Run(Folder("predict2"), predict);
  EXPECT_EQ(rejected.status, 0);
  EXPECT_EQ(rejected.result["rejected"], "NOT_DICOM");
}

TEST_F(WorkerTest, KilledInTheMiddleItGoesOnToTheSameBytes) {
  Prepare();
  const std::filesystem::path initial = Init();
  const Ended undisturbed = Run(Folder("a"), TrainJob(initial, 3));
  ASSERT_EQ(undisturbed.status, 0) << undisturbed.result;
  const Ended killed = Run(Folder("b"), TrainJob(initial, 3), "\"epoch\":2");
  EXPECT_EQ(killed.status, -SIGKILL);
  EXPECT_TRUE(killed.result.is_null());
  const Ended resumed = Run(Folder("b"), TrainJob(initial, 3));
  ASSERT_EQ(resumed.status, 0) << resumed.result;
  EXPECT_EQ(*ReadFile(Folder("a") / "model.safetensors"), *ReadFile(Folder("b") / "model.safetensors"));
  EXPECT_EQ(undisturbed.result["loss_sum"], resumed.result["loss_sum"]);
}

TEST_F(WorkerTest, ATrainingWithDifferentialPrivacyGoesOnToTheSameBytes) {
  Prepare();
  Json init = Job("init");
  init["model"] = {{"architecture", "resnet18_gn"}, {"init", "he_normal"}, {"seed", 7}};
  ASSERT_EQ(Run(Folder("init"), init).status, 0);
  Json train = TrainJob(Folder("init") / "model.safetensors", 3);
  train["model"]["architecture"] = "resnet18_gn";
  for (size_t i = 0; i < train["cases"].size(); ++i) {
    train["cases"][i]["patient"] = i % 9;  // three patients have two films
  }
  train["privacy"] = {{"noise_multiplier", 1}, {"clip_norm", 1}, {"key", std::string(64, '7')}};
  const Ended undisturbed = Run(Folder("a"), train);
  ASSERT_EQ(undisturbed.status, 0) << undisturbed.result;
  EXPECT_EQ(undisturbed.result["samples"], 9);
  EXPECT_EQ(undisturbed.result["batches"], 3);
  EXPECT_EQ(undisturbed.result["loss_sum"], 0);
  EXPECT_EQ(Run(Folder("b"), train, "\"epoch\":2").status, -SIGKILL);
  const Ended resumed = Run(Folder("b"), train);
  ASSERT_EQ(resumed.status, 0) << resumed.result;
  EXPECT_EQ(*ReadFile(Folder("a") / "model.safetensors"), *ReadFile(Folder("b") / "model.safetensors"));

  train["privacy"]["key"] = std::string(64, '8');
  ASSERT_EQ(Run(Folder("c"), train).status, 0);
  EXPECT_NE(*ReadFile(Folder("a") / "model.safetensors"), *ReadFile(Folder("c") / "model.safetensors"));
}

TEST_F(WorkerTest, FailuresSayWhy) {
  Prepare();
  const std::filesystem::path initial = Init();
  const auto fails = [&](const Json& job, const char* reason, const char* message) {
    const Ended ended = Run(Folder("fails"), job);
    EXPECT_EQ(ended.status, 1) << reason;
    ASSERT_TRUE(ended.result.is_object()) << reason;
    EXPECT_EQ(ended.result["error"]["reason"], reason) << ended.result;
    EXPECT_THAT(ended.result["error"]["message"].get<std::string>(), HasSubstr(message));
  };
  Json job = TrainJob(initial, 1);
  job["epochs"] = "three";
  fails(job, "bad_job", "epochs");
  job = TrainJob(initial, 1);
  job["cases"].push_back({{"case", "stranger"}, {"label", 1}});
  fails(job, "bad_data", "stranger");
  job = TrainJob(initial, 1);
  job["cases"].push_back({{"case", "broken"}, {"label", 1}});
  fails(job, "bad_data", "NOT_DICOM");
  job = TrainJob(initial, 1);
  job["cases"] = {job["cases"][0]};
  fails(job, "bad_data", "at least 2");
  job = TrainJob(initial, 1);
  job["task"] = testing::ExampleTask(48);
  fails(job, "bad_data", "preprocessing");
  job = TrainJob(initial, 1);
  job["model"]["architecture"] = "resnet34";
  fails(job, "bad_model", "missing");
  job = TrainJob(Folder("films") / "broken.dcm", 1);
  fails(job, "bad_model", "");
  job = TrainJob(initial, 30);
  job["algorithm"]["optimizer"] = {{"name", "sgd"}, {"lr", 100}, {"weight_decay", 10}};
  fails(job, "diverged", "not finite");

  Json large = Job("prepare");  // films so large that the first layer alone needs more than is allowed
  large["task"] = testing::ExampleTask(1024);
  large["cases"] = Json::array();
  for (const Json& item : cases_) {
    const std::string id = item["case"];
    large["cases"].push_back({{"case", id}, {"files", {Folder("films") / (id + ".dcm")}}});
  }
  ASSERT_EQ(Run(Folder("large"), large).status, 0);
  job = TrainJob(initial, 1);
  job["task"] = large["task"];
  job["prepared"] = Folder("large");
  job["algorithm"]["batch_size"] = 12;
  job["memory_mb"] = 512;
  fails(job, "out_of_memory", "out of memory");
}

TEST_F(WorkerTest, TheSandboxHoldsInTheRealProgram) {
  const Ended ended = Run(Folder("self"), {{"kind", "self_test"}, {"action", "sandbox"}});
  ASSERT_EQ(ended.status, 0) << ended.result;
  EXPECT_EQ(ended.result["attempts"]["connect"], "refused");
  EXPECT_EQ(ended.result["attempts"]["exec"], "refused");
  if (ended.result["landlock_abi"] > 0) {
    EXPECT_EQ(ended.result["contained"], true) << ended.result;
  }
}

TEST_F(WorkerTest, MisbehaviourForTheSupervisor) {
  const auto act = [&](const char* action) {
    return Run(Folder(action), {{"kind", "self_test"}, {"action", action}, {"memory_mb", 1024}});
  };
  EXPECT_EQ(act("crash").status, -SIGSEGV);
  EXPECT_EQ(act("exit").status, 3);
  const Ended allocated = act("allocate");
  EXPECT_EQ(allocated.status, 1);
  EXPECT_EQ(allocated.result["error"]["reason"], "out_of_memory");
  const Ended garbage = act("garbage");
  EXPECT_EQ(garbage.status, 0);
  EXPECT_TRUE(garbage.result.is_discarded());
}

TEST_F(WorkerTest, AMissingJobIsAFailure) {
  const std::filesystem::path folder = Folder("empty");
  const Ended ended = Run(folder, nullptr);
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.result["error"]["reason"], "bad_job");
}

}  // namespace
}  // namespace cloister::site
