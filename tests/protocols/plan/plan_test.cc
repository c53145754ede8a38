// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/plan/experiment.h"
#include "protocols/plan/plan_epsilon.h"
#include "protocols/plan/quantization.h"
#include "protocols/plan/sums.h"

namespace cloister::plan {
namespace {

using ::testing::HasSubstr;

constexpr char kTask[] = R"(
task: chest_pneumonia
title_en: Pneumonia
title_zh: 肺炎
condition_en: pneumonia
condition_zh: 肺炎
selection: {modalities: [CR, DX]}
preprocessing: {rows: 96, columns: 96}
label: {column: label, positive: pneumonia, negative: normal}
head: binary
finding: {value: "233604007", scheme: SCT, meaning: Pneumonia}
procedure: {value: "399208008", scheme: SCT, meaning: Plain X-ray of chest}
)";

constexpr char kExperiment[] = R"(
experiment: chest-2026
task: chest_pneumonia
model: {architecture: resnet18, seed: 7}
algorithm: {name: fedavg, rounds: 8, optimizer: {name: adamw, lr: 3.0e-4}}
sites: {minimum: 3, deadline: 2h}
gates:
  - {metric: auc, at_least: 0.7}
  - {metric: auc, versus: local_only, per_site: true, margin: 0.02}
)";

absl::StatusOr<std::string> LoadTask(const std::string& name) {
  if (name == "chest_pneumonia") return std::string(kTask);
  return absl::NotFoundError("there is no task '" + name + "'; allowed: chest_pneumonia");
}

absl::StatusOr<Experiment> Parse(const std::string& text) {
  return ParseExperiment(text, "e.yaml", LoadTask);
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ExperimentTest, FillsInDefaults) {
  const auto experiment = Parse(kExperiment);
  ASSERT_TRUE(experiment.ok()) << experiment.status();
  EXPECT_EQ(experiment->algorithm.baseline_epochs, 8);
  EXPECT_EQ(experiment->sites.deadline_ms, 7'200'000);
  EXPECT_EQ(experiment->privacy.minimum_cell, 10);
  EXPECT_EQ(experiment->task.title_zh, "肺炎");
}

TEST(ExperimentTest, ManySitesHaveToBeAskedFor) {
  const auto sites = [](const std::string& limits) { return Parse(Replaced(kExperiment, "minimum: 3", limits)); };
  EXPECT_EQ(sites("minimum: 3")->sites.maximum, 64);
  EXPECT_EQ(sites("minimum: 100")->sites.maximum, 100);
  const auto most = sites("minimum: 1000, maximum: 2000");
  ASSERT_TRUE(most.ok()) << most.status();
  EXPECT_EQ(most->sites.maximum, 2000);
  EXPECT_EQ(most->privacy.colluders, 333);
  EXPECT_TRUE(QuantizerOf(*most, update::Layout::Create({{"w", {4}}}).value()).ok());
  EXPECT_FALSE(sites("minimum: 3, maximum: 2001").ok());
}

// Nobody else may be in the roster, and every round and attempt counts as a graph.
TEST(SumsTest, ASparseGraphIsOfThoseWhoDrewIt) {
  Experiment plan = Parse(kExperiment).value();
  plan.sites.invited = {"a", "b"};
  secagg::SumParams params = SumParamsOf(plan, Digest(), {*JobId::Parse("job-1"), SumKind::kValidate, 1, 0}, {});
  EXPECT_FALSE(params.graph.has_value());
  const std::vector<SiteId> drawn = {*SiteId::Parse("a"), *SiteId::Parse("c")};
  UseSparseGraph(plan, drawn, crypto::Sha256("seed"), params);
  EXPECT_EQ(params.participants, drawn);
  EXPECT_EQ(params.graph->seed, crypto::Sha256("seed"));
  EXPECT_EQ(params.graph->graphs, 8 * 3);
}

TEST(ExperimentTest, APlanReadsBackAsItselfAndHasOneForm) {
  Experiment experiment = Parse(kExperiment).value();
  experiment.model.parameters = 11'000'000;
  const Bytes document = PlanDocument(experiment);
  const auto again = ParsePlan(document);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PlanDocument(*again), document);
  EXPECT_FALSE(ParsePlan(document + " ").ok());
  EXPECT_FALSE(ParsePlan(Replaced(document, "\"ring_bits\":32", "\"ring_bits\":32.0")).ok());
}

