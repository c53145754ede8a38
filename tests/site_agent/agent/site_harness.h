#pragma once
// SPDX-License-Identifier: Apache-2.0
// One site of a test federation: the agent's real desks over a folder, a fake PACS, the fake worker and a link that
// records. Kill() drops everything but the folder, as a power cut would.

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "protocols/storage/blob_store.h"
#include "site_agent/agent/experiment_runner.h"
#include "site_agent/agent/release_desk.h"
#include "site_agent/agent/serving_desk.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_consortium.h"

namespace cloister::site {

struct FakeStudy {
  StudyRow row;
  std::string modality = "DX";
  std::string view_position = "PA";
  std::string content = "film";  // what fake_worker.cc knows: BAD, CRASH, MEMORY, HANG
  absl::Status retrieve;         // when it cannot be had
};

class FakePacs final : public StudySource {
 public:
  absl::StatusOr<std::vector<StudyRow>> FindStudies(const std::vector<std::string>& modalities) override;
  absl::StatusOr<RetrievedStudy> RetrieveStudy(const std::string& study_instance_uid,
                                               const std::filesystem::path& folder) override;
  absl::Status Check() override { return down; }
  // A patient with one labelled study; the label goes into labels().
  void Add(int number, bool positive, const std::string& content = "film");
  const std::string& labels() const { return labels_; }

  std::vector<FakeStudy> studies;
  absl::Status down;  // not OK: the PACS is not well
  int retrieved = 0;

 private:
  std::string labels_ = "accession_number,label\n";
};

// Keeps what a site sends; gives out what the coordinator published.
class FakeLink final : public CoordinatorLink {
 public:
  absl::StatusOr<wire::Work> PullWork(uint64_t, absl::Duration, const transport::StopSource&) override;
  absl::Status Submit(const wire::SiteMessage& message, const transport::StopSource& stop) override;
  absl::Status Upload(const wire::BlobHeader& header, const std::filesystem::path& file,
                      const transport::StopSource& stop) override;
  absl::Status Download(const Digest& digest, uint64_t most_bytes, storage::BlobStore* store,
                        const transport::StopSource& stop) override;

  // Waits while the coordinator is away. CANCELLED: `stop`, or cut.
  absl::Status Reach(const transport::StopSource& stop) const;

  std::vector<wire::SiteMessage> sent;
  std::map<Digest, Bytes> uploaded;
  std::set<Digest> downloaded;
  std::map<Digest, Bytes>* published = nullptr;
  bool cut = false;   // nothing gets through any more: CANCELLED, as when the agent is killed while it sends
  bool away = false;  // the coordinator is not there: everything waits for it
};

class SiteHarness {
 public:
  SiteHarness(const std::string& id, testing::TestConsortium* pki, const Clock* clock,
              const std::filesystem::path& folder, std::map<Digest, Bytes>* published);

  ~SiteHarness();

  // Writes the label file of the PACS and opens everything that lies in the folder.
  void Start();
  void Kill();
  // Steps the runner of `job` until all that was started has ended.
  void Step(const JobId& job, const std::vector<wire::WorkItem>& items);
  void StepReleases(const std::vector<wire::ReleaseOffer>& offers);

  // The newest message of a kind that was sent, or null.
  template <typename T>
  const T* Last() const {
    for (auto message = link.sent.rbegin(); message != link.sent.rend(); ++message) {
      if (const T* found = std::get_if<T>(&*message)) {
        return found;
      }
    }
    return nullptr;
  }
  // How often the fake worker ran jobs of a kind.
  int Runs(const std::string& kind) const;

  SiteId id;
  SiteConfig config;
  FakePacs pacs;
  FakeLink link;
  std::string policy =
      "allowed_tasks: [chest_pneumonia]\nminimum_cohort: 1\nminimum_sites: 3\napproval: automatic\n"
      "share_local_baseline: sealed\nserving: allowed\n";
  std::map<std::string, std::string> worker_environment;
  absl::Duration worker_time = absl::Seconds(60);

  // Between Start and Kill.
  struct Running;
  std::unique_ptr<Running> running;
  SiteStore& store();
  SiteContext& context();

 private:
  testing::TestConsortium* pki_;
  const Clock* clock_;
  std::filesystem::path folder_;
  std::map<Digest, Bytes>* published_;
};

}  // namespace cloister::site
