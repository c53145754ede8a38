#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the agent would do with a file, and why: every header check and every frame decoded. Runs in the sandboxed
// worker. Holds no patient data.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "site_agent/ingest/dicom_image.h"

namespace cloister::site {

enum class Verdict {
  kImage,    // its pixels can be used
  kNoImage,  // DICOM as it should be, but nothing to look at: a report, a plan, a directory
  kRefused,  // the code says why
};
// "image", "no image", "refused".
std::string_view VerdictName(Verdict verdict);

struct Inspection {
  Verdict verdict = Verdict::kRefused;
  // "OK", a RejectReasonName, or
  // MISSING_UID       no study, series, instance or SOP class: it belongs nowhere
  // INVALID_UID       one of them is no UID
  // INVALID_GEOMETRY  ImageOrientationPatient is not two directions at a right angle, or a position has not 3 numbers
  std::string code;
  std::string message;             // for people; "" when there is nothing to say
  std::vector<std::string> notes;  // what is odd and was tolerated
  std::string modality;            // as in the file; "" absent
  std::string sop_class_uid;
  std::string transfer_syntax_uid;
  std::string photometric_interpretation;
  int rows = 0;  // 0: no image
  int columns = 0;
  int frames = 0;
  int samples_per_pixel = 0;
  int bits_allocated = 0;
  int bits_stored = 0;
  bool is_signed = false;
  std::optional<PixelSpacing> pixel_spacing;
  // Of all frames (stored_samples.h), whatever the verdict, if they could be decoded.
  std::optional<Digest> samples;
};

// Never throws. Memory: the header, one frame and the file's encapsulated pixels, within the limits of DecodeOptions.
// Time: proportional to the pixels; the agent stops a worker that takes too long.
Inspection InspectFile(const std::filesystem::path& path);

}  // namespace cloister::site
