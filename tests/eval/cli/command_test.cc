// SPDX-License-Identifier: Apache-2.0
// cloister-eval report from file to file: what it says, that it says it again, and how it refuses.

#include "eval/cli/command.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "protocols/base/file.h"
#include "tests/support/temp_dir.h"

namespace cloister::eval {
namespace {

using Json = nlohmann::json;

struct Ran {
  int code = 0;
  std::string output;
  std::string errors;
};

class CommandTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string Write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(WriteFileAtomically(Path(name), text).ok());
    return Path(name);
  }
  Ran Report(std::vector<std::string> more) const { return Task("binary", std::move(more)); }
  Ran Task(const std::string& task, std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"report", "--task", task, "--out", Path("out"), "--replicates", "200"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::ostringstream output;
    std::ostringstream errors;
    const int code = RunEval(arguments, output, errors);
    return {code, output.str(), errors.str()};
  }
  std::string Refusal(const std::string& text) const {
    const Ran run = Report({"--quiet", "--predictions", Write("p.csv", text)});
    EXPECT_EQ(run.code, 1);
    EXPECT_FALSE(std::filesystem::exists(Path("out")));
    const size_t at = run.errors.find("p.csv:");
    return at == std::string::npos ? run.errors : run.errors.substr(at);
  }

  testing::TempDir folder_;
};

// Two eyes of most patients, five hospitals, ties, and one camera on which the model is blind.
std::vector<std::string> Lines(int patients, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  std::vector<std::string> lines;
  for (int patient = 0; patient < patients; ++patient) {
    const bool sick = patient % 3 == 0;
    const std::string camera = patient % 5 == 0 ? "old" : "new";
    for (int eye = 0; eye < (patient % 4 == 0 ? 1 : 2); ++eye) {
      const double signal = camera == "old" ? 0.5 : sick ? 0.62 : 0.38;
      const double score = std::clamp(std::round(50 * (signal + 0.5 * (uniform() - 0.5))) / 50, 0.0, 1.0);
      const double other = std::clamp(std::round(50 * (signal + 0.8 * (uniform() - 0.5))) / 50, 0.0, 1.0);
      std::ostringstream line;
      line << "eye" << patient << (eye == 0 ? "L" : "R") << ",p" << patient << "," << (sick ? 1 : 0) << "," << score
           << "," << other << "," << (patient % 2 == 0 ? "F" : "M") << "," << camera << ",h" << patient % 7 << "\n";
      lines.push_back(line.str());
    }
  }
  return lines;
}

std::string File(const std::vector<std::string>& lines) {
  std::string text = "case,patient,label,score,other,sex,camera,hospital\n";
  for (const std::string& line : lines) {
    text += line;
  }
  return text;
}

TEST_F(CommandTest, SaysTheSameInAnyOrderAndWithAnyThreads) {
  std::vector<std::string> lines = Lines(300, 4);
  const std::string path = Write("p.csv", File(lines));
  const std::vector<std::string> common = {"--predictions", path, "--compare", "other", "--site", "hospital", "--json"};
  auto with = [&](const char* threads) {
    std::vector<std::string> all = common;
    all.insert(all.end(), {"--threads", threads});
    return Report(all);
  };
  const Ran first = with("1");
  ASSERT_EQ(first.code, 0) << first.errors;
  EXPECT_EQ(*ReadFile(Path("out/report.json")), first.output);
  const std::string page = *ReadFile(Path("out/report.html"));
  std::mt19937_64 random(1);
  std::shuffle(lines.begin(), lines.end(), random);
  Write("p.csv", File(lines));
  const Ran second = with("3");
  EXPECT_EQ(first.output, second.output);
  EXPECT_TRUE(page == *ReadFile(Path("out/report.html")));
}

