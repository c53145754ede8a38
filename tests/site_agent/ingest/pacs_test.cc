// SPDX-License-Identifier: Apache-2.0
// The PACS client and the Storage SCP against a real Orthanc.

#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <mutex>

#include "protocols/base/file.h"
#include "site_agent/ingest/pacs_client.h"
#include "site_agent/ingest/storage_scp.h"
#include "tests/support/make_dicom.h"
#include "tests/support/orthanc.h"
#include "tests/support/shared_data.h"
#include "tests/support/temp_dir.h"

namespace cloister::site {
namespace {

using ::testing::ElementsAre;
using testing::FreePort;
using testing::GreyFile;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MakeDicom;
using testing::Orthanc;
using testing::OrthancOptions;
using ::testing::SizeIs;

constexpr char kWeAre[] = "CLOISTER_A";

// Waits until `done`, at most ten seconds.
bool Eventually(const std::function<bool()>& done) {
  for (int i = 0; i < 500; ++i) {
    if (done()) {
      return true;
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return false;
}

class PacsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Orthanc::Installed()) {
      GTEST_SKIP() << "Orthanc is not installed (Debian: orthanc)";
    }
    StorageScpConfig config;
    config.ae_title = kWeAre;
    config.inbox = folder_.path() / "inbox";
    auto scp = StorageScp::Start(config, [this](const ReceivedInstance& instance) {
      std::lock_guard lock(mutex_);
      received_.push_back(instance);
      return absl::OkStatus();
    });
    ASSERT_TRUE(scp.ok()) << scp.status();
    scp_ = *std::move(scp);
  }

  void StartPacs(const std::string& auto_route_to = "") {
    OrthancOptions options;
    options.ae_title = "PACS_A";
    options.modalities = {{kWeAre, scp_->port()}, {"NOWHERE", FreePort()}};
    options.auto_route_to = auto_route_to;
    auto pacs = Orthanc::Start(options);
    ASSERT_TRUE(pacs.ok()) << pacs.status();
    pacs_ = *std::move(pacs);
  }

  PacsConfig Config() const {
    PacsConfig config;
    config.host = "127.0.0.1";
    config.port = pacs_ == nullptr ? 1 : pacs_->dicom_port();
    config.called_ae_title = "PACS_A";
    config.calling_ae_title = kWeAre;
    return config;
  }
  PacsClient Client() const { return *PacsClient::Create(Config()); }

  // `count` films of one study: UIDs 2.25.<study>, 2.25.<study>.1, 2.25.<study>.1.<i>.
  std::vector<std::filesystem::path> Films(int study, int count, const std::string& modality = "DX",
                                           const std::string& date = "20240229") {
    std::vector<std::filesystem::path> files;
    for (int i = 1; i <= count; ++i) {
      GreyFile grey;
      grey.modality = modality;
      grey.study_instance_uid = "2.25." + std::to_string(study);
      grey.series_instance_uid = grey.study_instance_uid + ".1";
      grey.sop_instance_uid = grey.series_instance_uid + "." + std::to_string(i);
      grey.accession_number = "A" + std::to_string(study);
      grey.patient_id = "P" + std::to_string(study);
      grey.rows = 64;
      grey.columns = 64;
      grey.change = [&](DcmDataset& data) { data.putAndInsertString(DCM_StudyDate, date.c_str()); };
      files.push_back(folder_.path() / (grey.sop_instance_uid + ".film"));
      EXPECT_TRUE(MakeDicom(grey, files.back()));
    }
    return files;
  }

  size_t ReceivedCount() {
    std::lock_guard lock(mutex_);
    return received_.size();
  }

  testing::TempDir folder_;
  std::mutex mutex_;
  std::vector<ReceivedInstance> received_;
  std::unique_ptr<StorageScp> scp_;
  std::unique_ptr<Orthanc> pacs_;
};

TEST_F(PacsTest, EchoFindGetStore) {
  StartPacs();
  const PacsClient client = Client();
  ASSERT_TRUE(client.Echo().ok()) << client.Echo();

  std::vector<std::filesystem::path> films = Films(7, 2);
  const std::vector<std::filesystem::path> old = Films(8, 1, "CR", "20200101");
  films.insert(films.end(), old.begin(), old.end());
  const auto stored = client.StoreFiles(films);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->stored, 3);
  EXPECT_THAT(stored->failures, IsEmpty());

