// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/cohort_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "site_agent/storage/site_store.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;

class FakeSource final : public StudySource {
 public:
  absl::StatusOr<std::vector<StudyRow>> FindStudies(const std::vector<std::string>& modalities) override {
    EXPECT_THAT(modalities, ElementsAre("CR", "DX"));
    if (!down.ok()) {
      return down;
    }
    return rows;
  }
  absl::StatusOr<RetrievedStudy> RetrieveStudy(const std::string& uid, const std::filesystem::path& folder) override {
    asked.insert(uid);
    if (const auto found = failures.find(uid); found != failures.end()) {
      return found->second;
    }
    EXPECT_TRUE(MakeDirectories(folder).ok());
    std::vector<RetrievedFile> files = images[uid];
    if (files.empty()) {
      files.resize(1);
      files[0].header.modality = "DX";
      files[0].header.rows = 4;
      files[0].header.sop_instance_uid = uid + ".1";
    }
    for (RetrievedFile& file : files) {
      file.path = folder / (file.header.sop_instance_uid + ".dcm");
      EXPECT_TRUE(WriteFileAtomically(file.path, "pixels of " + uid).ok());
    }
    return RetrievedStudy{files, missing[uid]};
  }
  absl::Status Check() override { return check; }
  void Add(const std::string& uid, const std::string& accession, const std::string& patient) {
    StudyRow row;
    row.study_instance_uid = uid;
    row.accession_number = accession;
    row.patient_id = patient;
    rows.push_back(row);
  }

  std::vector<StudyRow> rows;
  std::map<std::string, std::vector<RetrievedFile>> images;
  std::map<std::string, std::string> missing;
  std::map<std::string, absl::Status> failures;
  std::multiset<std::string> asked;
  absl::Status down;
  absl::Status check;
};

class CohortBuilderTest : public ::testing::Test {
 protected:
  CohortBuilderTest() : store_(SiteStore::Open(dir_.path()).value()) {
    request_.task.name = "chest_pneumonia";
    request_.task.selection.modalities = {"CR", "DX"};
    request_.task.label.column = "label";
    request_.task.label.positive = "pneumonia";
    request_.task.label.negative = "normal";
    request_.label_file = dir_.path() / "labels.csv";
  }

  absl::StatusOr<CohortDraft> Build(const std::string& labels) {
    EXPECT_TRUE(WriteFileAtomically(request_.label_file, "accession_number,label\n" + labels).ok());
    CohortBuilder builder(&source_, &store_->cohorts(), &secret_, &clock_, {dir_.path() / "cache"});
    return builder.Build(request_);
  }
  std::string OutcomeOf(const std::string& uid) {
    const std::vector<StudyCatalogueRow> studies = store_->cohorts().Studies("chest_pneumonia").value();
    for (const StudyCatalogueRow& row : studies) {
      if (row.study_instance_uid == uid) {
        return row.outcome;
      }
    }
    return "(not there)";
  }

  testing::TempDir dir_;
  FakeClock clock_{absl::FromUnixSeconds(1800000000)};
  crypto::SecretBytes secret_ = crypto::SecretBytes::CopyOf(Bytes(32, '\5'));
  std::unique_ptr<SiteStore> store_;
  FakeSource source_;
  CohortRequest request_;
};

