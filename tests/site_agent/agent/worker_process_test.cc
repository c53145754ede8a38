// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/worker_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "protocols/base/file.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;

std::string ReadProc(pid_t pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

class WorkerProcessTest : public ::testing::Test {
 protected:
  // A worker that is a shell script.
  WorkerCommand Script(const std::string& body) {
    WorkerCommand command;
    command.program = dir_.path() / "worker.sh";
    command.folder = dir_.path() / "job";
    EXPECT_TRUE(MakeDirectories(command.folder).ok());
    EXPECT_TRUE(WriteFileAtomically(command.program, "#!/bin/sh\n" + body + "\n", 0755).ok());
    return command;
  }

  std::variant<nlohmann::json, WorkerError> Run(const WorkerCommand& command) {
    return RunWorker(command, stop_, [this](const WorkerProgress& progress) { progress_.push_back(progress); });
  }

  WorkerError Error(const WorkerCommand& command) {
    const auto outcome = Run(command);
    EXPECT_TRUE(std::holds_alternative<WorkerError>(outcome));
    return std::holds_alternative<WorkerError>(outcome) ? std::get<WorkerError>(outcome) : WorkerError();
  }

  testing::TempDir dir_;
  transport::StopSource stop_;
  std::vector<WorkerProgress> progress_;
};

TEST_F(WorkerProcessTest, ReturnsTheResultAndTheProgress) {
  const WorkerCommand command = Script(
      "echo '{\"progress\": {\"phase\": \"train\", \"epoch\": 1, \"epochs\": 3, \"batch\": 10, \"batches\": 20, "
      "\"loss\": 0.5, \"images_per_second\": 51.2, \"eta_seconds\": 12}}'\n"
      "echo 'not json'\n"
      "echo '{\"something\": 1}'\n"
      "printf '{\"samples\": 7}' > result.json");
  const auto outcome = Run(command);
  ASSERT_TRUE(std::holds_alternative<nlohmann::json>(outcome)) << std::get<WorkerError>(outcome).message;
  EXPECT_EQ(std::get<nlohmann::json>(outcome)["samples"], 7);
  ASSERT_EQ(progress_.size(), 1u);
  EXPECT_EQ(progress_[0].phase, "train");
  EXPECT_EQ(progress_[0].batches, 20);
  EXPECT_DOUBLE_EQ(progress_[0].images_per_second, 51.2);
  EXPECT_TRUE(FinishedResult(command.folder).has_value());
}

// The folder is the worker's too; what it leaves there must not choose which file of the agent is written.
TEST_F(WorkerProcessTest, AFileForTheWorkerFollowsNoLink) {
  const std::filesystem::path secret = dir_.path() / "secret";
  ASSERT_TRUE(WriteFileAtomically(secret, "kept").ok());
  for (const char* body : {"ln -sf ../secret worker.pid; printf '{}' > result.json",
                           "ln -sf ../secret job.json; printf '{}' > result.json"}) {
    const WorkerCommand command = Script(body);
    EXPECT_TRUE(std::holds_alternative<nlohmann::json>(Run(command)));
    ASSERT_TRUE(WriteWorkerFile(command.folder / "job.json", "a job").ok());
    EXPECT_EQ(ReadFile(command.folder / "job.json").value(), "a job");
    EXPECT_TRUE(std::holds_alternative<nlohmann::json>(Run(command)));
    EXPECT_EQ(ReadFile(secret).value(), "kept");
  }
}

TEST_F(WorkerProcessTest, GetsTheJobFolderAndACleanEnvironment) {
  setenv("CANARY_SECRET", "do-not-pass-on", 1);
  WorkerCommand command = Script("env > environment; pwd > folder; echo \"$@\" > arguments; echo '{}' > result.json");
  command.threads = 3;
  command.environment["EXTRA"] = "yes";
  ASSERT_TRUE(std::holds_alternative<nlohmann::json>(Run(command)));
  const std::string environment = *ReadFile(command.folder / "environment");
  EXPECT_THAT(environment, ::testing::Not(HasSubstr("CANARY")));
  EXPECT_THAT(environment, HasSubstr("OMP_NUM_THREADS=3"));
  EXPECT_THAT(environment, HasSubstr("OPENBLAS_NUM_THREADS=3"));
  EXPECT_THAT(environment, HasSubstr("EXTRA=yes"));
  EXPECT_THAT(*ReadFile(command.folder / "folder"), HasSubstr("job"));
  EXPECT_EQ(*ReadFile(command.folder / "arguments"), "--job " + command.folder.string() + "\n");
}

TEST_F(WorkerProcessTest, InheritsNoDescriptor) {
  const WorkerCommand command = Script("ls /proc/self/fd > open; echo '{}' > result.json");
  const int leaked = dup(2);
  ASSERT_TRUE(std::holds_alternative<nlohmann::json>(Run(command)));
  close(leaked);
  // 0, 1, 2, and the descriptor that ls reads the folder with.
  const std::string open = *ReadFile(command.folder / "open");
  EXPECT_LE(std::count(open.begin(), open.end(), '\n'), 4) << open;
}

TEST_F(WorkerProcessTest, ACrashIsAFailure) {
  EXPECT_EQ(Error(Script("kill -SEGV $$")).failure, WorkerFailure::kCrashed);
  const WorkerError killed = Error(Script("kill -KILL $$"));
  EXPECT_EQ(killed.failure, WorkerFailure::kCrashed);
  EXPECT_THAT(killed.message, HasSubstr("signal 9"));
  EXPECT_EQ(Error(Script("exit 3")).failure, WorkerFailure::kCrashed);
  EXPECT_EQ(Error(Script("exit 0")).failure, WorkerFailure::kCrashed);                           // no result
  EXPECT_EQ(Error(Script("echo garbage > result.json")).failure, WorkerFailure::kCrashed);       // not JSON
  EXPECT_EQ(Error(Script("echo '{}' > result.json; exit 1")).failure, WorkerFailure::kCrashed);  // contradiction
}

TEST_F(WorkerProcessTest, SaysWhatTheWorkerSays) {
  const auto error_with = [&](const std::string& code, const std::string& reason) {
    return Error(Script("echo '{\"error\": {\"code\": \"" + code + "\", \"reason\": \"" + reason +
                        "\", \"message\": \"why\"}}' > result.json; exit 1"))
        .failure;
  };
  EXPECT_EQ(error_with("OUT_OF_RANGE", "diverged"), WorkerFailure::kNotFinite);
  EXPECT_EQ(error_with("INVALID_ARGUMENT", "bad_model"), WorkerFailure::kModelInvalid);
  EXPECT_EQ(error_with("RESOURCE_EXHAUSTED", "out_of_memory"), WorkerFailure::kOutOfMemory);
  EXPECT_EQ(error_with("RESOURCE_EXHAUSTED", "input_output"), WorkerFailure::kDiskFull);
  EXPECT_EQ(error_with("INTERNAL", "internal"), WorkerFailure::kInternal);
  EXPECT_FALSE(FinishedResult(dir_.path() / "job").has_value());
}

TEST_F(WorkerProcessTest, AHangEndsAtTheTimeLimitWithItsChildren) {
  WorkerCommand command = Script("sleep 600 & echo $! > child.pid; sleep 600");
  command.limits.time = absl::Milliseconds(700);
  const WorkerError error = Error(command);
  EXPECT_EQ(error.failure, WorkerFailure::kTimedOut);
  const pid_t child = atoi(ReadFile(command.folder / "child.pid")->c_str());
  ASSERT_GT(child, 1);
  for (int i = 0; i < 100 && kill(child, 0) == 0; ++i) {
    usleep(20000);  // the kernel reaps it; init, not us, is its parent by now
    const std::string stat = ReadProc(child, "stat");
    if (stat.empty() || stat.find(") Z") != std::string::npos) {
      break;
    }
  }
  const std::string stat = ReadProc(child, "stat");
  EXPECT_TRUE(stat.empty() || stat.find(") Z") != std::string::npos);
}

TEST_F(WorkerProcessTest, SilenceEndsIt) {
  WorkerCommand command = Script("while true; do sleep 1; done");
  command.limits.silence = absl::Milliseconds(300);
  EXPECT_THAT(Error(command).message, HasSubstr("no sign of life"));
}

TEST_F(WorkerProcessTest, MemoryOverTheLimitEndsIt) {
  WorkerCommand command = Script("exec perl -e 'my $x = \"x\" x (300 << 20); sleep 600'");
  command.limits.memory_bytes = 100 << 20;
  command.limits.time = absl::Seconds(30);
  const WorkerError error = Error(command);
  EXPECT_EQ(error.failure, WorkerFailure::kOutOfMemory) << error.message;
}

TEST_F(WorkerProcessTest, StopsWhenAsked) {
  const WorkerCommand command = Script("sleep 600");
  std::thread stopper([this] {
    usleep(200000);
    stop_.Stop();
  });
  EXPECT_EQ(Error(command).failure, WorkerFailure::kStopped);
  stopper.join();
}

TEST_F(WorkerProcessTest, AMissingProgramIsSaid) {
  WorkerCommand command = Script("true");
  command.program = dir_.path() / "nothing";
  const WorkerError error = Error(command);
  EXPECT_EQ(error.failure, WorkerFailure::kCannotStart);
  EXPECT_THAT(error.message, HasSubstr("nothing"));
}

TEST_F(WorkerProcessTest, EndlessOutputIsNoProblem) {
  WorkerCommand command = Script("yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | tr -d '\\n'");
  command.limits.time = absl::Milliseconds(500);
  EXPECT_EQ(Error(command).failure, WorkerFailure::kTimedOut);
}

// The agent dies, its worker goes: the parent-death signal.
TEST_F(WorkerProcessTest, DiesWithTheAgent) {
  const WorkerCommand command = Script("echo $$ > me.pid; sleep 600");
  const pid_t agent = fork();
  ASSERT_GE(agent, 0);
  if (agent == 0) {
    RunWorker(command, transport::StopSource(), nullptr);
    _exit(0);
  }
  pid_t worker = 0;
  for (int i = 0; i < 200 && worker == 0; ++i) {
    usleep(20000);
    const auto text = ReadFile(command.folder / "me.pid");
    worker = text.ok() ? atoi(text->c_str()) : 0;
  }
  ASSERT_GT(worker, 1);
  kill(agent, SIGKILL);
  int status = 0;
  waitpid(agent, &status, 0);
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    usleep(20000);
    const std::string stat = ReadProc(worker, "stat");
    gone = stat.empty() || stat.find(") Z") != std::string::npos;
  }
  EXPECT_TRUE(gone);
}

// A worker that survived its agent all the same is ended before its job is done again.
TEST_F(WorkerProcessTest, EndsAStaleWorkerOfTheSameFolder) {
  const WorkerCommand command = Script("echo '{}' > result.json");
  const pid_t stale = fork();
  ASSERT_GE(stale, 0);
  if (stale == 0) {
    setpgid(0, 0);
    execl("/bin/sh", "sh", "-c", "sleep 60; true", command.folder.c_str(), nullptr);
    _exit(1);
  }
  usleep(100000);
  ASSERT_TRUE(WriteFileAtomically(command.folder / "worker.pid", std::to_string(stale)).ok());
  ASSERT_TRUE(std::holds_alternative<nlohmann::json>(Run(command)));
  int status = 0;
  ASSERT_EQ(waitpid(stale, &status, 0), stale);
  EXPECT_TRUE(WIFSIGNALED(status));
}

}  // namespace
}  // namespace cloister::site