TEST(ExperimentTest, RingsAndClipsOfTensorsArePartOfThePlan) {
  const auto with = [](const std::string& privacy) {
    return Parse(Replaced(kExperiment, "sites:", "privacy: {" + privacy + "}\nsites:"));
  };
  for (const char* bits : {"16", "24", "32", "64"}) {
    EXPECT_TRUE(with(std::string("ring_bits: ") + bits).ok()) << bits;
  }
  for (const char* bits : {"8", "17", "40", "48", "128", "-32", "32.5", "true"}) {
    const absl::Status refused = with(std::string("ring_bits: ") + bits).status();
    EXPECT_THAT(std::string(refused.message()), HasSubstr("'ring_bits'")) << bits;
  }
  const auto clips =
      with(R"(ring_bits: 16, tensor_clips: [{tensor: "*.running_var", clip: 50}, {tensor: fc.*, clip: 0.1}])");
  ASSERT_TRUE(clips.ok()) << clips.status();
  ASSERT_EQ(clips->privacy.tensor_clips.size(), 2u);
  EXPECT_EQ(clips->privacy.tensor_clips[1].tensor, "fc.*");
  EXPECT_EQ(clips->privacy.tensor_clips[1].clip, 0.1);
  const Bytes document = PlanDocument(*clips);
  EXPECT_THAT(document,
              HasSubstr(R"("tensor_clips":[{"clip":50.0,"tensor":"*.running_var"},{"clip":0.1,"tensor":"fc.*"}])"));
  const auto again = ParsePlan(document);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PlanDocument(*again), document);
  EXPECT_EQ(PlanDocument(Parse(kExperiment).value()).find("tensor_clips"), std::string::npos);
  EXPECT_THAT(std::string(with("tensor_clips: [{tensor: a, clip: 0}]").status().message()),
              HasSubstr("'clip' must be"));
  EXPECT_THAT(std::string(with("tensor_clips: [{clip: 1}]").status().message()), HasSubstr("'tensor' is missing"));
  EXPECT_FALSE(with("tensor_clips: {tensor: a, clip: 1}").ok());
  std::string many = "{tensor: a, clip: 1}";
  for (int i = 0; i < 100; ++i) many += ", {tensor: a, clip: 1}";
  EXPECT_THAT(std::string(with("tensor_clips: [" + many + "]").status().message()),
              HasSubstr("101 clips; at most 100"));
}

TEST(ExperimentTest, EveryTruncatedPlanIsRefused) {
  const Bytes document = PlanDocument(Parse(kExperiment).value());
  for (size_t size = 0; size < document.size(); ++size) EXPECT_FALSE(ParsePlan(document.substr(0, size)).ok()) << size;
}

TEST(ExperimentTest, ATypoIsShownWithLineColumnAndWhatIsAllowed) {
  const auto error = [](const std::string& from, const std::string& to) {
    return std::string(Parse(Replaced(kExperiment, from, to)).status().message());
  };
  EXPECT_EQ(error("resnet18", "resnet81"),
            "e.yaml:4:23: 'architecture' cannot be 'resnet81' (did you mean 'resnet18'?); allowed: resnet18, resnet34, "
            "unet_small, resnet18_gn, resnet34_gn, unet_small_gn, torchscript");
  EXPECT_THAT(error("rounds: 8", "round: 8"), HasSubstr("'rounds' is missing"));
  EXPECT_THAT(error("minimum: 3", "minimum: 2"), HasSubstr("'minimum' must be a whole number from 3 to 2000"));
  EXPECT_THAT(error("task: chest_pneumonia", "task: chest"), HasSubstr("allowed: chest_pneumonia"));
  EXPECT_THAT(error("deadline: 2h", "deadline: 2"), HasSubstr("must be a duration"));
  EXPECT_THAT(error("per_site: true, ", ""), HasSubstr("per_site: true"));
  EXPECT_THAT(error("sites:", "privacy: {colluders: 1}\nsites:"), HasSubstr("'colluders'"));
}

