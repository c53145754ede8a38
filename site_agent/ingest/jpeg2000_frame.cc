// SPDX-License-Identifier: Apache-2.0
// JPEG 2000 and HTJ2K through OpenJPEG; DCMTK decodes neither. The codestream's own size is checked before anything is
// allocated for it. OpenJPEG is strict unless told otherwise: a codestream that ends early is an error.

#include <fmt/format.h>
#include <openjpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>

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

struct Input {
  const std::string* bytes = nullptr;
  size_t position = 0;
};

OPJ_SIZE_T ReadInput(void* buffer, OPJ_SIZE_T size, void* user) {
  auto& input = *static_cast<Input*>(user);
  const size_t count = std::min<size_t>(size, input.bytes->size() - input.position);
  if (count == 0) {
    return static_cast<OPJ_SIZE_T>(-1);
  }
  std::memcpy(buffer, input.bytes->data() + input.position, count);
  input.position += count;
  return count;
}

OPJ_OFF_T SkipInput(OPJ_OFF_T count, void* user) {
  auto& input = *static_cast<Input*>(user);
  const size_t left = input.bytes->size() - input.position;
  if (count < 0 || static_cast<uint64_t>(count) > left) {
    return -1;
  }
  input.position += static_cast<size_t>(count);
  return count;
}

OPJ_BOOL SeekInput(OPJ_OFF_T position, void* user) {
  auto& input = *static_cast<Input*>(user);
  if (position < 0 || static_cast<uint64_t>(position) > input.bytes->size()) {
    return OPJ_FALSE;
  }
  input.position = static_cast<size_t>(position);
  return OPJ_TRUE;
}

// Keeps the first complaint, one line of OpenJPEG's own words.
void Complain(const char* message, void* user) {
  auto& complaint = *static_cast<std::string*>(user);
  if (complaint.empty()) {
    complaint = message;
    complaint.erase(complaint.find_last_not_of("\n") + 1);
  }
}

struct ImageDeleter {
  void operator()(opj_image_t* image) const { opj_image_destroy(image); }
};
struct CodecDeleter {
  void operator()(opj_codec_t* codec) const { opj_destroy_codec(codec); }
};
struct StreamDeleter {
  void operator()(opj_stream_t* stream) const { opj_stream_destroy(stream); }
};
using Image = std::unique_ptr<opj_image_t, ImageDeleter>;

// Null with a complaint.
Image Decode(const std::string& codestream, std::string* complaint) {
  const bool jp2 = codestream.compare(0, 2, "\xff\x4f", 2) != 0;
  const std::unique_ptr<opj_codec_t, CodecDeleter> codec(opj_create_decompress(jp2 ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K));
  const std::unique_ptr<opj_stream_t, StreamDeleter> stream(opj_stream_default_create(OPJ_TRUE));
  if (codec == nullptr || stream == nullptr) {
    *complaint = "out of memory";
    return nullptr;
  }
  Input input{&codestream, 0};
  opj_stream_set_read_function(stream.get(), ReadInput);
  opj_stream_set_skip_function(stream.get(), SkipInput);
  opj_stream_set_seek_function(stream.get(), SeekInput);
  opj_stream_set_user_data(stream.get(), &input, nullptr);
  opj_stream_set_user_data_length(stream.get(), codestream.size());
  opj_set_error_handler(codec.get(), Complain, complaint);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t* raw_image = nullptr;
  const bool begun = opj_setup_decoder(codec.get(), &parameters) == OPJ_TRUE &&
                     opj_read_header(stream.get(), codec.get(), &raw_image) == OPJ_TRUE;
  Image image(raw_image);
  if (!begun || opj_decode(codec.get(), stream.get(), image.get()) != OPJ_TRUE) {
    if (complaint->empty()) {
      *complaint = "cannot be decoded";
    }
    return nullptr;
  }
  return image;
}

template <typename Sample>
void Interleave(const opj_image_t& image, std::string* bytes) {
  const size_t components = image.numcomps;
  const size_t count = size_t{image.comps[0].w} * image.comps[0].h;
  bytes->resize(count * components * sizeof(Sample));
  for (size_t c = 0; c < components; ++c) {
    const OPJ_INT32* data = image.comps[c].data;
    for (size_t i = 0; i < count; ++i) {
      const auto sample = static_cast<Sample>(data[i]);
      std::memcpy(bytes->data() + (i * components + c) * sizeof(Sample), &sample, sizeof(Sample));
    }
  }
}

}  // namespace

std::optional<Rejection> DecodeJpeg2000(const std::string& codestream, const PixelLayout& layout, RawFrame* raw) {
  const std::optional<Siz> siz = FindSiz(codestream);
  if (!siz) {
    return Rejection{RejectReason::kDecodeFailed, "not a JPEG 2000 codestream"};
  }
  if (siz->width != static_cast<uint64_t>(layout.columns) || siz->height != static_cast<uint64_t>(layout.rows) ||
      siz->components != static_cast<uint32_t>(layout.samples) || siz->bits > 16 || layout.bits_allocated > 16 ||
      (siz->bits > 8) != (layout.bits_allocated > 8)) {
    return Rejection{RejectReason::kDecodeFailed, "the JPEG 2000 codestream differs from the header"};
  }
  std::string complaint;
  const Image image = Decode(codestream, &complaint);
  if (image == nullptr) {
    return Rejection{RejectReason::kDecodeFailed, "JPEG 2000: " + complaint};
  }
  for (OPJ_UINT32 c = 0; c < image->numcomps; ++c) {
    const opj_image_comp_t& component = image->comps[c];
    if (component.data == nullptr || component.w != static_cast<OPJ_UINT32>(layout.columns) ||
        component.h != static_cast<OPJ_UINT32>(layout.rows)) {
      return Rejection{RejectReason::kDecodeFailed, "JPEG 2000: components of different sizes"};
    }
  }
  if (image->numcomps != static_cast<OPJ_UINT32>(layout.samples)) {
    return Rejection{RejectReason::kDecodeFailed, "JPEG 2000: wrong number of components"};
  }
  layout.bits_allocated > 8 ? Interleave<uint16_t>(*image, &raw->bytes) : Interleave<uint8_t>(*image, &raw->bytes);
  if (layout.samples == 3) {
    raw->photometric = layout.photometric == "YBR_FULL" ? "YBR_FULL" : "RGB";  // the codec undoes RCT and ICT
    raw->planar = false;
  }
  return std::nullopt;
}

}  // namespace cloister::site
