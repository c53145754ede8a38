#pragma once
// SPDX-License-Identifier: Apache-2.0
// The agent's Storage SCP: where a PACS pushes new studies (auto-routing) and where C-MOVE delivers. Keeps every
// transfer syntax, writes each instance atomically to <inbox>/<StudyInstanceUID>/<SOPInstanceUID>.dcm, then tells its
// owner.

#include <absl/time/time.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "site_agent/ingest/dicom_header.h"

namespace cloister::site {

struct ReceivedInstance {
  std::filesystem::path path;
  InstanceHeader header;
  std::string calling_ae_title;
  std::string move_originator_ae_title;  // ours when this answers our own C-MOVE; "" when the PACS pushed by itself
};

struct StorageScpConfig {
  std::string ae_title;
  int port = 0;  // 0: any free port, see StorageScp::port
  std::filesystem::path inbox;
  std::vector<std::string> allowed_calling_ae_titles;  // empty: everybody
  int max_associations = 8;
  absl::Duration idle_timeout = absl::Seconds(60);  // silence of a peer on an open association
  uint64_t max_instance_bytes = uint64_t{1} << 31;
};

// Called on a receiving thread after the file is safely on disk and before the peer gets its answer; must be quick and
// thread-safe. A non-OK status refuses the instance (out of resources, the peer may try again) and removes the file.
using ReceiveCallback = std::function<absl::Status(const ReceivedInstance&)>;

class StorageScp {
 public:
  // Listens at once. INVALID_ARGUMENT: AE title not 1 to 16 characters. ALREADY_EXISTS: the port is in use (the message
  // says what to do). PERMISSION_DENIED: a port below 1024 without the right; or the inbox cannot be written.
  static absl::StatusOr<std::unique_ptr<StorageScp>> Start(StorageScpConfig config, ReceiveCallback on_received);
  // Stops.
  ~StorageScp();
  StorageScp(const StorageScp&) = delete;
  StorageScp& operator=(const StorageScp&) = delete;

  // Accepts nobody new, lets running associations end within two seconds, then cuts them. Idempotent.
  void Stop();

  int port() const;
  const std::string& ae_title() const;
  std::filesystem::path StudyFolder(const std::string& study_instance_uid) const;

  struct Counters {
    uint64_t associations = 0;
    uint64_t refused_associations = 0;  // wrong AE title, not allowed, too many
    uint64_t stored = 0;
    uint64_t refused_instances = 0;
  };
  Counters counters() const;

 private:
  class Impl;
  explicit StorageScp(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cloister::site
