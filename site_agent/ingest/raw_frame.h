#pragma once
// SPDX-License-Identifier: Apache-2.0
// One frame of stored samples, decompressed but otherwise untouched: no colour is transformed. DCMTK decodes JPEG
// and JPEG-LS, OpenJPEG JPEG 2000. Internal to ingest and deidentify.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <optional>
#include <string>
#include <string_view>

#include "site_agent/ingest/dicom_image.h"
#include "site_agent/ingest/open_dataset.h"

namespace cloister::site {

// The Image Pixel module, checked: every member is in range and the sizes multiply without overflow.
struct PixelLayout {
  int rows = 0;
  int columns = 0;
  int frames = 1;
  int samples = 1;  // 1 or 3
  int bits_allocated = 8;
  int bits_stored = 8;
  int high_bit = 7;
  bool is_signed = false;
  bool planar = false;  // RRR GGG BBB
  std::string photometric;

  uint64_t SampleCount() const { return uint64_t{1} * rows * columns; }
  int BytesPerSample() const { return (bits_allocated + 7) / 8; }
  uint64_t FrameBytes() const { return SampleCount() * samples * BytesPerSample(); }
};

// Reads `layout` from the dataset. A rejection: no image, or one whose description makes no sense or exceeds the
// limits.
std::optional<Rejection> ReadLayout(DcmDataset& data, const DecodeOptions& options, PixelLayout* layout);

// PixelSpacing (of the frame, for enhanced multi-frames), else at the detector: ImagerPixelSpacing, else
// NominalScannedPixelSpacing. Values that cannot be distances count as absent.
std::optional<PixelSpacing> ReadPixelSpacing(DcmDataset& data, int frame);

struct RawFrame {
  std::string bytes;        // FrameBytes(), native byte order; samples of one bit have a byte each
  std::string photometric;  // YBR_FULL for what was subsampled
  bool planar = false;
};

// All must outlive it.
class FrameReader {
 public:
  FrameReader(OpenedDataset* opened, const PixelLayout* layout) : opened_(opened), layout_(layout) {}

  // Looks at the whole of PixelData: a rejection where it cannot hold all frames.
  std::optional<Rejection> Check();
  // Cheapest in order.
  std::optional<Rejection> Read(int frame, RawFrame* raw);

 private:
  DcmPixelData* pixels();
  std::optional<Rejection> ReadNative(int frame, RawFrame* raw);
  std::optional<Rejection> ReadWithDcmtk(int frame, RawFrame* raw);
  std::optional<Rejection> Codestream(int frame, std::string* codestream);

  OpenedDataset* opened_;
  const PixelLayout* layout_;
  Uint32 next_fragment_ = 0;  // of DCMTK's decoder, for the frame after the last one read
  int next_frame_ = 0;
};

// An RLE frame of `layout` into raw->bytes, by sample or by pixel as raw->planar has it.
std::optional<Rejection> DecodeRle(std::string_view frame, const PixelLayout& layout, RawFrame* raw);

// A JPEG 2000 or HTJ2K codestream (or JP2) of one frame of `layout` into raw->bytes.
std::optional<Rejection> DecodeJpeg2000(const std::string& codestream, const PixelLayout& layout, RawFrame* raw);

}  // namespace cloister::site