TEST(ExperimentTest, WhatASitesWorkerWouldNotTakeIsNoPlan) {
  const auto error = [](const std::string& more) {
    return std::string(Parse(Replaced(kExperiment, "rounds: 8,", "rounds: 8, " + more + ",")).status().message());
  };
  EXPECT_EQ(error("batch_size: 1"), "e.yaml:5:50: 'batch_size' must be a whole number from 2 to 4096, not '1'");
  EXPECT_EQ(error("baseline_epochs: 10001"),
            "e.yaml:5:55: 'baseline_epochs' must be a whole number from 1 to 10000, not '10001'");
  const auto longest = Parse(Replaced(kExperiment, "rounds: 8,", "rounds: 10000, local_epochs: 1000,"));
  ASSERT_TRUE(longest.ok()) << longest.status();
  EXPECT_EQ(longest->algorithm.baseline_epochs, 10'000);
}

constexpr char kPatientPrivacy[] =
    "privacy: {differential_privacy: {unit: patient, noise_multiplier: 1.1, clip_norm: 1, delta: 1.0e-5, max_epsilon: "
    "8}}\nsites:";

TEST(ExperimentTest, DifferentialPrivacyIsPartOfThePlanOnlyWhereItIsAsked) {
  const Experiment without = Parse(kExperiment).value();
  EXPECT_FALSE(without.privacy.differential_privacy.has_value());
  EXPECT_EQ(PlanDocument(without).find("differential_privacy"), std::string::npos);

  const std::string text = Replaced(Replaced(kExperiment, "sites:", kPatientPrivacy), "resnet18", "resnet18_gn");
  const auto with = Parse(text);
  ASSERT_TRUE(with.ok()) << with.status();
  ASSERT_TRUE(with->privacy.differential_privacy.has_value());
  EXPECT_EQ(with->privacy.differential_privacy->unit, kPatientUnit);
  EXPECT_EQ(with->privacy.differential_privacy->noise_multiplier, 1.1);
  EXPECT_EQ(with->privacy.differential_privacy->clip_norm, 1);
  EXPECT_EQ(with->privacy.differential_privacy->delta, 1e-5);
  EXPECT_EQ(with->privacy.differential_privacy->max_epsilon, 8);
  const Bytes document = PlanDocument(*with);
  EXPECT_THAT(document, HasSubstr(R"("differential_privacy":{"clip_norm":1.0,"delta":1e-05,"max_epsilon":8.0,)"
                                  R"("noise_multiplier":1.1,"unit":"patient"})"));
  const auto again = ParsePlan(document);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PlanDocument(*again), document);
}

TEST(ExperimentTest, DifferentialPrivacyWithANumberOutOfRangeOrMissingIsRefused) {
  const std::string text = Replaced(Replaced(kExperiment, "sites:", kPatientPrivacy), "resnet18", "resnet18_gn");
  const auto error = [&](const std::string& from, const std::string& to) {
    return std::string(Parse(Replaced(text, from, to)).status().message());
  };
  EXPECT_THAT(error("unit: patient", "unit: image"), HasSubstr("'unit' cannot be 'image'; allowed: patient, site"));
  EXPECT_THAT(error("unit: patient, ", ""), HasSubstr("'unit' is missing"));
  EXPECT_THAT(error("noise_multiplier: 1.1", "noise_multiplier: 0"), HasSubstr("'noise_multiplier' must be"));
  EXPECT_THAT(error("noise_multiplier: 1.1", "noise_multiplier: .nan"), HasSubstr("'noise_multiplier' must be"));
  EXPECT_THAT(error("clip_norm: 1", "clip_norm: 0"), HasSubstr("'clip_norm' must be"));
  EXPECT_THAT(error("clip_norm: 1", "clip_norm: .inf"), HasSubstr("'clip_norm' must be"));
  EXPECT_THAT(error("delta: 1.0e-5", "delta: 0.5"), HasSubstr("'delta' must be"));
  EXPECT_THAT(error("delta: 1.0e-5, ", ""), HasSubstr("'delta' is missing"));
  EXPECT_THAT(error("max_epsilon: 8", "max_epsilon: 1000"), HasSubstr("'max_epsilon' must be"));
  EXPECT_THAT(error("max_epsilon: 8", "max_epsilon: 8, epsilon: 3"), HasSubstr("epsilon"));
}

