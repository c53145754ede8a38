// SPDX-License-Identifier: Apache-2.0
// The Image Pixel module and DCMTK's codecs.

#include "site_agent/ingest/raw_frame.h"

#include <dcmtk/dcmdata/dccodec.h>
#include <dcmtk/dcmdata/dcfcache.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <fmt/format.h>

#include <mutex>
#include <tuple>

#include "site_agent/ingest/functional_groups.h"

namespace cloister::site {
namespace {

Rejection Reject(RejectReason reason, std::string message) {
  return {reason, std::move(message)};
}

void RegisterCodecs() {
  static std::once_flag once;
  std::call_once(once, [] {
    DJDecoderRegistration::registerCodecs(EDC_never, EUC_default, EPC_colorByPixel);
    DJLSDecoderRegistration::registerCodecs();
  });
}

bool IsJpeg2000(E_TransferSyntax syntax) {
  return syntax == EXS_JPEG2000 || syntax == EXS_JPEG2000LosslessOnly;
}

bool IsDjpeg(E_TransferSyntax syntax) {
  return syntax >= EXS_JPEGProcess1 && syntax <= EXS_JPEGProcess14SV1 && DcmXfer(syntax).isEncapsulated();
}

bool IsSubsampled(const std::string& photometric) {
  return photometric == "YBR_FULL_422" || photometric == "YBR_PARTIAL_422";
}

// What one native frame takes of PixelData; a frame of single bits need not end with a byte.
uint64_t NativeBits(const PixelLayout& layout) {
  if (layout.bits_allocated == 1) {
    return layout.SampleCount() * layout.samples;
  }
  return (IsSubsampled(layout.photometric) ? layout.FrameBytes() / 3 * 2 : layout.FrameBytes()) * 8;
}

// Y Y Cb Cr of two pixels side by side -> Y Cb Cr each (PS3.3 C.7.6.3.1.2).
std::string WithFullChroma(const std::string& bytes) {
  std::string full;
  full.reserve(bytes.size() / 2 * 3);
  for (size_t i = 0; i + 3 < bytes.size(); i += 4) {
    full += {bytes[i], bytes[i + 2], bytes[i + 3], bytes[i + 1], bytes[i + 2], bytes[i + 3]};
  }
  return full;
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
  layout->high_bit = Short(data, DCM_HighBit);
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
  if (layout->high_bit < layout->bits_stored - 1 || layout->high_bit >= layout->bits_allocated) {
    layout->high_bit = layout->bits_stored - 1;  // absent or nonsense: the only value that PS3.5 8.1.1 has today
  }
  const int bits = layout->bits_allocated;
  const bool known_bits = bits == 1 || bits == 8 || bits == 16 || bits == 32;
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
                              CodeForPeople(layout->photometric), layout->samples));
  }
  if (IsSubsampled(layout->photometric) && (layout->columns % 2 != 0 || layout->bits_allocated != 8)) {
    return Reject(RejectReason::kUnsupportedPixelFormat, "subsampled chroma with an odd number of columns or 16 bits");
  }
  return std::nullopt;
}

std::optional<PixelSpacing> ReadPixelSpacing(DcmDataset& data, int frame) {
  for (const auto& [holder, tag, at_detector] :
       {std::tuple{&MacroHolder(data, frame, DCM_PixelMeasuresSequence), DCM_PixelSpacing, false},
        std::tuple{static_cast<DcmItem*>(&data), DCM_ImagerPixelSpacing, true},
        std::tuple{static_cast<DcmItem*>(&data), DCM_NominalScannedPixelSpacing, true}}) {
    const std::vector<double> values = FiniteNumbers(*holder, tag);
    if (values.size() == 2 && values[0] > 0 && values[1] > 0 && values[0] < 1000 && values[1] < 1000) {
      return PixelSpacing{values[0], values[1], at_detector};
    }
  }
  return std::nullopt;
}

DcmPixelData* FrameReader::pixels() {
  DcmElement* element = nullptr;
  const bool found = opened_->data->findAndGetElement(DCM_PixelData, element).good();
  return found && element->ident() == EVR_PixelData ? static_cast<DcmPixelData*>(element) : nullptr;
}

std::optional<Rejection> FrameReader::Check() {
  DcmPixelData* pixel_data = pixels();
  if (pixel_data == nullptr) {
    return Reject(RejectReason::kNoPixelData, "PixelData is not pixel data");
  }
  const E_TransferSyntax syntax = opened_->data->getOriginalXfer();
  if (!DcmXfer(syntax).isEncapsulated()) {
    const uint64_t needed = (NativeBits(*layout_) * static_cast<uint64_t>(layout_->frames) + 7) / 8;
    if (needed > pixel_data->getLength()) {
      return Reject(RejectReason::kTruncated, fmt::format("PixelData has {} bytes, {} frames need {}",
                                                          pixel_data->getLength(), layout_->frames, needed));
    }
    return std::nullopt;
  }
  DcmPixelSequence* sequence = nullptr;
  if (pixel_data->getEncapsulatedRepresentation(syntax, nullptr, sequence).bad() || sequence == nullptr ||
      sequence->card() < 2) {
    return Reject(RejectReason::kNoPixelData, "encapsulated pixel data without fragments");
  }
  if (sequence->card() - 1 < static_cast<unsigned long>(layout_->frames)) {
    return Reject(RejectReason::kTruncated,
                  fmt::format("{} fragments for {} frames", sequence->card() - 1, layout_->frames));
  }
  return std::nullopt;
}

