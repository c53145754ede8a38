// SPDX-License-Identifier: Apache-2.0
#include "site_agent/worker/inspect.h"

#include <fcntl.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/inspection.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

// Coded values only: where there should be a code or a UID a broken file may have anything.
std::string Code(const std::string& value) {
  return value.empty() ? "" : CodeForPeople(value);
}

std::string Uid(const std::string& value) {
  return IsValidUid(value) ? value : "";
}

Json Document(const Inspection& inspection) {
  Json json = {{"verdict", std::string(VerdictName(inspection.verdict))},
               {"code", inspection.code},
               {"message", inspection.message},
               {"notes", inspection.notes},
               {"modality", Code(inspection.modality)},
               {"sop_class_uid", Uid(inspection.sop_class_uid)},
               {"transfer_syntax_uid", Uid(inspection.transfer_syntax_uid)},
               {"samples_sha256", nullptr}};
  if (inspection.rows > 0) {
    json["rows"] = inspection.rows;
    json["columns"] = inspection.columns;
    json["frames"] = inspection.frames;
    json["samples_per_pixel"] = inspection.samples_per_pixel;
    json["bits_allocated"] = inspection.bits_allocated;
    json["bits_stored"] = inspection.bits_stored;
    json["signed"] = inspection.is_signed;
    json["photometric_interpretation"] = Code(inspection.photometric_interpretation);
  }
  if (inspection.pixel_spacing) {
    json["pixel_spacing_mm"] = {inspection.pixel_spacing->row_mm, inspection.pixel_spacing->column_mm};
    json["spacing_at_detector"] = inspection.pixel_spacing->at_detector;
  }
  if (inspection.samples) {
    json["samples_sha256"] = inspection.samples->hex();
  }
  return json;
}

}  // namespace

absl::Status Inspect(const InspectJob& job, const std::filesystem::path& job_folder, ProgressWriter& progress) {
  const std::filesystem::path path = job_folder / kInspectedFile;
  const Descriptor out(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!out.valid()) {
    return ErrnoStatus(errno, "cannot open", path);
  }
  int64_t done = 0;
  for (const std::filesystem::path& file : job.files) {
    const std::string line = Document(InspectFile(file)).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    CLOISTER_RETURN_IF_ERROR(WriteAll(out.get(), line, path));
    progress.Count("inspect", ++done, static_cast<int64_t>(job.files.size()));
  }
  return absl::OkStatus();
}

}  // namespace cloister::site
