#pragma once
// SPDX-License-Identifier: Apache-2.0
// What every result object shares: patient and study from the source, our equipment, times, and the file. Internal to
// serve.

#include <absl/time/time.h>
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <filesystem>
#include <memory>
#include <string>

#include "protocols/base/status.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/serve/result_sr.h"
#include "site_agent/serve/result_uid.h"

namespace cloister::site {

struct Source {
  InstanceHeader header;
  std::unique_ptr<DcmFileFormat> file;  // without pixels
  DcmDataset& data() const { return *file->getDataset(); }
};

// INVALID_ARGUMENT: cannot be read, or lacks its UIDs.
absl::StatusOr<Source> LoadSource(const std::filesystem::path& path);

// INVALID_ARGUMENT: an empty member, one longer than 64 characters or not printable ASCII, or a bad Device UID.
absl::Status CheckRelease(const ReleaseIdentity& release);

// Copies the Patient, Patient Study and General Study modules byte for byte, with the character set they are in. What
// is required and missing becomes empty.
void CopyPatientAndStudy(const Source& source, DcmDataset* result);

// Series, equipment, contributing equipment and times of a result; `series_number` tells kinds apart in a viewer's
// list.
void PutSeriesAndEquipment(const Source& source, const ReleaseIdentity& release, ResultKind kind, absl::Time created,
                           DcmDataset* result);

// `text` (UTF-8) in the character set of the source; what that cannot hold becomes "?".
std::string ToSourceCharset(const Source& source, const std::string& text);

// Saves explicit VR little endian as <folder>/<SOPInstanceUID>.dcm, atomically.
absl::StatusOr<WrittenInstance> WriteResult(DcmFileFormat* file, const std::filesystem::path& folder);

struct DicomTime {
  std::string date;  // YYYYMMDD
  std::string time;  // HHMMSS
  std::string zone;  // +0800
};
DicomTime ToDicomTime(absl::Time time);

}  // namespace cloister::site
