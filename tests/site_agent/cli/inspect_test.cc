// SPDX-License-Identifier: Apache-2.0
// inspect: with the real worker beside this test, and with one that ends as a hostile file would make it.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>

#include "protocols/base/file.h"
#include "tests/site_agent/cli/cli_site.h"
#include "tests/support/make_dicom.h"
#include "tests/support/shared_data.h"

namespace cloister::site {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class InspectTest : public CliSite {
 protected:
  void UseWorker(const std::filesystem::path& program) {
    WriteConfig();
    std::string config = *ReadFile(File("site.yaml"));
    const std::string placeholder = "no-such-worker";
    config.replace(config.find(placeholder), placeholder.size(), program.string());
    Write("site.yaml", config);
  }
  void UseRealWorker() { UseWorker(std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cloister-worker"); }
  // A worker that finds out about the files before the one named "bad" and then does as `then` says.
  void UseScript(const std::string& then) {
    Write("worker.sh", fmt::format(R"script(#!/bin/sh
folder=$2
[ "$(cat {0}/starts 2>/dev/null | wc -l)" -lt 20 ] || exit 9
echo >> {0}/starts
for file in $(tr ',[]"' '\n\n\n\n' < $folder/job.json | grep '^/'); do
  case $file in
    */bad*) {1};;
  esac
  echo '{{"verdict": "image", "code": "OK"}}' >> $folder/inspected.jsonl
done
echo '{{"files": 1}}' > $folder/result.json
)script",
                                   dir_.path().string(), then));
    std::filesystem::permissions(File("worker.sh"), std::filesystem::perms::owner_all);
    UseWorker(File("worker.sh"));
  }
  void WriteFilm(const std::string& name, const testing::GreyFile& grey = {}) {
    std::filesystem::create_directories(File(name).parent_path());
    ASSERT_TRUE(testing::MakeDicom(grey, File(name)));
  }
};

TEST_F(InspectTest, ALineForEachFileOfAFolder) {
  UseRealWorker();
  testing::GreyFile named;
  named.patient_name = "Zhang^San";
  named.modality = "Zhang San";  // where a code belongs
  WriteFilm("films/a.dcm");
  WriteFilm("films/deeper/b.dcm", named);
  Write("films/notes.txt", "Zhang San was here");
  const Shown shown = Run({"inspect", File("films").string()});
  EXPECT_EQ(shown.status, kDone) << shown.err;
  std::istringstream lines(shown.out);
  std::string line;
  std::getline(lines, line);
  EXPECT_THAT(line, MatchesRegex("image +OK +DX +4x4 12 bit +1 +[0-9a-f]+ +.*/films/a.dcm"));
  std::getline(lines, line);
  EXPECT_THAT(line, MatchesRegex("image +OK +.not a code. +4x4 12 bit +1 +[0-9a-f]+ +.*/deeper/b.dcm"));
  std::getline(lines, line);
  EXPECT_THAT(line, MatchesRegex("refused +NOT_DICOM +- +0 +- +.*/films/notes.txt  .*"));
  EXPECT_FALSE(std::getline(lines, line));
  EXPECT_THAT(shown.err, HasSubstr("3 files, 2 image, 1 refused NOT_DICOM"));
  EXPECT_THAT(shown.out + shown.err, Not(HasSubstr("Zhang")));
  EXPECT_TRUE(std::filesystem::is_empty(File("data/jobs")));
}

TEST_F(InspectTest, JsonIsOneList) {
  UseRealWorker();
  WriteFilm("a.dcm");
  const Shown shown = Run({"inspect", "--json", File("a.dcm").string()});
  ASSERT_EQ(shown.status, kDone) << shown.err;
  const nlohmann::json list = shown.Json();
  ASSERT_EQ(list.size(), 1u) << shown.out;
  EXPECT_EQ(list[0]["file"], File("a.dcm").string());
  EXPECT_EQ(list[0]["verdict"], "image");
  EXPECT_EQ(list[0]["rows"], 4);
  EXPECT_EQ(list[0]["samples_sha256"].get<std::string>().size(), 64u);
  std::filesystem::create_directories(File("empty"));
  EXPECT_EQ(Run({"inspect", "--json", File("empty").string()}).Json(), nlohmann::json::array());
}

TEST_F(InspectTest, AFileThatEndsTheWorkerIsOneMoreFinding) {
  for (const auto& [then, code] :
       {std::pair{"kill -SEGV $$", "CRASHED"}, std::pair{"exit 3", "CRASHED"}, std::pair{"sleep 60", "TIMED_OUT"}}) {
    std::filesystem::remove(File("starts"));
    UseScript(then);
    std::filesystem::create_directories(File("films"));
    for (const char* name : {"a", "bad1", "bad2", "c"}) {
      Write(std::string("films/") + name, "x");
    }
    const Shown shown = Run({"inspect", "--json", "--time-limit", "1", File("films").string()});
    ASSERT_EQ(shown.status, kDone) << shown.err;
    const nlohmann::json list = shown.Json();
    ASSERT_EQ(list.size(), 4u) << shown.out;
    EXPECT_EQ(list[0]["code"], "OK");
    EXPECT_EQ(list[1]["code"], code);
    EXPECT_EQ(list[1]["verdict"], "refused");
    EXPECT_EQ(list[2]["code"], code);
    EXPECT_EQ(list[3]["code"], "OK");
  }
}

TEST_F(InspectTest, NamesThatAreNotUtf8AndPathsThatAreNotThere) {
  UseRealWorker();
  std::filesystem::create_directories(File("films"));
  std::ofstream(File("films") / "\xcd\xf5.dcm") << "x";
  WriteFilm("films/a.dcm");
  const Shown shown = Run({"inspect", "--json", File("films").string()});
  ASSERT_EQ(shown.status, kDone) << shown.err;
  ASSERT_EQ(shown.Json().size(), 2u) << shown.out;
  EXPECT_EQ(shown.Json()[0]["code"], "OK");
  EXPECT_EQ(shown.Json()[1]["code"], "FILE_NAME");

  const Shown absent = Run({"inspect", File("absent").string()});
  EXPECT_EQ(absent.status, kFailed);
  EXPECT_THAT(absent.err, HasSubstr("absent"));
  EXPECT_EQ(Run({"inspect"}).status, kUsage);
}

TEST_F(InspectTest, WithoutAWorkerItSaysWhichIsMissing) {
  WriteFilm("a.dcm");
  const Shown shown = Run({"inspect", File("a.dcm").string()});
  EXPECT_EQ(shown.status, kFailed);
  EXPECT_THAT(shown.err, HasSubstr("no-such-worker"));
}

// The whole zoo through the sandbox: what is malformed is refused, and no file ends the worker.
TEST_F(InspectTest, TheZoo) {
  const std::filesystem::path zoo = testing::SharedData() / "dicom_zoo";
  if (!std::filesystem::exists(zoo / "manifest.csv")) {
    GTEST_SKIP() << "no dicom_zoo at " << zoo << " (set CLOISTER_DATA)";
  }
  UseRealWorker();
  const Shown shown = Run({"inspect", "--json", (zoo / "files").string()});
  ASSERT_EQ(shown.status, kDone) << shown.err;
  std::map<std::string, nlohmann::json> findings;
  for (const nlohmann::json& finding : shown.Json()) {
    findings[std::filesystem::relative(finding["file"].get<std::string>(), zoo).string()] = finding;
    EXPECT_NE(finding["code"], "CRASHED") << finding;
    EXPECT_NE(finding["code"], "TIMED_OUT") << finding;
    EXPECT_NE(finding["code"], "OUT_OF_MEMORY") << finding;
  }
  int same = 0;
  for (const auto& row : testing::ReadTable(zoo / "manifest.csv")) {
    if (std::filesystem::exists(zoo / row.at("file"))) {
      ASSERT_EQ(findings.count(row.at("file")), 1u) << row.at("file");
      same += findings[row.at("file")]["samples_sha256"] == row.at("pixel_sha256") ? 1 : 0;
    }
  }
  EXPECT_GT(same, 190);
}

}  // namespace
}  // namespace cloister::site