TEST(ExperimentTest, PrivacyOfSitesHasOneBoundForAllTensors) {
  const std::string text = Replaced(Replaced(kExperiment, "sites:", kPatientPrivacy), "unit: patient", "unit: site");
  EXPECT_TRUE(Parse(text).ok());
  EXPECT_THAT(std::string(Parse(Replaced(text, "privacy: {", "privacy: {tensor_clips: [{tensor: fc.*, clip: 1}], "))
                              .status()
                              .message()),
              HasSubstr("one bound and scale for all tensors"));
  EXPECT_THAT(std::string(Parse(Replaced(text, "privacy: {", "privacy: {clip_norm: 3, ")).status().message()),
              HasSubstr("write the bound as 'clip_norm' of that block"));
}

TEST(ExperimentTest, PatientsAreNotMixedByANormalisation) {
  const std::string text = Replaced(kExperiment, "sites:", kPatientPrivacy);
  EXPECT_THAT(std::string(Parse(text).status().message()), HasSubstr("write 'architecture: resnet18_gn'"));
  EXPECT_THAT(std::string(Parse(Replaced(text, "resnet18", "torchscript")).status().message()),
              HasSubstr("allowed: resnet18_gn, resnet34_gn, unet_small_gn"));
  EXPECT_TRUE(Parse(Replaced(text, "resnet18", "unet_small_gn")).ok());
  // The noise of a whole site does not ask what is inside its update.
  EXPECT_TRUE(Parse(Replaced(text, "unit: patient", "unit: site")).ok());
}