  StudyQuery query;
  query.modalities = {"DX", "MG"};
  query.study_date_from = "20240101";
  query.study_date_to = "20241231";
  const auto studies = client.FindStudies(query);
  ASSERT_TRUE(studies.ok()) << studies.status();
  ASSERT_THAT(*studies, SizeIs(1));
  EXPECT_EQ(studies->front().study_instance_uid, "2.25.7");
  EXPECT_EQ(studies->front().accession_number, "A7");
  EXPECT_EQ(studies->front().patient_id, "P7");
  EXPECT_EQ(studies->front().patient_name, "Doe^Jane");
  EXPECT_EQ(studies->front().study_date, "20240229");
  EXPECT_THAT(studies->front().modalities_in_study, ElementsAre("DX"));
  EXPECT_EQ(studies->front().number_of_instances, 2);
  EXPECT_THAT(*client.FindStudies({}), SizeIs(2));
  StudyQuery by_accession;
  by_accession.accession_number = "A8";
  EXPECT_THAT(*client.FindStudies(by_accession), SizeIs(1));

  const auto series = client.FindSeries("2.25.7");
  ASSERT_TRUE(series.ok()) << series.status();
  ASSERT_THAT(*series, SizeIs(1));
  EXPECT_EQ(series->front().series_instance_uid, "2.25.7.1");
  EXPECT_EQ(series->front().number_of_instances, 2);

  const auto study = client.RetrieveStudy("2.25.7", folder_.path() / "got");
  ASSERT_TRUE(study.ok()) << study.status();
  EXPECT_EQ(study->code, RetrieveCode::kComplete) << study->message;
  ASSERT_THAT(study->files, SizeIs(2));
  EXPECT_EQ(study->files[0].filename(), "2.25.7.1.1.dcm");
  const auto header = ReadHeader(study->files[0]);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->transfer_syntax_uid, UID_LittleEndianExplicitTransferSyntax);
  const auto one = client.RetrieveSeries("2.25.8", "2.25.8.1", folder_.path() / "one");
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_THAT(one->files, SizeIs(1));
}

TEST_F(PacsTest, MoveDeliversToOurStorageScp) {
  StartPacs();
  ASSERT_TRUE(pacs_->Upload(Films(7, 3)).ok());
  const auto moved = Client().RetrieveByMove("2.25.7", "", *scp_);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->code, RetrieveCode::kComplete) << moved->message;
  EXPECT_THAT(moved->files, SizeIs(3));
  ASSERT_EQ(ReceivedCount(), 3u);
  EXPECT_EQ(received_[0].calling_ae_title, "PACS_A");
  EXPECT_EQ(received_[0].move_originator_ae_title, kWeAre);
  const auto series = Client().RetrieveByMove("2.25.7", "2.25.7.1", *scp_);
  ASSERT_TRUE(series.ok()) << series.status();
  EXPECT_THAT(series->files, SizeIs(3));
}

TEST_F(PacsTest, AStudyThatIsGoneIsEmptyNotSuccess) {
  StartPacs();
  const auto got = Client().RetrieveStudy("2.25.404", folder_.path() / "got");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_NE(got->code, RetrieveCode::kComplete);
  EXPECT_THAT(got->files, IsEmpty());
  EXPECT_FALSE(got->message.empty());
  const auto moved = Client().RetrieveByMove("2.25.404", "", *scp_);
  if (moved.ok()) {
    EXPECT_NE(moved->code, RetrieveCode::kComplete);
    EXPECT_FALSE(moved->message.empty());
  }
}

