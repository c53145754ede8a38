#pragma once
// SPDX-License-Identifier: Apache-2.0
// A real PACS for one test: an Orthanc process on free loopback ports with its storage in a temporary folder. Stopped
// and removed with the object.

#include <absl/time/time.h>
#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "tests/support/temp_dir.h"

namespace cloister::testing {

// A DICOM peer Orthanc knows: it may query, retrieve and store, and Orthanc may send to it.
struct KnownModality {
  std::string ae_title;
  int port = 104;
};

struct OrthancOptions {
  std::string ae_title = "PACS";
  std::vector<KnownModality> modalities;
  // AE title (one of `modalities`) every new image is sent to; results (SR, SC, modality OT) are not sent. "": none.
  std::string auto_route_to;
};

// A TCP port nobody listens on right now.
int FreePort();

class Orthanc {
 public:
  // True when the Orthanc program is installed. Tests that need it skip, saying so, when it is not.
  static bool Installed();

  // Returns once its REST API answers. UNAVAILABLE: it did not within 20 seconds; the message holds its last log lines.
  static absl::StatusOr<std::unique_ptr<Orthanc>> Start(const OrthancOptions& options);
  ~Orthanc();
  Orthanc(const Orthanc&) = delete;
  Orthanc& operator=(const Orthanc&) = delete;

  const std::string& ae_title() const { return ae_title_; }
  int dicom_port() const { return dicom_port_; }
  int http_port() const { return http_port_; }

  // REST. `path` as "/studies". UNAVAILABLE: no answer; NOT_FOUND: 404; FAILED_PRECONDITION: any other non-2xx code.
  absl::StatusOr<std::string> Get(const std::string& path) const;
  absl::StatusOr<std::string> Post(const std::string& path, const std::string& body) const;
  absl::StatusOr<nlohmann::json> GetJson(const std::string& path) const;
  // Uploads DICOM files through REST.
  absl::Status Upload(const std::vector<std::filesystem::path>& files) const;
  // The "/instances/.../simplified-tags" of every instance of a study, found by StudyInstanceUID.
  absl::StatusOr<std::vector<nlohmann::json>> InstancesOfStudy(const std::string& study_instance_uid) const;

  // Stops the process (a PACS that went down); the object stays usable for asking its ports.
  void Stop();

 private:
  Orthanc() = default;
  TempDir folder_;
  std::string ae_title_;
  int dicom_port_ = 0;
  int http_port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace cloister::testing
