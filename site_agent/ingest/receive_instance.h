#pragma once
// SPDX-License-Identifier: Apache-2.0
// The receiving half of C-STORE, shared by C-GET and by the Storage SCP: bytes go to the disk exactly as they came,
// with a file meta header in front, and are never parsed on the way. Internal to ingest.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/dimse.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "protocols/base/status.h"
#include "site_agent/ingest/dicom_header.h"

namespace cloister::site {

struct ReceiveOptions {
  int timeout_seconds = 60;
  uint64_t max_bytes = uint64_t{1} << 31;
  bool sync = false;  // fsync before the rename
  // Asked now and then while bytes come; true cuts the association.
  std::function<bool()> cancelled;
};

struct ReceivedFile {
  std::filesystem::path path;
  InstanceHeader header;
};

// Receives the dataset that follows `request` into `partial` and moves it to `place(header)`, whose folder is made.
// RESOURCE_EXHAUSTED: cannot be written, or larger than max_bytes (then the association is gone). INVALID_ARGUMENT:
// what came is not DICOM, or is not the instance that was announced. Other statuses: the association broke. Nothing but
// a complete file ever has its final name.
absl::StatusOr<ReceivedFile> ReceiveInstance(T_ASC_Association* association, T_ASC_PresentationContextID context,
                                             T_DIMSE_C_StoreRQ* request, const std::filesystem::path& partial,
                                             const ReceiveOptions& options,
                                             const std::function<std::filesystem::path(const InstanceHeader&)>& place);

// Answers `request`: success, or the failure that fits `outcome`.
OFCondition AnswerStore(T_ASC_Association* association, T_ASC_PresentationContextID context,
                        const T_DIMSE_C_StoreRQ& request, const absl::Status& outcome);

}  // namespace cloister::site
