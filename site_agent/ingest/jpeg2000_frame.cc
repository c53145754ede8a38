// SPDX-License-Identifier: Apache-2.0
// JPEG 2000 through GDCM (OpenJPEG), which DCMTK does not decode. The codestream's own size is checked before anything
// is allocated for it.

#include <gdcmDataElement.h>
#include <gdcmFragment.h>
#include <gdcmJPEG2000Codec.h>
#include <gdcmSequenceOfFragments.h>
#include <gdcmTrace.h>

#include <cstring>
#include <exception>
#include <mutex>

#include "site_agent/ingest/raw_frame.h"

namespace cloister::site {
namespace {

uint32_t Big(const std::string& s, size_t at, int size) {
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(s[at + i]);
  }
  return value;
}

// What the SIZ marker segment announces (ISO 15444-1 A.5.1).
struct Siz {
  uint64_t width = 0;
  uint64_t height = 0;
  uint32_t components = 0;
  int bits = 0;  // of the first component
  bool is_signed = false;
};

std::optional<Siz> FindSiz(const std::string& codestream) {
  static const std::string kStart("\xff\x4f\xff\x51", 4);  // SOC, then SIZ at once; a JP2 has boxes before it
  const size_t at = codestream.find(kStart);
  if (at == std::string::npos || at + 43 > codestream.size()) {
    return std::nullopt;
  }
  const size_t siz =
      at + 4;  // Lsiz(2) Rsiz(2) Xsiz Ysiz XOsiz YOsiz (4 each) XTsiz YTsiz XTOsiz YTOsiz Csiz(2) Ssiz(1)
  const uint64_t x1 = Big(codestream, siz + 4, 4);
  const uint64_t y1 = Big(codestream, siz + 8, 4);
  const uint64_t x0 = Big(codestream, siz + 12, 4);
  const uint64_t y0 = Big(codestream, siz + 16, 4);
  if (x1 <= x0 || y1 <= y0) {
    return std::nullopt;
  }
  const uint32_t depth = Big(codestream, siz + 38, 1);
  return Siz{x1 - x0, y1 - y0, Big(codestream, siz + 36, 2), static_cast<int>(depth & 0x7f) + 1, (depth & 0x80) != 0};
}

bool Decode(const std::string& codestream, const PixelLayout& layout, bool lossless, std::string* out) {
  static std::once_flag once;
  std::call_once(once,
                 [] { gdcm::Trace::SetDebug(false), gdcm::Trace::SetWarning(false), gdcm::Trace::SetError(false); });
  gdcm::PixelFormat format(static_cast<unsigned short>(layout.samples),
                           static_cast<unsigned short>(layout.bits_allocated),
                           static_cast<unsigned short>(layout.bits_stored),
                           static_cast<unsigned short>(layout.bits_stored - 1), layout.is_signed ? 1 : 0);
  gdcm::JPEG2000Codec codec;
  const unsigned int dimensions[3] = {static_cast<unsigned>(layout.columns), static_cast<unsigned>(layout.rows), 1};
  codec.SetDimensions(dimensions);
  codec.SetNumberOfDimensions(2);
  codec.SetPlanarConfiguration(0);
  codec.SetPixelFormat(format);
  codec.SetPhotometricInterpretation(gdcm::PhotometricInterpretation::GetPIType(layout.photometric.c_str()));
  codec.SetLossyFlag(!lossless);

  gdcm::Fragment fragment;
  fragment.SetByteValue(codestream.data(), gdcm::VL(static_cast<uint32_t>(codestream.size())));
  gdcm::SmartPointer<gdcm::SequenceOfFragments> sequence = new gdcm::SequenceOfFragments;
  sequence->AddFragment(fragment);
  gdcm::DataElement in(gdcm::Tag(0x7fe0, 0x0010), 0, gdcm::VR::OB);
  in.SetValue(*sequence);
  gdcm::DataElement decoded;
  if (!codec.Decode(in, decoded) || decoded.GetByteValue() == nullptr) {
    return false;
  }
  out->assign(decoded.GetByteValue()->GetPointer(), decoded.GetByteValue()->GetLength());
  return true;
}

}  // namespace

std::optional<Rejection> DecodeJpeg2000(const std::string& codestream, const PixelLayout& layout, bool lossless,
                                        RawFrame* raw) {
  const std::optional<Siz> siz = FindSiz(codestream);
  if (!siz) {
    return Rejection{RejectReason::kDecodeFailed, "not a JPEG 2000 codestream"};
  }
  if (siz->width != static_cast<uint64_t>(layout.columns) || siz->height != static_cast<uint64_t>(layout.rows) ||
      siz->components != static_cast<uint32_t>(layout.samples) || siz->bits > 16 || layout.bits_allocated > 16 ||
      (siz->bits > 8) != (layout.bits_allocated > 8)) {
    return Rejection{RejectReason::kDecodeFailed, "the JPEG 2000 codestream differs from the header"};
  }
  try {
    if (!Decode(codestream, layout, lossless, &raw->bytes)) {
      return Rejection{RejectReason::kDecodeFailed, "JPEG 2000: the codestream cannot be decoded"};
    }
  } catch (const std::exception& error) {
    return Rejection{RejectReason::kDecodeFailed, std::string("JPEG 2000: ") + error.what()};
  }
  if (raw->bytes.size() != layout.FrameBytes()) {
    return Rejection{RejectReason::kDecodeFailed, "JPEG 2000: wrong number of samples"};
  }
  if (layout.samples == 3) {
    raw->photometric = layout.photometric == "YBR_FULL" ? "YBR_FULL" : "RGB";  // the codec undoes RCT and ICT
    raw->planar = false;
  }
  return std::nullopt;
}

}  // namespace cloister::site