TEST_F(CohortBuilderTest, EveryStudyHasOneOutcomeAndTheBadOnesDoNotStopTheGood) {
  source_.Add("1.1", "A1", "P1");  // fine
  source_.Add("1.2", "A2", "P2");  // fine
  source_.Add("1.3", "A3", "P3");  // no label
  source_.Add("1.4", "A4", "P4");  // neither positive nor negative
  source_.Add("1.5", "A5", "P5");  // rows disagree
  source_.Add("1.6", "A6", "P6");  // one accession number, two studies
  source_.Add("1.7", "A6", "P7");
  source_.Add("1.8", "A8", "");       // no patient id
  source_.Add("1.9", "A9", "P9");     // the PACS fails on it
  source_.Add("1.10", "A10", "P10");  // says success, sends nothing
  source_.Add("1.11", "A11", "P11");  // a report only
  source_.Add("1.12", "A12", "P12");  // one patient, two labels
  source_.Add("1.13", "A13", "P12");
  source_.failures["1.9"] = absl::FailedPreconditionError("processing failure");
  source_.failures["1.10"] = absl::NotFoundError("nothing came");
  RetrievedFile report;
  report.header.modality = "SR";
  report.header.sop_instance_uid = "1.11.1";
  source_.images["1.11"] = {report};

  const auto draft = Build(
      "A1,pneumonia\nA2,normal\nA4,maybe\nA5,normal\nA5,pneumonia\nA6,normal\nA8,normal\nA9,normal\nA10,normal\n"
      "A11,normal\nA12,normal\nA13,pneumonia\nA99,normal\n");
  ASSERT_TRUE(draft.ok()) << draft.status();
  EXPECT_EQ(draft->cases.size(), 2u);
  const std::map<StudyOutcome, int>& counts = draft->report.studies;
  EXPECT_EQ(counts.at(StudyOutcome::kUsable), 2);
  EXPECT_EQ(counts.at(StudyOutcome::kNoLabel), 1);
  EXPECT_EQ(counts.at(StudyOutcome::kNoReference), 1);
  EXPECT_EQ(counts.at(StudyOutcome::kConflictingLabels), 1);
  EXPECT_EQ(counts.at(StudyOutcome::kDuplicateAccession), 2);
  EXPECT_EQ(counts.at(StudyOutcome::kNoPatientId), 1);
  EXPECT_EQ(counts.at(StudyOutcome::kNotRetrieved), 1);
  EXPECT_EQ(counts.at(StudyOutcome::kEmptyRetrieval), 1);
  EXPECT_EQ(counts.at(StudyOutcome::kNoMatchingImage), 1);
  EXPECT_EQ(counts.at(StudyOutcome::kConflictingPatient), 2);
  EXPECT_EQ(draft->report.found, 13);
  EXPECT_EQ(draft->report.patients, 2);
  EXPECT_EQ(draft->report.positive_patients, 1);
  EXPECT_THAT(draft->report.rows.at(LabelProblem::kUnknownAccession), ElementsAre(14));
  EXPECT_THAT(draft->report.rows.at(LabelProblem::kConflictingPatient), ElementsAre(12, 13));
  EXPECT_EQ(source_.asked.count("1.3"), 0u);  // what has no label is not fetched
  EXPECT_EQ(OutcomeOf("1.9"), "NOT_RETRIEVED");
  EXPECT_EQ(OutcomeOf("1.12"), "CONFLICTING_PATIENT");

  // The report survives its way through the database, and reads well.
  const auto again = ParseCohortReport(CohortReportJson(draft->report));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(CohortReportText(*again), CohortReportText(draft->report));
  EXPECT_THAT(CohortReportText(*again), ::testing::HasSubstr("2 usable studies of 2 patients"));
}

TEST_F(CohortBuilderTest, OnlyNewStudiesAreFetched) {
  source_.Add("1.1", "A1", "P1");
  source_.Add("1.2", "A2", "P2");
  source_.failures["1.2"] = absl::FailedPreconditionError("not now");
  ASSERT_TRUE(Build("A1,normal\nA2,normal\n").ok());
  source_.failures.clear();
  source_.Add("1.3", "A3", "P3");
  const auto draft = Build("A1,normal\nA2,normal\nA3,pneumonia\n");
  ASSERT_TRUE(draft.ok());
  EXPECT_EQ(draft->report.newly_fetched, 2);
  EXPECT_EQ(draft->cases.size(), 3u);
  EXPECT_EQ(source_.asked.count("1.1"), 1u);
  EXPECT_EQ(source_.asked.count("1.2"), 2u);  // what failed is tried again
}

TEST_F(CohortBuilderTest, ASourceThatIsNotWellEndsTheBuildAndLosesNothing) {
  source_.down = absl::PermissionDeniedError("the PACS refuses the AE title CLOISTER");
  EXPECT_TRUE(absl::IsPermissionDenied(Build("A1,normal\n").status()));
  source_.down = absl::OkStatus();
  for (int i = 0; i < 10; ++i) {
    source_.Add("1." + std::to_string(i), "A" + std::to_string(i), "P" + std::to_string(i));
    if (i >= 2) {
      source_.failures["1." + std::to_string(i)] = absl::UnavailableError("connection lost");
    }
  }
  std::string labels;
  for (int i = 0; i < 10; ++i) {
    labels += "A" + std::to_string(i) + ",normal\n";
  }
  source_.check = absl::UnavailableError("nobody answers");
  EXPECT_TRUE(absl::IsUnavailable(Build(labels).status()));
  EXPECT_EQ(source_.asked.size(), 5u);  // three failures in a row, then it is asked
  source_.check = absl::OkStatus();
  source_.failures.clear();
  const auto draft = Build(labels);
  ASSERT_TRUE(draft.ok());
  EXPECT_EQ(draft->cases.size(), 10u);
  EXPECT_EQ(draft->report.newly_fetched, 8);
}