// The fragments of `frame`, concatenated. With as many fragments as frames each is one frame; a single frame owns them
// all; otherwise the offset table tells.
std::optional<Rejection> FrameReader::Codestream(int frame, std::string* codestream) {
  DcmPixelSequence* sequence = nullptr;
  pixels()->getEncapsulatedRepresentation(opened_->data->getOriginalXfer(), nullptr, sequence);
  const auto fragments = static_cast<uint64_t>(sequence->card() - 1);  // item 0 is the offset table
  uint64_t first = 0;
  uint64_t count = fragments;
  if (layout_->frames > 1) {
    Uint32 start = 0;
    if (fragments == static_cast<uint64_t>(layout_->frames)) {
      first = static_cast<uint64_t>(frame);
      count = 1;
    } else if (DcmCodec::determineStartFragment(static_cast<Uint32>(frame), layout_->frames, sequence, start).good() &&
               start > 0) {
      first = start - 1;
      Uint32 next = 0;
      const bool last =
          frame + 1 >= layout_->frames ||
          DcmCodec::determineStartFragment(static_cast<Uint32>(frame + 1), layout_->frames, sequence, next).bad() ||
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

std::optional<Rejection> FrameReader::ReadNative(int frame, RawFrame* raw) {
  const uint64_t frame_bits = NativeBits(*layout_);
  const uint64_t first_bit = frame_bits * static_cast<uint64_t>(frame);
  const uint64_t offset = first_bit / 8;
  const uint64_t size = (first_bit + frame_bits + 7) / 8 - offset;
  if (offset + size > pixels()->getLength()) {
    return Reject(RejectReason::kTruncated, fmt::format("PixelData has {} bytes, frame {} ends at {}",
                                                        pixels()->getLength(), frame, offset + size));
  }
  std::string bytes(size, '\0');
  DcmFileCache cache;
  const OFCondition read =
      pixels()->getPartialValue(bytes.data(), static_cast<Uint32>(offset), static_cast<Uint32>(size), &cache);
  if (read.bad()) {
    return Reject(RejectReason::kTruncated, fmt::format("PixelData cannot be read: {}", read.text()));
  }
  if (layout_->bits_allocated == 1) {
    raw->bytes.resize(frame_bits);
    for (uint64_t i = 0; i < frame_bits; ++i) {
      const uint64_t bit = first_bit % 8 + i;
      raw->bytes[i] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) >> (bit % 8) & 1);
    }
  } else if (IsSubsampled(layout_->photometric)) {
    raw->bytes = WithFullChroma(bytes);
    raw->photometric = layout_->photometric == "YBR_FULL_422" ? "YBR_FULL" : layout_->photometric;
    raw->planar = false;
  } else {
    raw->bytes = std::move(bytes);
  }
  return std::nullopt;
}

std::optional<Rejection> FrameReader::ReadWithDcmtk(int frame, RawFrame* raw) {
  const E_TransferSyntax syntax = opened_->data->getOriginalXfer();
  const DcmXfer xfer(syntax);
  if (!DcmCodecList::canChangeCoding(syntax, EXS_LittleEndianExplicit)) {
    return Reject(RejectReason::kUnsupportedTransferSyntax, fmt::format("cannot decode {}", xfer.getXferName()));
  }
  if (layout_->bits_allocated == 1) {
    return Reject(RejectReason::kUnsupportedPixelFormat, fmt::format("samples of one bit in {}", xfer.getXferName()));
  }
  raw->bytes.resize(layout_->FrameBytes() + (layout_->FrameBytes() & 1));
  Uint32 fragment = frame == next_frame_ ? next_fragment_ : 0;  // 0: DCMTK searches
  OFString colour_model;
  const OFCondition decoded =
      pixels()->getUncompressedFrame(opened_->data.get(), static_cast<Uint32>(frame), fragment, raw->bytes.data(),
                                     static_cast<Uint32>(raw->bytes.size()), colour_model);
  if (decoded.bad()) {
    return Reject(RejectReason::kDecodeFailed, fmt::format("{}: {}", xfer.getXferName(), decoded.text()));
  }
  next_fragment_ = fragment;
  next_frame_ = frame + 1;
  raw->bytes.resize(layout_->FrameBytes());
  if (IsSubsampled(raw->photometric)) {
    raw->photometric = "YBR_FULL";
  }
  if (IsDjpeg(syntax)) {
    raw->planar = false;  // as registered
  }
  return std::nullopt;
}

std::optional<Rejection> FrameReader::Read(int frame, RawFrame* raw) {
  RegisterCodecs();
  raw->photometric = layout_->photometric;
  raw->planar = layout_->planar;
  const E_TransferSyntax syntax = opened_->data->getOriginalXfer();
  if (!DcmXfer(syntax).isEncapsulated()) {
    return ReadNative(frame, raw);
  }
  if (!IsJpeg2000(syntax) && syntax != EXS_RLELossless) {
    return ReadWithDcmtk(frame, raw);
  }
  std::string codestream;
  if (auto rejection = Codestream(frame, &codestream)) {
    return rejection;
  }
  if (IsJpeg2000(syntax)) {
    return DecodeJpeg2000(codestream, *layout_, raw);
  }
  if (layout_->bits_allocated == 1) {
    return Reject(RejectReason::kUnsupportedPixelFormat, "samples of one bit in RLE");
  }
  if (IsSubsampled(raw->photometric)) {
    raw->photometric = "YBR_FULL";  // its segments are whole
  }
  return DecodeRle(codestream, *layout_, raw);
}

}  // namespace cloister::site
