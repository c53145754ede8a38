// SPDX-License-Identifier: Apache-2.0
// The Image Pixel module and DCMTK's codecs.

#include "site_agent/ingest/raw_frame.h"

#include <dcmtk/dcmdata/dccodec.h>
#include <dcmtk/dcmdata/dcfcache.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <fmt/format.h>

#include <mutex>

namespace cloister::site {
namespace {

Rejection Reject(RejectReason reason, std::string message) {
  return {reason, std::move(message)};
}

void RegisterCodecs() {
  static std::once_flag once;
  std::call_once(once, [] {
    DJDecoderRegistration::registerCodecs(EDC_photometricInterpretation, EUC_default, EPC_colorByPixel);
    DJLSDecoderRegistration::registerCodecs();
    DcmRLEDecoderRegistration::registerCodecs();
  });
}

bool IsJpeg2000(E_TransferSyntax syntax) {
  return syntax == EXS_JPEG2000 || syntax == EXS_JPEG2000LosslessOnly;
}

bool IsDjpeg(E_TransferSyntax syntax) {
  return syntax >= EXS_JPEGProcess1 && syntax <= EXS_JPEGProcess14SV1 && DcmXfer(syntax).isEncapsulated();
}

// The fragments of `frame`, concatenated. With as many fragments as frames each is one frame; a single frame owns them
// all; otherwise the offset table tells.
std::optional<Rejection> Codestream(DcmPixelData& pixels, DcmDataset& data, const PixelLayout& layout, int frame,
                                    std::string* codestream) {
  DcmPixelSequence* sequence = nullptr;
  E_TransferSyntax syntax = data.getOriginalXfer();
  if (pixels.getEncapsulatedRepresentation(syntax, nullptr, sequence).bad() || sequence == nullptr ||
      sequence->card() < 2) {
    return Reject(RejectReason::kNoPixelData, "encapsulated pixel data without fragments");
  }
  const auto fragments = static_cast<uint64_t>(sequence->card() - 1);  // item 0 is the offset table
  uint64_t first = 0;
  uint64_t count = fragments;
  if (layout.frames > 1) {
    Uint32 start = 0;
    if (fragments == static_cast<uint64_t>(layout.frames)) {
      first = static_cast<uint64_t>(frame);
      count = 1;
    } else if (DcmCodec::determineStartFragment(frame, layout.frames, sequence, start).good() && start > 0) {
      first = start - 1;
      Uint32 next = 0;
      const bool last = frame + 1 >= layout.frames ||
                        DcmCodec::determineStartFragment(frame + 1, layout.frames, sequence, next).bad() ||
                        next <= start;
      count = last ? fragments - first : next - start;
    } else {
      return Reject(RejectReason::kDecodeFailed, "the fragments cannot be assigned to frames");
    }
  }
  for (uint64_t i = first; i < first + count && i < fragments; ++i) {
    DcmPixelItem* item = nullptr;
    Uint8* bytes = nullptr;
    if (sequence->getItem(item, static_cast<unsigned long>(i + 1)).bad() || item->getUint8Array(bytes).bad() ||
        bytes == nullptr) {
      return Reject(RejectReason::kTruncated, fmt::format("fragment {} of {} cannot be read", i + 1, fragments));
    }
    codestream->append(reinterpret_cast<const char*>(bytes), item->getLength());
  }
  return std::nullopt;
}

Uint16 Short(DcmItem& item, const DcmTagKey& tag) {
  Uint16 value = 0;
  item.findAndGetUint16(tag, value);
  return value;
}

}  // namespace

std::optional<Rejection> ReadLayout(DcmDataset& data, const DecodeOptions& options, PixelLayout* layout) {
  if (!data.tagExists(DCM_PixelData)) {
    if (data.tagExists(DCM_FloatPixelData) || data.tagExists(DCM_DoubleFloatPixelData)) {
      return Reject(RejectReason::kUnsupportedPixelFormat, "floating point pixel data");
    }
    return Reject(RejectReason::kNoPixelData, "there is no PixelData");
  }
  layout->rows = Short(data, DCM_Rows);
  layout->columns = Short(data, DCM_Columns);
  layout->samples = Short(data, DCM_SamplesPerPixel);
  layout->bits_allocated = Short(data, DCM_BitsAllocated);
  layout->bits_stored = Short(data, DCM_BitsStored);
  layout->is_signed = Short(data, DCM_PixelRepresentation) == 1;
  layout->planar = Short(data, DCM_PlanarConfiguration) == 1;
  OFString photometric;
  data.findAndGetOFString(DCM_PhotometricInterpretation, photometric);
  layout->photometric = photometric.c_str();
  Sint32 frames = 1;
  const bool has_frames = data.findAndGetSint32(DCM_NumberOfFrames, frames).good();
  layout->frames = has_frames ? frames : 1;

  if (layout->rows == 0 || layout->columns == 0) {
    return Reject(RejectReason::kUnsupportedPixelFormat, "Rows or Columns is missing or 0");
  }
  if (layout->rows > options.max_rows || layout->columns > options.max_columns) {
    return Reject(RejectReason::kTooLarge, fmt::format("{} x {} pixels; the limit is {} x {}", layout->rows,
                                                       layout->columns, options.max_rows, options.max_columns));
  }
  if (layout->frames < 1 || options.frame < 0 || options.frame >= layout->frames) {
    return Reject(RejectReason::kUnreadable, fmt::format("frame {} of {}", options.frame, layout->frames));
  }
  if (layout->bits_stored == 0) {
    layout->bits_stored = layout->bits_allocated;
  }
  const bool known_bits = layout->bits_allocated == 8 || layout->bits_allocated == 16 || layout->bits_allocated == 32;
  if (!known_bits || layout->bits_stored > layout->bits_allocated) {
    return Reject(RejectReason::kUnsupportedPixelFormat,
                  fmt::format("BitsAllocated {}, BitsStored {}", layout->bits_allocated, layout->bits_stored));
  }
  const bool mono = layout->photometric == "MONOCHROME1" || layout->photometric == "MONOCHROME2";
  const bool palette = layout->photometric == "PALETTE COLOR";
  const bool colour = layout->photometric == "RGB" || layout->photometric.rfind("YBR_", 0) == 0;
  if (!((layout->samples == 1 && (mono || palette)) || (layout->samples == 3 && colour))) {
    return Reject(RejectReason::kUnsupportedPixelFormat,
                  fmt::format("PhotometricInterpretation {} with SamplesPerPixel {}",
                              layout->photometric.empty() ? "(missing)" : layout->photometric, layout->samples));
  }
  return std::nullopt;
}

std::optional<Rejection> ReadFrame(DcmDataset& data, const PixelLayout& layout, int frame, RawFrame* raw) {
  RegisterCodecs();
  DcmElement* element = nullptr;
  if (data.findAndGetElement(DCM_PixelData, element).bad() || element->ident() != EVR_PixelData) {
    return Reject(RejectReason::kNoPixelData, "PixelData is not pixel data");
  }
  auto& pixels = *static_cast<DcmPixelData*>(element);
  const E_TransferSyntax syntax = data.getOriginalXfer();
  const DcmXfer xfer(syntax);
  raw->photometric = layout.photometric;
  raw->planar = layout.planar;

  if (IsJpeg2000(syntax)) {
    std::string codestream;
    if (auto rejection = Codestream(pixels, data, layout, frame, &codestream)) {
      return rejection;
    }
    return DecodeJpeg2000(codestream, layout, syntax == EXS_JPEG2000LosslessOnly, raw);
  }
  if (!xfer.isEncapsulated()) {
    const bool subsampled = layout.photometric == "YBR_FULL_422" || layout.photometric == "YBR_PARTIAL_422";
    const uint64_t frame_bytes = subsampled ? layout.FrameBytes() / 3 * 2 : layout.FrameBytes();
    const uint64_t offset = frame_bytes * static_cast<uint64_t>(frame);
    if (offset + frame_bytes > pixels.getLength()) {
      return Reject(RejectReason::kTruncated, fmt::format("PixelData has {} bytes, frame {} ends at {}",
                                                          pixels.getLength(), frame, offset + frame_bytes));
    }
    raw->bytes.resize(frame_bytes);
    DcmFileCache cache;
    const OFCondition read = pixels.getPartialValue(raw->bytes.data(), static_cast<Uint32>(offset),
                                                    static_cast<Uint32>(frame_bytes), &cache);
    if (read.bad()) {
      return Reject(RejectReason::kTruncated, fmt::format("PixelData cannot be read: {}", read.text()));
    }
    return std::nullopt;
  }
  if (!DcmCodecList::canChangeCoding(syntax, EXS_LittleEndianExplicit)) {
    return Reject(RejectReason::kUnsupportedTransferSyntax, fmt::format("cannot decode {}", xfer.getXferName()));
  }
  raw->bytes.resize(layout.FrameBytes() + (layout.FrameBytes() & 1));
  Uint32 fragment = 0;
  OFString colour_model;
  const OFCondition decoded =
      pixels.getUncompressedFrame(&data, static_cast<Uint32>(frame), fragment, raw->bytes.data(),
                                  static_cast<Uint32>(raw->bytes.size()), colour_model);
  if (decoded.bad()) {
    return Reject(RejectReason::kDecodeFailed, fmt::format("{}: {}", xfer.getXferName(), decoded.text()));
  }
  raw->bytes.resize(layout.FrameBytes());
  if (!colour_model.empty()) {
    raw->photometric = colour_model.c_str();
  }
  if (IsDjpeg(syntax)) {
    raw->planar = false;  // as registered
  }
  return std::nullopt;
}

}  // namespace cloister::site
