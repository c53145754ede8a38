// SPDX-License-Identifier: Apache-2.0
// Decoding, step by step: file, layout, frame, grey values.

#include "site_agent/ingest/dicom_image.h"

#include <fmt/format.h>

#include "site_agent/ingest/grey_values.h"
#include "site_agent/ingest/open_dataset.h"
#include "site_agent/ingest/raw_frame.h"

namespace cloister::site {
namespace {

std::variant<DecodedImage, Rejection> Decode(const std::filesystem::path& path, const DecodeOptions& options) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (!error && size > options.max_file_bytes) {
    return Rejection{RejectReason::kTooLarge, fmt::format("{} bytes; the limit is {}", size, options.max_file_bytes)};
  }
  std::variant<OpenedDataset, Rejection> outcome = OpenDataset(path, ReadUpTo::kEnd);
  if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
    return *rejection;
  }
  OpenedDataset& opened = std::get<OpenedDataset>(outcome);
  DcmDataset& data = *opened.data;
  PixelLayout layout;
  if (auto rejection = ReadLayout(data, options, &layout)) {
    return *rejection;
  }
  RawFrame raw;
  FrameReader reader(&opened, &layout);
  if (auto rejection = reader.Check()) {
    return *rejection;
  }
  if (auto rejection = reader.Read(options.frame, &raw)) {
    return *rejection;
  }

  DecodedImage image;
  image.rows = layout.rows;
  image.columns = layout.columns;
  image.bits_stored = layout.bits_stored;
  image.pixel_spacing = ReadPixelSpacing(data, options.frame);
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

std::variant<DecodedImage, Rejection> DecodeGrayscale(const std::filesystem::path& path, const DecodeOptions& options) {
  try {
    return Decode(path, options);
  } catch (const std::exception& error) {
    return FromException(error);
  }
}

}  // namespace cloister::site