TEST_F(CommandTest, FindsTheCameraOnWhichItFails) {
  const Ran run = Report(
      {"--predictions", Write("p.csv", File(Lines(600, 9))), "--site", "hospital", "--compare", "other", "--json"});
  ASSERT_EQ(run.code, 0) << run.errors;
  const Json report = Json::parse(run.output);
  EXPECT_EQ(report["tested"]["patients"], 600);
  EXPECT_EQ(report["tested"]["studies"], 1050);
  EXPECT_EQ(report["metrics"]["sensitivity"]["method"], "bootstrap_percentile");
  EXPECT_EQ(report["metrics"]["auc"]["method"], "delong");
  std::map<std::string, Json> groups;
  for (const Json& group : report["subgroups"]) {
    groups[group["column"].get<std::string>() + "=" + group["level"].get<std::string>()] = group;
  }
  ASSERT_EQ(groups.size(), 4u);  // two sexes, two cameras
  EXPECT_LT(groups["camera=old"]["metrics"]["auc"]["difference"]["upper"], -0.1);
  EXPECT_LT(groups["camera=old"]["metrics"]["auc"]["holm_p"], 0.001);
  EXPECT_GT(groups["sex=F"]["metrics"]["auc"]["holm_p"], 0.05);
  EXPECT_EQ(groups["camera=old"]["metrics"]["sensitivity"]["difference"]["method"], "cluster_normal");
  EXPECT_EQ(report["over_sites"]["auc"]["sites"].size(), 7u);
  EXPECT_EQ(report["over_sites"]["auc"]["pooled"]["method"], "reml_hartung_knapp");
  EXPECT_EQ(report["over_sites"]["sensitivity"]["pooled"]["not_estimable"], "not_measured");  // eyes, not patients
  EXPECT_GT(report["versus_local_only"]["auc"]["difference"]["value"], 0);
  const std::string page = *ReadFile(Path("out/report.html"));
  EXPECT_NE(page.find("Among those tested, of 100"), std::string::npos);
  EXPECT_NE(page.find("data-part=\"subgroups\""), std::string::npos);
  EXPECT_EQ(page.find("data-part=\"sign\""), std::string::npos);
  EXPECT_EQ(page.find("[["), std::string::npos);
}

TEST_F(CommandTest, TheThresholdComesFromOtherPatients) {
  const std::string tested = Write("p.csv", File(Lines(200, 4)));
  std::string tuning = "case,patient,label,score\n";
  for (int i = 0; i < 40; ++i) {
    tuning += "t" + std::to_string(i) + ",q" + std::to_string(i) + "," + (i < 20 ? "0," : "1,") +
              (i < 18   ? "0.2"
               : i < 22 ? "0.4"
                        : "0.8") +
              "\n";
  }
  const Ran run = Report(
      {"--predictions", tested, "--tuning", Write("t.csv", tuning), "--rule", "sensitivity 0.95", "--json", "--quiet"});
  ASSERT_EQ(run.code, 0) << run.errors;
  // All 20 positives score at least 0.4, halfway to the next score 0.2.
  EXPECT_NEAR(Json::parse(run.output)["threshold"].get<double>(), 0.3, 1e-15);
  const Ran shared = Report({"--predictions", tested, "--tuning", tested});
  EXPECT_EQ(shared.code, 1);
  EXPECT_NE(shared.errors.find("a threshold chosen on tested patients flatters the model"), std::string::npos);
}

TEST_F(CommandTest, OneClassIsReportedWithoutNumbersThatDoNotExist) {
  const Ran run = Report({"--predictions", Write("p.csv", "case,label,score\na,0,0.4\nb,0,0.6\nc,0,0.4\n"), "--json"});
  ASSERT_EQ(run.code, 0) << run.errors;
  const Json report = Json::parse(run.output);
  EXPECT_EQ(report["metrics"]["auc"]["not_estimable"], "one_class");
  EXPECT_EQ(report["metrics"]["sensitivity"]["not_estimable"], "no_positives");
  EXPECT_EQ(report["calibration_line"]["slope"]["not_estimable"], "one_class");
  EXPECT_NE(run.errors.find("no column \"patient\": every case counts as a patient of its own"), std::string::npos);
}

