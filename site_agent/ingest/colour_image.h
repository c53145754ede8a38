#pragma once
// SPDX-License-Identifier: Apache-2.0
// Colour photographs (OP, XC, VL, SC): RGB as a person sees it, the part of it that shows the eye, and which eye it is.
// Runs in the worker. Nothing is guessed: what a file does not say is a rejection.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocols/base/status.h"
#include "site_agent/ingest/dicom_image.h"

namespace cloister::site {

struct ColourImage {
  int rows = 0;
  int columns = 0;
  std::vector<uint8_t> rgb;  // [rows, columns, 3]
  std::optional<PixelSpacing> pixel_spacing;
};

// RGB, YBR_FULL, YBR_FULL_422, YBR_PARTIAL_422, YBR_ICT and YBR_RCT, of 8 or 16 bits (the upper 8 of BitsStored are
// kept). kUnsupportedPixelFormat: grey or palette. Other rejections as DecodeGrayscale.
std::variant<ColourImage, Rejection> DecodeColour(const std::filesystem::path& path, int frame = 0);

struct FieldOfView {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

// The box around the lit disc of a fundus camera: rows and columns in which at least 2 % of the pixels are lit.
// Nothing: the box covers less than a fifth of the picture or is more than twice as long as wide, so it is no fundus,
// or dark.
std::optional<FieldOfView> FindFieldOfView(const ColourImage& image);

ColourImage Crop(const ColourImage& image, const FieldOfView& box);

enum class Laterality { kLeft, kRight };

// Where a site's cameras write which eye it is.
struct LateralityRule {
  enum class Source {
    kImageLaterality,
    kLaterality,
    kSeriesDescription,
    kStudyDescription,
    kProtocolName,
    kImageComments
  };
  Source source = Source::kImageLaterality;
  std::string left;   // of a text source: a regular expression (ECMAScript, whatever the case) for the left eye
  std::string right;  // "\\b(od|right)\\b"
};

// What the rules say, if they agree. INVALID_ARGUMENT: the file, or a regular expression. NOT_FOUND: no rule says
// anything ("B", both eyes, is nothing). FAILED_PRECONDITION: two rules, or the two expressions of one, contradict each
// other.
absl::StatusOr<Laterality> ReadLaterality(const std::filesystem::path& path, const std::vector<LateralityRule>& rules);

}  // namespace cloister::site