TEST_F(PacsTest, ARefusedAeTitleSaysWhichToList) {
  StartPacs();
  PacsConfig config = Config();
  config.calling_ae_title = "STRANGER";
  const PacsClient stranger = *PacsClient::Create(config);
  const auto found = stranger.FindStudies({});
  ASSERT_FALSE(found.ok());
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("'STRANGER'"));
  const auto got = stranger.RetrieveStudy("2.25.7", folder_.path() / "got");
  ASSERT_FALSE(got.ok());
  EXPECT_THAT(std::string(got.status().message()), HasSubstr("'STRANGER'"));
  const auto moved = stranger.RetrieveByMove("2.25.7", "", *scp_);
  ASSERT_FALSE(moved.ok());
  EXPECT_THAT(std::string(moved.status().message()), HasSubstr("'STRANGER'"));
  const auto stored = stranger.StoreFiles(Films(9, 1));
  ASSERT_TRUE(!stored.ok() || !stored->failures.empty());
  EXPECT_EQ(found.status().code(), absl::StatusCode::kPermissionDenied);
  for (const absl::Status& status : {got.status(), moved.status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);  // as when it cannot deliver one study
  }
  for (const absl::Status& status : {found.status(), got.status(), moved.status()}) {
    std::cout << "[ says ] " << status << "\n";
  }
  std::cout << "[ says ] " << (stored.ok() ? stored->failures[0].message : stored.status().ToString()) << "\n";

  config = Config();
  config.called_ae_title = "OTHER_PACS";
  const absl::Status wrong = PacsClient::Create(config)->Echo();
  EXPECT_EQ(wrong.code(), absl::StatusCode::kPermissionDenied) << wrong;
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("OTHER_PACS"));
}

TEST_F(PacsTest, APacsThatIsDownSaysSo) {
  StartPacs();
  pacs_->Stop();
  const auto found = Client().FindStudies({});
  EXPECT_EQ(found.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("does not answer"));
  std::cout << "[ says ] " << found.status() << "\n";
  PacsConfig config = Config();
  config.host = "no-such-host.invalid";
  EXPECT_EQ(PacsClient::Create(config)->Echo().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PacsTest, AMoveThatCannotBeDeliveredSaysSo) {
  StartPacs();
  ASSERT_TRUE(pacs_->Upload(Films(7, 1)).ok());
  StorageScpConfig config;
  config.ae_title = "NOWHERE";  // known to the PACS under a port where nobody listens
  config.inbox = folder_.path() / "elsewhere";
  const auto scp = StorageScp::Start(config, nullptr);
  ASSERT_TRUE(scp.ok());
  const auto moved = Client().RetrieveByMove("2.25.7", "", **scp);
  if (moved.ok()) {
    EXPECT_NE(moved->code, RetrieveCode::kComplete);
    std::cout << "[ says ] " << moved->message << "\n";
  } else {
    std::cout << "[ says ] " << moved.status() << "\n";
  }
}

TEST_F(PacsTest, ANewStudyIsRoutedToUsAndAResultIsNot) {
  StartPacs(kWeAre);
  ASSERT_TRUE(pacs_->Upload(Films(7, 1)).ok());
  EXPECT_TRUE(Eventually([&] { return ReceivedCount() == 1; }));
  ASSERT_EQ(ReceivedCount(), 1u);
  EXPECT_EQ(received_[0].move_originator_ae_title, "");
  EXPECT_EQ(received_[0].header.study_instance_uid, "2.25.7");
  EXPECT_EQ(received_[0].path, scp_->StudyFolder("2.25.7") / "2.25.7.1.1.dcm");

  GreyFile result;
  result.sop_class_uid = UID_SecondaryCaptureImageStorage;
  result.modality = "OT";
  result.study_instance_uid = "2.25.7";
  result.series_instance_uid = "2.25.7.9";
  result.sop_instance_uid = "2.25.7.9.1";
  ASSERT_TRUE(MakeDicom(result, folder_.path() / "result.film"));
  ASSERT_TRUE(Client().StoreFiles({folder_.path() / "result.film"}).ok());
  ASSERT_TRUE(pacs_->Upload(Films(8, 1)).ok());  // comes after the result would have
  EXPECT_TRUE(Eventually([&] { return ReceivedCount() == 2; }));
  EXPECT_EQ(received_[1].header.study_instance_uid, "2.25.8");
}

TEST_F(PacsTest, CompressedFilmsKeepTheirTransferSyntax) {
  const auto folder = testing::SharedData() / "dicom_sites";
  if (!std::filesystem::exists(folder / "labels.csv")) {
    GTEST_SKIP() << "no dicom_sites at " << folder << " (set CLOISTER_DATA)";
  }
  StartPacs();
  std::vector<std::filesystem::path> files;
  std::set<std::string> studies;
  for (const auto& row : testing::ReadTable(folder / "labels.csv")) {
    if ((row.at("site") == "hospital_c_cr" || row.at("site") == "eye_clinic_op") &&
        std::filesystem::exists(folder / row.at("file")) && studies.size() < 8) {
      files.push_back(folder / row.at("file"));
      studies.insert(row.at("study_uid"));
    }
  }
  const auto stored = Client().StoreFiles(files);
  ASSERT_TRUE(stored.ok()) << stored.status();
  ASSERT_THAT(stored->failures, IsEmpty()) << stored->failures[0].message;
  const std::string study = *studies.begin();
  for (const bool by_move : {false, true}) {
    const auto got =
        by_move ? Client().RetrieveByMove(study, "", *scp_) : Client().RetrieveStudy(study, folder_.path() / "got");
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->code, RetrieveCode::kComplete) << got->message;
    for (const auto& file : got->files) {
      const auto header = ReadHeader(file);
      ASSERT_TRUE(header.ok()) << header.status();
      EXPECT_THAT(header->transfer_syntax_uid, HasSubstr("1.2.840.10008.1.2.4."));
    }
  }
}