TEST_F(CommandTest, RefusesBadRowsWithLineAndColumn) {
  EXPECT_EQ(Refusal("case,label,score\na,1,0.5\nb,2,0.5\n"),
            "p.csv:3: column \"label\": is neither 1 (has the condition) nor 0\n");
  EXPECT_EQ(Refusal("case,label,score\na,1,nan\n"), "p.csv:2: column \"score\": is not a finite number\n");
  EXPECT_EQ(Refusal("case,label,score\na,1,7\n"),
            "p.csv:2: column \"score\": is outside 0 to 1; map scores to probabilities, e.g. by 1/(1+exp(-x))\n");
  EXPECT_EQ(Refusal("case,label,score\nb,1,1\na,1,1\nb,0,0\n"),
            "p.csv:4: column \"case\": the same case as on line 2\n");
  EXPECT_EQ(Refusal("case,label,score\n,1,1\n"), "p.csv:2: column \"case\": is empty; every case needs an id\n");
  EXPECT_EQ(Refusal("case,patient,label,score\na,,1,1\n"),
            "p.csv:2: column \"patient\": is empty; every case needs a patient\n");
  EXPECT_EQ(Refusal("case,truth,score\na,1,1\n"),
            "p.csv:1: no column \"label\"; the columns are: case, truth, score\n");
}

TEST_F(CommandTest, EveryTaskHasItsMeasures) {
  const std::string classes =
      Write("classes.csv", "case,patient,label,predicted\na,1,0,0\nb,2,1,2\nc,3,2,2\nd,4,10,10\ne,4,10,2\n");
  for (const char* task : {"multiclass", "ordinal"}) {
    const Ran run = Task(task, {"--predictions", classes, "--json"});
    ASSERT_EQ(run.code, 0) << run.errors;
    const Json report = Json::parse(run.output);
    EXPECT_EQ(report["categories"], (Json{"0", "1", "2", "10"}));  // grades rise as numbers
    EXPECT_EQ(report["category_counts"][1], (Json{0, 0, 1, 0}));
    EXPECT_NEAR(report["measures"]["overall"]["accuracy"]["value"].get<double>(), 0.6, 1e-15);
    EXPECT_EQ(report["measures"]["overall"].contains("kappa_quadratic"), std::string(task) == "ordinal");
    EXPECT_EQ(report["measures"]["class:10"]["sensitivity"]["n"], 1);
  }
  const Ran scored = Task("multiclass", {"--predictions",
                                         Write("s.csv",
                                               "case,label,score:x,score:y\na,x,0.7,0.3\nb,y,0.6,0.4\n"
                                               "c,y,0.1,0.9\nd,x,0.8,0.2\n"),
                                         "--json"});
  ASSERT_EQ(scored.code, 0) << scored.errors;
  EXPECT_EQ(Json::parse(scored.output)["measures"]["overall"]["macro_auc"]["value"], 1);
  const Ran labels = Task("multilabel", {"--predictions",
                                         Write("m.csv",
                                               "case,label:cyst,score:cyst,label:stone,score:stone\n"
                                               "a,1,0.9,0,0.2\nb,0,0.2,0,0.1\nc,1,0.8,0,0.7\nd,0,0.3,0,0.6\n"),
                                         "--json"});
  ASSERT_EQ(labels.code, 0) << labels.errors;
  EXPECT_EQ(Json::parse(labels.output)["measures"]["label:cyst"]["auc"]["value"], 1);
  EXPECT_EQ(Json::parse(labels.output)["measures"]["label:stone"]["auc"]["not_estimable"], "one_class");
  EXPECT_EQ(Json::parse(labels.output)["measures"]["overall"]["macro_auc"]["not_estimable"], "one_class");
  const Ran ages =
      Task("regression", {"--predictions", Write("r.csv", "case,label,score\na,100,104\nb,90,70\nc,120,121\nd,80,83\n"),
                          "--within", "12,24", "--json"});
  ASSERT_EQ(ages.code, 0) << ages.errors;
  EXPECT_EQ(Json::parse(ages.output)["measures"]["overall"]["mae"]["value"], 7);
  EXPECT_EQ(Json::parse(ages.output)["measures"]["overall"]["within_12"]["value"], 0.75);
  const std::string page = *ReadFile(Path("out/report.html"));
  EXPECT_EQ(page.find("[["), std::string::npos);
  EXPECT_NE(page.find("At most 12 apart"), std::string::npos);
}