TEST_F(CohortBuilderTest, StudiesThatTheWellPacsCannotDeliverDoNotEndTheBuild) {
  std::string labels;
  for (int i = 0; i < 10; ++i) {
    source_.Add("1." + std::to_string(i), "A" + std::to_string(i), "P" + std::to_string(i));
    labels += "A" + std::to_string(i) + ",normal\n";
    if (i < 8) {
      source_.failures["1." + std::to_string(i)] = absl::UnavailableError("silent for 1m");
    }
  }
  source_.failures["1.3"] = absl::DeadlineExceededError("took longer than 30m");
  source_.failures["1.7"] = absl::AbortedError("hung up on our C-GET");
  const auto draft = Build(labels);
  ASSERT_TRUE(draft.ok()) << draft.status();
  EXPECT_EQ(draft->cases.size(), 2u);
  EXPECT_EQ(draft->report.studies.at(StudyOutcome::kNotRetrieved), 8);
  EXPECT_EQ(OutcomeOf("1.7"), "NOT_RETRIEVED");
}

TEST_F(CohortBuilderTest, AStudyThatCameInPartIsAskedForAgain) {
  source_.Add("1.1", "A1", "P1");  // complete
  source_.Add("1.2", "A2", "P2");  // only its report came
  source_.Add("1.3", "A3", "P3");  // its film came; the PACS never delivers what lies beside it
  RetrievedFile report;
  report.header.modality = "SR";
  report.header.sop_instance_uid = "1.2.9";
  source_.images["1.2"] = {report};
  source_.missing["1.2"] = source_.missing["1.3"] = "1 instances came, 1 failed";
  const std::string labels = "A1,normal\nA2,normal\nA3,pneumonia\n";
  auto draft = Build(labels);
  ASSERT_TRUE(draft.ok()) << draft.status();
  EXPECT_EQ(draft->cases.size(), 1u);
  EXPECT_EQ(draft->report.newly_fetched, 1);
  EXPECT_EQ(draft->report.studies.at(StudyOutcome::kPartialRetrieval), 2);
  EXPECT_EQ(OutcomeOf("1.2"), "PARTIAL_RETRIEVAL");
  EXPECT_THAT(CohortReportText(draft->report), ::testing::HasSubstr("PARTIAL_RETRIEVAL"));

  source_.images.clear();
  source_.missing["1.2"] = "";  // now the film comes as well
  draft = Build(labels);
  ASSERT_TRUE(draft.ok());
  EXPECT_EQ(draft->cases.size(), 2u);
  EXPECT_EQ(OutcomeOf("1.2"), "USABLE");
  EXPECT_EQ(OutcomeOf("1.3"), "PARTIAL_RETRIEVAL");

  draft = Build(labels);
  ASSERT_TRUE(draft.ok());
  EXPECT_EQ(draft->cases.size(), 3u);  // three times the same: that is all there is
  EXPECT_EQ(OutcomeOf("1.3"), "USABLE");
}

// A PACS that lets us find and not retrieve fails on every study: that is said, not an empty cohort.
TEST_F(CohortBuilderTest, WhenNothingCanBeFetchedTheBuildSaysWhy) {
  source_.Add("1.1", "A1", "P1");
  source_.Add("1.2", "A2", "P2");
  source_.failures["1.1"] = source_.failures["1.2"] = absl::AbortedError("hung up on our C-GET");
  const absl::Status status = Build("A1,normal\nA2,normal\n").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("hung up"));
  EXPECT_EQ(OutcomeOf("1.2"), "NOT_RETRIEVED");
}