TEST_F(PacsTest, ImagesDoNotWaitForNagle) {
  StartPacs();
  ASSERT_TRUE(pacs_->Upload(Films(7, 60)).ok());
  const absl::Time start = absl::Now();
  const auto got = Client().RetrieveStudy("2.25.7", folder_.path() / "got");
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_THAT(got->files, SizeIs(60));
  // With Nagle each image waits about 45 ms, 2.7 s in all; without, the study takes about 0.2 s on an idle machine. On
  // a busy one the time says nothing, so what is asserted is the switch DCMTK reads.
  std::cout << "[ took ] " << absl::Now() - start << " for 60 images\n";
  ASSERT_NE(std::getenv("TCP_NODELAY"), nullptr);
  EXPECT_STREQ(std::getenv("TCP_NODELAY"), "1");
}

TEST_F(PacsTest, BadFilesAreFailuresAndTheOthersGoOn) {
  StartPacs();
  std::vector<std::filesystem::path> films = Films(7, 2);
  ASSERT_TRUE(WriteFileAtomically(folder_.path() / "bad", "not DICOM").ok());
  films.insert(films.begin() + 1, folder_.path() / "bad");
  films.push_back(folder_.path() / "missing");
  const auto stored = Client().StoreFiles(films);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->stored, 2);
  EXPECT_THAT(stored->failures, SizeIs(2));
}

TEST(PacsConfigTest, BadConfigurationsAreRefused) {
  PacsConfig good;
  good.host = "pacs";
  good.called_ae_title = "PACS";
  good.calling_ae_title = "US";
  EXPECT_TRUE(PacsClient::Create(good).ok());
  for (const auto& change : std::vector<std::function<void(PacsConfig&)>>{
           [](PacsConfig& c) { c.host = ""; }, [](PacsConfig& c) { c.host = "http://x"; },
           [](PacsConfig& c) { c.port = 0; }, [](PacsConfig& c) { c.port = 65536; },
           [](PacsConfig& c) { c.called_ae_title = ""; },
           [](PacsConfig& c) { c.called_ae_title = "SEVENTEEN_LETTERS"; },
           [](PacsConfig& c) { c.calling_ae_title = "A\\B"; }}) {
    PacsConfig bad = good;
    change(bad);
    EXPECT_EQ(PacsClient::Create(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace cloister::site
