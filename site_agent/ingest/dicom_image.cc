// SPDX-License-Identifier: Apache-2.0
// Decoding, step by step: file, layout, frame, grey values.

#include "site_agent/ingest/dicom_image.h"

#include <fmt/format.h>

#include <new>

#include "site_agent/ingest/dicom_setup.h"
#include "site_agent/ingest/grey_values.h"
#include "site_agent/ingest/nesting_guard.h"
#include "site_agent/ingest/raw_frame.h"

namespace cloister::site {
namespace {

constexpr uint64_t kHeaderLimitBytes = uint64_t{256} << 20;

std::optional<PixelSpacing> ReadSpacing(DcmDataset& data) {
  for (const auto& [tag, at_detector] : {std::pair{DCM_PixelSpacing, false}, std::pair{DCM_ImagerPixelSpacing, true},
                                         std::pair{DCM_NominalScannedPixelSpacing, true}}) {
    Float64 row = 0;
    Float64 column = 0;
    const bool found = data.findAndGetFloat64(tag, row, 0).good() && data.findAndGetFloat64(tag, column, 1).good();
    if (found && row > 0 && column > 0 && row < 1000 && column < 1000) {
      return PixelSpacing{row, column, at_detector};
    }
  }
  return std::nullopt;
}

std::variant<DecodedImage, Rejection> Decode(const std::filesystem::path& path, const DecodeOptions& options) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (!error && size > options.max_file_bytes) {
    return Rejection{RejectReason::kTooLarge, fmt::format("{} bytes; the limit is {}", size, options.max_file_bytes)};
  }
  if (const absl::Status nesting = CheckNesting(path, kHeaderLimitBytes); !nesting.ok()) {
    return Rejection{RejectReason::kUnreadable, std::string(nesting.message())};
  }
  DcmFileFormat file;
  if (const OFCondition loaded = file.loadFile(path.c_str()); loaded.bad()) {
    DcmFileFormat head;
    const bool header_is_good =
        head.loadFileUntilTag(path.c_str(), EXS_Unknown, EGL_noChange, DCM_MaxReadLength, ERM_autoDetect, DCM_PixelData)
            .good() &&
        head.getDataset()->tagExists(DCM_Rows);
    return Rejection{header_is_good ? RejectReason::kTruncated : RejectReason::kUnreadable, loaded.text()};
  }
  DcmDataset& data = *file.getDataset();
  PixelLayout layout;
  if (auto rejection = ReadLayout(data, options, &layout)) {
    return *rejection;
  }
  RawFrame raw;
  if (auto rejection = ReadFrame(data, layout, options.frame, &raw)) {
    return *rejection;
  }

  DecodedImage image;
  image.rows = layout.rows;
  image.columns = layout.columns;
  image.bits_stored = layout.bits_stored;
  image.pixel_spacing = ReadSpacing(data);
  image.was_colour = layout.samples == 3 || layout.photometric == "PALETTE COLOR";
  if (image.was_colour) {
    if (auto rejection = Luma(data, raw, layout, &image.pixels)) {
      return *rejection;
    }
    if (options.values == PixelValues::kDisplay) {
      for (float& pixel : image.pixels) {
        pixel /= 255;
      }
    }
    return image;
  }
  image.pixels = StoredValues(raw, layout);
  const std::vector<bool> padding = PaddingMask(data, layout, image.pixels);
  ApplyModalityLut(data, layout, options.frame, &image.pixels);
  image.was_inverted = layout.photometric == "MONOCHROME1";
  if (options.values == PixelValues::kDisplay) {
    ApplyVoi(data, layout, options.frame, options.window, padding, &image.pixels);
    if (image.was_inverted) {
      for (float& pixel : image.pixels) {
        pixel = 1 - pixel;
      }
    }
  }
  return image;
}

}  // namespace

std::string_view RejectReasonName(RejectReason reason) {
  switch (reason) {
    case RejectReason::kUnreadable:
      return "UNREADABLE";
    case RejectReason::kNoPixelData:
      return "NO_PIXEL_DATA";
    case RejectReason::kUnsupportedTransferSyntax:
      return "UNSUPPORTED_TRANSFER_SYNTAX";
    case RejectReason::kUnsupportedPixelFormat:
      return "UNSUPPORTED_PIXEL_FORMAT";
    case RejectReason::kTooLarge:
      return "TOO_LARGE";
    case RejectReason::kTruncated:
      return "TRUNCATED";
    case RejectReason::kDecodeFailed:
      return "DECODE_FAILED";
  }
  return "UNREADABLE";
}

std::variant<DecodedImage, Rejection> DecodeGrayscale(const std::filesystem::path& path, const DecodeOptions& options) {
  PrepareDicom();
  try {
    return Decode(path, options);
  } catch (const std::bad_alloc&) {
    return Rejection{RejectReason::kTooLarge, "not enough memory to decode it"};
  }
}

}  // namespace cloister::site