TEST_F(CohortBuilderTest, RejectedImagesAreCountedWithTheirReason) {
  source_.Add("1.1", "A1", "P1");
  source_.Add("1.2", "A2", "P2");
  auto draft = Build("A1,normal\nA2,pneumonia\n");
  ASSERT_TRUE(draft.ok());
  const std::string rejected = draft->cases[0].id;
  const auto removed = ApplyRejections({{rejected, "TRUNCATED"}, {"c-unknown", "TRUNCATED"}}, *draft);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].study.outcome, "IMAGE_REJECTED");
  EXPECT_EQ(draft->report.usable(), 1);
  EXPECT_EQ(draft->report.patients, 1);
  EXPECT_EQ(draft->report.image_rejections.at("TRUNCATED"), 1);
  // It stays in the cache: the next build lets a worker look again without asking the PACS.
  ASSERT_TRUE(store_->cohorts().PutStudies({removed[0].study}).ok());
  const auto again = Build("A1,normal\nA2,pneumonia\n");
  EXPECT_EQ(again->cases.size(), 2u);
  EXPECT_EQ(again->report.newly_fetched, 0);
}

TEST_F(CohortBuilderTest, ChoosesTheImageTheTaskIsAbout) {
  const auto image = [](const char* uid, const char* modality, const char* view, const char* intent, int series) {
    RetrievedFile file;
    file.header.sop_instance_uid = uid;
    file.header.modality = modality;
    file.header.view_position = view;
    file.header.presentation_intent_type = intent;
    file.header.series_number = series;
    file.header.rows = 4;
    return file;
  };
  plan::Selection selection;
  selection.modalities = {"CR", "DX"};
  selection.view_positions = {"PA", "AP"};
  const std::vector<RetrievedFile> files = {
      image("1", "DX", "LL", "FOR PRESENTATION", 1), image("2", "DX", "PA", "FOR PROCESSING", 1),
      image("3", "DX", "PA", "FOR PRESENTATION", 3), image("4", "CR", "AP", "", 2), image("5", "OT", "PA", "", 0)};
  EXPECT_EQ(ChooseImage(files, selection)->header.sop_instance_uid, "4");
  EXPECT_EQ(ChooseImage({files[0], files[4]}, selection), nullptr);
  EXPECT_EQ(ChooseImage({files[1]}, selection)->header.sop_instance_uid, "2");
  EXPECT_EQ(ChooseImage({}, selection), nullptr);
}

TEST_F(CohortBuilderTest, AFrozenCohortIsCanonicalAndKeepsPatientsTogether) {
  std::string labels;
  for (int i = 0; i < 40; ++i) {
    source_.Add("1." + std::to_string(i), "A" + std::to_string(i), "P" + std::to_string(i / 2));
    labels += "A" + std::to_string(i) + (i / 2 % 2 == 0 ? ",normal\n" : ",pneumonia\n");
  }
  const auto draft = Build(labels);
  ASSERT_TRUE(draft.ok());
  const CohortManifest manifest = FreezeCohort(*draft, {0.2, 0.3, 7}, secret_);
  ASSERT_EQ(manifest.cases.size(), 40u);
  std::map<std::string, std::set<CohortSplit>> splits;
  for (const ManifestCase& one : manifest.cases) {
    splits[one.patient].insert(one.split);
  }
  EXPECT_EQ(splits.size(), 20u);
  for (const auto& [patient, in] : splits) {
    EXPECT_EQ(in.size(), 1u);
  }
  const Bytes document = ManifestDocument(manifest);
  const auto parsed = ParseManifest(document);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(ManifestDocument(*parsed), document);
  EXPECT_EQ(ManifestDocument(FreezeCohort(*draft, {0.2, 0.3, 7}, secret_)), document);
  for (size_t cut = 0; cut < document.size(); cut += 97) {
    EXPECT_FALSE(ParseManifest(document.substr(0, cut)).ok());
  }
}

TEST_F(CohortBuilderTest, AStopIsHonoured) {
  source_.Add("1.1", "A1", "P1");
  ASSERT_TRUE(WriteFileAtomically(request_.label_file, "accession_number,label\nA1,normal\n").ok());
  CohortBuilder builder(&source_, &store_->cohorts(), &secret_, &clock_,
                        {dir_.path() / "cache", nullptr, [] { return true; }});
  EXPECT_TRUE(absl::IsCancelled(builder.Build(request_).status()));
}

}  // namespace
}  // namespace cloister::site
