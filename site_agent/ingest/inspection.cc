// SPDX-License-Identifier: Apache-2.0
#include "site_agent/ingest/inspection.h"

#include <fmt/format.h>

#include <algorithm>

#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/functional_groups.h"
#include "site_agent/ingest/slice_geometry.h"
#include "site_agent/ingest/stored_samples.h"

namespace cloister::site {
namespace {

struct Problem {
  std::string code;
  std::string message;
};

std::string Text(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  item.findAndGetOFStringArray(tag, value);
  std::string text(value.c_str(), value.size());
  text.erase(std::min(text.find('\0'), text.size()));
  text.erase(text.find_last_not_of(' ') + 1);
  return text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
}

std::optional<Problem> UidProblem(DcmDataset& data) {
  for (const auto& [tag, keyword] :
       {std::pair{DCM_SOPClassUID, "SOPClassUID"}, std::pair{DCM_SOPInstanceUID, "SOPInstanceUID"},
        std::pair{DCM_StudyInstanceUID, "StudyInstanceUID"}, std::pair{DCM_SeriesInstanceUID, "SeriesInstanceUID"}}) {
    const std::string uid = Text(data, tag);
    if (uid.empty()) {
      return Problem{"MISSING_UID", fmt::format("{} is missing", keyword)};
    }
    if (!IsValidUid(uid)) {
      return Problem{"INVALID_UID", fmt::format("{} is not a valid UID", keyword)};
    }
  }
  return std::nullopt;
}

std::optional<Problem> GeometryProblem(DcmDataset& data, int frames) {
  constexpr int kMostFrames = 10000;
  for (int frame = 0; frame < std::min(frames, kMostFrames); ++frame) {
    DcmItem& orientation = MacroHolder(data, frame, DCM_PlaneOrientationSequence);
    if (orientation.tagExistsWithValue(DCM_ImageOrientationPatient) &&
        !IsOrientation(FiniteNumbers(orientation, DCM_ImageOrientationPatient))) {
      return Problem{"INVALID_GEOMETRY", fmt::format("ImageOrientationPatient of frame {} is not two directions at a "
                                                     "right angle",
                                                     frame + 1)};
    }
    DcmItem& position = MacroHolder(data, frame, DCM_PlanePositionSequence);
    if (position.tagExistsWithValue(DCM_ImagePositionPatient) &&
        FiniteNumbers(position, DCM_ImagePositionPatient).size() != 3) {
      return Problem{"INVALID_GEOMETRY", fmt::format("ImagePositionPatient of frame {} has not 3 numbers", frame + 1)};
    }
    if (&orientation == &data && &position == &data) {
      break;  // all frames are alike
    }
  }
  return std::nullopt;
}

void Refuse(const Problem& problem, Inspection* inspection) {
  inspection->verdict = Verdict::kRefused;
  inspection->code = problem.code;
  inspection->message = problem.message;
}

void Refuse(const Rejection& rejection, Inspection* inspection) {
  Refuse(Problem{std::string(RejectReasonName(rejection.reason)), rejection.message}, inspection);
}

void InspectPixels(OpenedDataset& opened, Inspection* inspection) {
  DcmDataset& data = *opened.data;
  PixelLayout layout;
  if (auto rejection = ReadLayout(data, {}, &layout)) {
    return Refuse(*rejection, inspection);
  }
  inspection->rows = layout.rows;
  inspection->columns = layout.columns;
  inspection->frames = layout.frames;
  inspection->samples_per_pixel = layout.samples;
  inspection->bits_allocated = layout.bits_allocated;
  inspection->bits_stored = layout.bits_stored;
  inspection->is_signed = layout.is_signed;
  inspection->photometric_interpretation = layout.photometric;
  inspection->pixel_spacing = ReadPixelSpacing(data, 0);
  auto digest = DigestOfSamples(opened, layout);
  if (const Rejection* rejection = std::get_if<Rejection>(&digest)) {
    return Refuse(*rejection, inspection);
  }
  inspection->samples = std::get<Digest>(digest);
  if (const auto problem = GeometryProblem(data, layout.frames)) {
    return Refuse(*problem, inspection);
  }
  inspection->verdict = Verdict::kImage;
  inspection->code = "OK";
}

bool HasPixels(DcmDataset& data) {
  return data.tagExists(DCM_PixelData) || data.tagExists(DCM_FloatPixelData) ||
         data.tagExists(DCM_DoubleFloatPixelData);
}

Inspection Inspect(const std::filesystem::path& path) {
  Inspection inspection;
  std::error_code error;
  const DecodeOptions limits;
  if (const uint64_t size = std::filesystem::file_size(path, error); !error && size > limits.max_file_bytes) {
    Refuse(Rejection{RejectReason::kTooLarge, fmt::format("{} bytes; the limit is {}", size, limits.max_file_bytes)},
           &inspection);
    return inspection;
  }
  std::variant<OpenedDataset, Rejection> outcome = OpenDataset(path, ReadUpTo::kEnd);
  if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
    Refuse(*rejection, &inspection);
    return inspection;
  }
  OpenedDataset& opened = std::get<OpenedDataset>(outcome);
  DcmDataset& data = *opened.data;
  inspection.notes = opened.notes;
  inspection.modality = Text(data, DCM_Modality);
  inspection.sop_class_uid = Text(data, DCM_SOPClassUID);
  inspection.transfer_syntax_uid = opened.transfer_syntax_uid;
  if (data.tagExists(DCM_DirectoryRecordSequence)) {
    inspection.verdict = Verdict::kNoImage;
    inspection.code = "DICOMDIR";
    inspection.message = "a directory of other files";
    return inspection;
  }
  if (HasPixels(data)) {
    InspectPixels(opened, &inspection);
  } else {
    inspection.verdict = Verdict::kNoImage;
    inspection.code = RejectReasonName(RejectReason::kNoPixelData);
    inspection.message = "there is no PixelData";
  }
  // Pixels that cannot be decoded say more than a missing UID.
  if (inspection.verdict != Verdict::kRefused) {
    if (const auto problem = UidProblem(data)) {
      Refuse(*problem, &inspection);
    }
  }
  return inspection;
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kImage:
      return "image";
    case Verdict::kNoImage:
      return "no image";
    case Verdict::kRefused:
      return "refused";
  }
  return "refused";
}

Inspection InspectFile(const std::filesystem::path& path) {
  try {
    return Inspect(path);
  } catch (const std::exception& error) {
    Inspection inspection;
    Refuse(FromException(error), &inspection);
    return inspection;
  }
}

}  // namespace cloister::site