TEST(ExperimentTest, APlansEpsilonIsThatOfTheReference) {
  const std::string text = Replaced(Replaced(kExperiment, "sites:", kPatientPrivacy), "resnet18", "resnet18_gn");
  Experiment plan = Parse(text).value();
  plan.algorithm.batch_size = 16;
  plan.algorithm.rounds = 10;
  plan.algorithm.local_epochs = 2;
  // 400 patients, 16 of them expected in a step: 500 steps at a rate of 0.04 (dp_accounting's value).
  const PlanEpsilon whole = EpsilonOfPlan(plan, 400, 10).value();
  EXPECT_NEAR(whole.epsilon, 4.904778, 1e-4);
  EXPECT_EQ(whole.steps, 500u);
  EXPECT_EQ(whole.delta, 1e-5);
  EXPECT_EQ(whole.accountant, "PLD");
  EXPECT_LT(EpsilonOfPlan(plan, 400, 5)->epsilon, whole.epsilon);
  EXPECT_GT(EpsilonOfPlan(plan, 100, 10)->epsilon, whole.epsilon);  // fewer patients hide each other less

  EXPECT_FALSE(EpsilonOfPlan(plan, 0, 10).ok());
  EXPECT_FALSE(EpsilonOfPlan(plan, 400, 0).ok());
  plan.privacy.differential_privacy.reset();
  EXPECT_EQ(EpsilonOfPlan(plan, 400, 10).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ExperimentTest, GuardsAreOffUnlessWrittenDown) {
  EXPECT_EQ(GuardsInWords(Parse(kExperiment)->privacy.guards), "none");
  EXPECT_EQ(Parse(kExperiment)->algorithm.max_skipped_rounds, 3);
  const auto guarded = [](const std::string& guards) {
    return Parse(std::string(kExperiment) + "privacy: {guards: {" + guards + "}}\n");
  };
  const auto all = guarded("max_update_norm: 5, max_norm_growth: 10, min_cosine: -0.5");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(
      GuardsInWords(all->privacy.guards),
      "norm at most 5, norm at most 10 times the median of the rounds before, cosine to the round before at least "
      "-0.5");
  EXPECT_EQ(PlanDocument(*ParsePlan(PlanDocument(*all))), PlanDocument(*all));
  EXPECT_THAT(std::string(guarded("max_norm_growth: 0.5").status().message()), HasSubstr("must be above 1"));
  EXPECT_FALSE(guarded("min_cosine: 1.5").ok());
  EXPECT_FALSE(guarded("max_update_norm: -1").ok());
  EXPECT_FALSE(guarded("max_update_norm: .nan").ok());
  EXPECT_FALSE(guarded("max_norm: 1").ok());
}

TEST(ExperimentTest, WithoutAGateThereIsNoExperiment) {
  const std::string text = kExperiment;
  const std::string without = text.substr(0, text.find("gates:"));
  EXPECT_THAT(std::string(Parse(without).status().message()), HasSubstr("'gates' is missing"));
  EXPECT_THAT(std::string(Parse(without + "gates: []\n").status().message()), HasSubstr("at least one gate"));
}

TEST(ExperimentTest, AShorterRunHasFewerCandidatesAndMembers) {
  const std::string text = Replaced(kExperiment, "rounds: 8", "rounds: 2");
  const auto experiment = Parse(text + "ensemble: {members: 3, candidates_last: 4}\n");
  ASSERT_TRUE(experiment.ok()) << experiment.status();
  EXPECT_EQ(experiment->ensemble.members, 2);
  EXPECT_EQ(experiment->ensemble.candidates_last, 2);
  EXPECT_FALSE(Parse(text + "ensemble: {members: 5, candidates_last: 4}\n").ok());
}

TEST(SumsTest, OnlyThePlansOwnSumsAreAllowed) {
  Experiment plan = Parse(std::string(kExperiment) + "ensemble: {members: 2, candidates_last: 3}\n").value();
  plan.sites.maximum = 4;
  plan.model.initial_model = crypto::Sha256("initial");
  // `global` and `baselines`: how many models of each.
  const auto allowed = [&](SumKind kind, uint32_t round, int global, int baselines) {
    std::vector<SumModel> models;
    for (int i = 0; i < global; ++i) {
      models.push_back({RoundModelId(i), false, crypto::Sha256(i == 0 ? "initial" : RoundModelId(i))});
    }
    for (int i = 0; i < baselines; ++i) models.push_back({BaselineModelId(std::to_string(i)), true, {}});
    SumName name;
    name.kind = kind;
    name.round = round;
    const absl::Status status = CheckSum(plan, name, models);
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
    return status.ok();
  };
  EXPECT_FALSE(allowed(SumKind::kTrain, 0, 1, 0));
  EXPECT_TRUE(allowed(SumKind::kTrain, 1, 1, 0));
  EXPECT_TRUE(allowed(SumKind::kTrain, 8, 1, 0));
  EXPECT_FALSE(allowed(SumKind::kTrain, 9, 1, 0));
  EXPECT_FALSE(allowed(SumKind::kTrain, 2, 0, 0));
  EXPECT_FALSE(allowed(SumKind::kTrain, 2, 2, 0));
  EXPECT_FALSE(allowed(SumKind::kTrain, 2, 0, 1));

  EXPECT_TRUE(allowed(SumKind::kValidate, 1, 3, 4));
  EXPECT_FALSE(allowed(SumKind::kValidate, 0, 3, 4));
  EXPECT_FALSE(allowed(SumKind::kValidate, 2, 3, 4));
  EXPECT_FALSE(allowed(SumKind::kValidate, 1, 4, 4));
  EXPECT_FALSE(allowed(SumKind::kValidate, 1, 3, 5));

  EXPECT_TRUE(allowed(SumKind::kCalibrate, 1, 2, 0));
  EXPECT_FALSE(allowed(SumKind::kCalibrate, 2, 2, 0));
  EXPECT_FALSE(allowed(SumKind::kCalibrate, 1, 3, 0));
  EXPECT_FALSE(allowed(SumKind::kCalibrate, 1, 1, 1));
  // What the validation has added up already: one model alone, or one and itself.
  EXPECT_FALSE(allowed(SumKind::kCalibrate, 1, 0, 0));
  EXPECT_FALSE(allowed(SumKind::kCalibrate, 1, 1, 0));
  const SumModel one = {RoundModelId(1), false, crypto::Sha256("one")};
  const SumModel copy = {RoundModelId(2), false, one.blob};
  EXPECT_FALSE(CheckSum(plan, {{}, SumKind::kCalibrate, 1, 0}, {one, copy}).ok());
  const SumModel trained = {RoundModelId(1), false, plan.model.initial_model};
  EXPECT_TRUE(CheckSum(plan, {{}, SumKind::kTrain, 1, kMaxAttempts - 1}, {trained}).ok());
  EXPECT_FALSE(CheckSum(plan, {{}, SumKind::kTrain, 1, kMaxAttempts}, {trained}).ok());

  plan.model.initial_model = crypto::Sha256("another");
  EXPECT_FALSE(allowed(SumKind::kTrain, 1, 1, 0));
  EXPECT_TRUE(allowed(SumKind::kTrain, 2, 1, 0));
}

TEST(TaskTest, EveryTaskThatShipsIsValidAndRoundTrips) {
  int tasks = 0;
  for (const auto& entry : std::filesystem::directory_iterator(CLOISTER_TASKS_DIR)) {
    const auto task = ParseTask(ReadFile(entry.path()).value(), entry.path().filename().string());
    ASSERT_TRUE(task.ok()) << task.status();
    EXPECT_EQ(task->name, entry.path().stem().string());
    EXPECT_EQ(TaskJson(ParseTask(TaskJson(*task), "json").value()), TaskJson(*task));
    ++tasks;
  }
  EXPECT_GT(tasks, 0);
}

TEST(DocumentsTest, AnAcceptanceReadsBack) {
  const Acceptance acceptance{Digest(), SiteId::Parse("site-a").value(), Bytes(32, 'k'), crypto::Sha256("reveal")};
  const auto again = ParseAcceptance(AcceptanceDocument(acceptance));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->site, acceptance.site);
  EXPECT_EQ(again->sealing_key, acceptance.sealing_key);
  EXPECT_EQ(again->graph_commitment, acceptance.graph_commitment);
  const Bytes without = Replaced(AcceptanceDocument(acceptance), "\"graph_commitment\"", "\"commitment\"");
  EXPECT_THAT(std::string(ParseAcceptance(without).status().message()), HasSubstr("graph_commitment"));
  EXPECT_FALSE(ParseAcceptance(AcceptanceDocument({Digest(), acceptance.site, Bytes(31, 'k')})).ok());
}