// A NIfTI-1 file of bytes.
std::string Nifti(const std::vector<uint8_t>& voxels, int16_t x, int16_t y, float spacing) {
  std::string bytes(352, '\0');
  auto put = [&](size_t at, auto value) { std::memcpy(bytes.data() + at, &value, sizeof(value)); };
  put(0, int32_t{348});
  put(40, int16_t{2});
  put(42, x);
  put(44, y);
  put(70, int16_t{2});
  put(80, spacing);
  put(84, spacing);
  put(108, float{352});
  std::memcpy(bytes.data() + 344, "n+1", 4);
  return bytes + std::string(voxels.begin(), voxels.end());
}

TEST_F(CommandTest, MasksAndFindingsComeByPath) {
  const std::string truth = Nifti({0, 1, 1, 0, 0, 1, 1, 0}, 4, 2, 0.5F);
  Write("truth.nii", truth);
  Write("half.nii", Nifti({0, 1, 0, 0, 0, 1, 0, 0}, 4, 2, 0.5F));
  Write("none.nii", Nifti(std::vector<uint8_t>(8), 4, 2, 0.5F));
  const std::string table = Write("masks.csv",
                                  "case,patient,truth,predicted\na,1,truth.nii,truth.nii\n"
                                  "b,2,truth.nii,half.nii\nc,3,truth.nii,none.nii\n");
  const Ran masks = Task("segmentation", {"--predictions", table, "--json"});
  ASSERT_EQ(masks.code, 0) << masks.errors;
  const Json report = Json::parse(masks.output);
  EXPECT_NEAR(report["measures"]["overall"]["dice"]["value"].get<double>(), (1 + 4.0 / 6 + 0) / 3, 1e-12);
  EXPECT_EQ(report["cases"][2]["dice"], 0);
  for (size_t length = 0; length < truth.size(); length += 7) {
    Write("half.nii", truth.substr(0, length));
    const Ran cut = Task("segmentation", {"--predictions", table, "--quiet"});
    EXPECT_EQ(cut.code, 1) << length;
    EXPECT_NE(cut.errors.find("masks.csv:3: column \"predicted\": "), std::string::npos) << cut.errors;
  }
  Write("t.csv", "x,y,z,radius\n0,0,0,3\n50,0,0,3\n");
  Write("c.csv", "x,y,z,score\n1,0,0,0.9\n20,0,0,0.8\n50,1,0,0.7\n");
  const std::string scans = Write("scans.csv", "case,patient,truth,predicted\na,1,t.csv,c.csv\nb,2,,\n");
  const Ran findings = Task("detection", {"--predictions", scans, "--json"});
  ASSERT_EQ(findings.code, 0) << findings.errors;
  const Json froc = Json::parse(findings.output)["measures"]["overall"];
  EXPECT_EQ(froc["sensitivity_at_1"]["value"], 1);
  EXPECT_EQ(froc["sensitivity_at_0.25"]["value"], 0.5);
  Write("c.csv", "x,y,z\n1,0,0\n");
  EXPECT_NE(Task("detection", {"--predictions", scans}).errors.find("no column \"score\""), std::string::npos);
}

TEST_F(CommandTest, WrongUsageIsCodeTwoAndHelpHasExamples) {
  EXPECT_EQ(Report({}).code, 2);
  EXPECT_EQ(Report({"--predictions", "x.csv", "--threshold", "2"}).code, 2);
  EXPECT_EQ(Report({"--predictions", "x.csv", "--threshold", "0.5", "--tuning", "y.csv"}).code, 2);
  const Ran help = Report({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.output.find("Examples:"), std::string::npos);
  EXPECT_EQ(Report({"--predictions", Path("none.csv")}).code, 1);
}

}  // namespace
}  // namespace cloister::eval
