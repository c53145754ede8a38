// SPDX-License-Identifier: Apache-2.0
// The whole answer in a real PACS: a film goes in, report and page come out in the same study.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "site_agent/ingest/pacs_client.h"
#include "site_agent/serve/result_sr.h"
#include "site_agent/serve/result_uid.h"
#include "site_agent/serve/secondary_capture.h"
#include "tests/support/make_dicom.h"
#include "tests/support/orthanc.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using testing::Orthanc;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST(ResultInPacsTest, ReportAndPageAreInTheStudyOnceHoweverOftenTheyAreSent) {
  if (!Orthanc::Installed()) {
    GTEST_SKIP() << "Orthanc is not installed (Debian: orthanc)";
  }
  testing::OrthancOptions options;
  options.modalities = {{"CLOISTER", 11112}};
  const auto pacs = Orthanc::Start(options);
  ASSERT_TRUE(pacs.ok()) << pacs.status();
  PacsConfig config;
  config.host = "127.0.0.1";
  config.port = (*pacs)->dicom_port();
  config.called_ae_title = "PACS";
  config.calling_ae_title = "CLOISTER";
  const auto client = PacsClient::Create(config);
  ASSERT_TRUE(client.ok());

  testing::TempDir folder;
  testing::GreyFile film;
  film.specific_character_set = "GB18030";
  film.patient_name = "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab";
  ASSERT_TRUE(testing::MakeDicom(film, folder.path() / "film.dcm"));
  ASSERT_TRUE((*pacs)->Upload({folder.path() / "film.dcm"}).ok());

  const ReleaseIdentity release{"chest-pneumonia", "1.0.0.0", "cloister 0.1.0", DeviceUid(Digest())};
  const ClassificationResult result{{"233604007", "SCT", "Pneumonia"}, 0.83, 0.41, true};
  for (int times = 0; times < 2; ++times) {
    const auto report = WriteResultSr(folder.path() / "film.dcm", release, result, absl::Now(), folder.path() / "out");
    const auto page = WriteSecondaryCapture(folder.path() / "film.dcm", release, {8, 8, std::string(192, 'x')},
                                            absl::Now(), folder.path() / "out");
    ASSERT_TRUE(report.ok() && page.ok()) << report.status() << page.status();
    const auto stored = client->StoreFiles({report->path, page->path});
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(stored->stored, 2) << (stored->failures.empty() ? "" : stored->failures[0].message);
  }

  const auto instances = (*pacs)->InstancesOfStudy(film.study_instance_uid);
  ASSERT_TRUE(instances.ok()) << instances.status();
  ASSERT_THAT(*instances, SizeIs(3));
  std::vector<std::string> modalities;
  for (const auto& instance : *instances) {
    modalities.push_back(instance.value("Modality", ""));
    EXPECT_EQ(instance.value("AccessionNumber", ""), "A1");
    EXPECT_EQ(instance.value("PatientName", ""), "Wang^XiaoDong=王^小东");
    if (modalities.back() == "SR") {
      EXPECT_EQ(instance.value("VerificationFlag", ""), "UNVERIFIED");
      EXPECT_EQ(instance.at("ContributingEquipmentSequence").at(0).value("DeviceUID", ""), release.device_uid);
    }
  }
  EXPECT_THAT(modalities, UnorderedElementsAre("DX", "SR", "OT"));

  StudyQuery query;
  query.accession_number = "A1";
  const auto studies = client->FindStudies(query);
  ASSERT_TRUE(studies.ok()) << studies.status();
  ASSERT_THAT(*studies, SizeIs(1));
  EXPECT_EQ(studies->front().patient_name, "Wang^XiaoDong=王^小东");
  EXPECT_THAT(studies->front().modalities_in_study, UnorderedElementsAre("DX", "SR", "OT"));
}

}  // namespace
}  // namespace cloister::site