ReleaseManifest Manifest() {
  ReleaseManifest manifest;
  manifest.id = ReleaseId::Parse("chest-1").value();
  manifest.version = "1.0.0.1";
  manifest.device_uid = "2.25.1";
  manifest.job = JobId::Parse("job-1").value();
  manifest.task = ParseTask(kTask, "t").value();
  manifest.architecture = "resnet18";
  manifest.members = {{"round-8", Digest(), 42}};
  manifest.combiner = "mean_probability";
  manifest.operating_point = 0.4375;
  manifest.operating_point_rule = "youden";
  manifest.gates = {{"auc \"quoted\"", "round-8", "pooled", "pass", "0.91 >= 0.70"}};
  manifest.results = {{SiteId::Parse("a").value(), "round-8", "{\"patients\":{\"suppressed\":true}}"}};
  manifest.sites = {"a", "b", "c"};
  return manifest;
}

TEST(DocumentsTest, AReleaseReadsBackAndEveryTruncationIsRefused) {
  const Bytes document = ReleaseDocument(Manifest());
  const auto again = ParseRelease(document);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->operating_point, 0.4375);
  EXPECT_EQ(again->gates[0].rule, "auc \"quoted\"");
  for (size_t size = 0; size < document.size(); ++size) EXPECT_FALSE(ParseRelease(document.substr(0, size)).ok());
}

TEST(DocumentsTest, AReleaseThatSaysTooMuchIsRefused) {
  const Bytes document = ReleaseDocument(Manifest());
  EXPECT_FALSE(ParseRelease(Replaced(document, "\"rounds\":0", "\"rounds\":0,\"extra\":1")).ok());
  EXPECT_FALSE(ParseRelease(Replaced(document, "0.4375", "1.5")).ok());
  EXPECT_FALSE(ParseRelease(Replaced(document, "chest-1", "../etc")).ok());
}

}  // namespace
}  // namespace cloister::plan
