#pragma once
// SPDX-License-Identifier: Apache-2.0
// One frame of stored samples, decompressed but otherwise untouched. DCMTK decodes everything it knows; JPEG 2000 goes
// through GDCM. Internal to ingest.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <optional>
#include <string>

#include "site_agent/ingest/dicom_image.h"

namespace cloister::site {

// The Image Pixel module, checked: every member is in range and the sizes multiply without overflow.
struct PixelLayout {
  int rows = 0;
  int columns = 0;
  int frames = 1;
  int samples = 1;  // 1 or 3
  int bits_allocated = 8;
  int bits_stored = 8;
  bool is_signed = false;
  bool planar = false;  // RRR GGG BBB
  std::string photometric;

  uint64_t SampleCount() const { return uint64_t{1} * rows * columns; }
  int BytesPerSample() const { return bits_allocated / 8; }
  uint64_t FrameBytes() const { return SampleCount() * samples * BytesPerSample(); }
};

// Reads `layout` from the dataset. A rejection: no image, or one whose description makes no sense or exceeds the
// limits.
std::optional<Rejection> ReadLayout(DcmDataset& data, const DecodeOptions& options, PixelLayout* layout);

struct RawFrame {
  std::string bytes;        // native byte order; FrameBytes(), or two thirds of it for native YBR_FULL_422
  std::string photometric;  // after decoding: codecs turn most YBR into RGB
  bool planar = false;
};

std::optional<Rejection> ReadFrame(DcmDataset& data, const PixelLayout& layout, int frame, RawFrame* raw);

// A JPEG 2000 codestream (or JP2) of one frame of `layout` into raw->bytes.
std::optional<Rejection> DecodeJpeg2000(const std::string& codestream, const PixelLayout& layout, bool lossless,
                                        RawFrame* raw);

}  // namespace cloister::site
