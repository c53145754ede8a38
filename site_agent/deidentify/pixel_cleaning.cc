// SPDX-License-Identifier: Apache-2.0
#include "site_agent/deidentify/pixel_cleaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "site_agent/ingest/stored_samples.h"

namespace cloister::site {
namespace {

constexpr uint64_t kPixelLimitBytes = uint64_t{1} << 30;

std::string Text(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  item.findAndGetOFString(tag, value);
  return std::string(value.c_str(), value.size());
}

int Number(DcmItem& item, const DcmTagKey& tag) {
  Uint16 value = 0;
  item.findAndGetUint16(tag, value);
  return value;
}

// What black is, per sample of a pixel.
uint32_t Black(const PixelLayout& layout, const RawFrame& frame, int sample) {
  const uint32_t all = layout.bits_stored >= 32 ? 0xffffffffu : (1u << layout.bits_stored) - 1;
  if (frame.photometric == "MONOCHROME1") {
    return layout.is_signed ? all >> 1 : all;
  }
  if (frame.photometric == "MONOCHROME2" && layout.is_signed) {
    return 1u << (layout.bits_stored - 1);  // the most negative; written with the bits above cleared
  }
  const bool chroma = frame.photometric.rfind("YBR", 0) == 0 && sample > 0;
  return chroma ? (all >> 1) + 1 : 0;
}

void Blacken(const PixelLayout& layout, const PixelRectangle& region, RawFrame& frame) {
  const auto size = static_cast<size_t>(layout.BytesPerSample());
  const int right = std::min(layout.columns, region.left + region.width);
  const int bottom = std::min(layout.rows, region.top + region.height);
  const size_t pixel_step = frame.planar ? 1 : static_cast<size_t>(layout.samples);
  const size_t sample_step = frame.planar ? layout.SampleCount() : 1;
  for (int sample = 0; sample < layout.samples; ++sample) {
    const uint32_t black = Black(layout, frame, sample);  // little endian, as every machine we build for
    for (int y = std::max(0, region.top); y < bottom; ++y) {
      for (int x = std::max(0, region.left); x < right; ++x) {
        const size_t pixel = static_cast<size_t>(y) * static_cast<size_t>(layout.columns) + static_cast<size_t>(x);
        const size_t at = pixel * pixel_step + static_cast<size_t>(sample) * sample_step;
        std::memcpy(frame.bytes.data() + at * size, &black, size);
      }
    }
  }
}

void ClearUnusedBits(const PixelLayout& layout, RawFrame& frame) {
  if (layout.bits_allocated != 16 && layout.bits_allocated != 8) {
    return;
  }
  const int low = layout.high_bit - layout.bits_stored + 1;
  const uint32_t mask = ((1u << layout.bits_stored) - 1) << low;
  const auto size = static_cast<size_t>(layout.BytesPerSample());
  for (size_t at = 0; at + size <= frame.bytes.size(); at += size) {
    uint16_t sample = 0;
    std::memcpy(&sample, frame.bytes.data() + at, size);
    sample = static_cast<uint16_t>(sample & mask);
    std::memcpy(frame.bytes.data() + at, &sample, size);
  }
}

absl::Status PutPixels(DcmDataset& data, const PixelLayout& layout, const RawFrame& last, std::string bytes) {
  if (bytes.size() % 2 == 1) {
    bytes += '\0';
  }
  delete data.remove(DCM_PixelData);
  OFCondition put;
  if (layout.bits_allocated == 8) {
    put = data.putAndInsertUint8Array(DCM_PixelData, reinterpret_cast<const Uint8*>(bytes.data()),
                                      static_cast<unsigned long>(bytes.size()));
  } else {
    std::vector<Uint16> words(bytes.size() / 2);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    put = data.putAndInsertUint16Array(DCM_PixelData, words.data(), static_cast<unsigned long>(words.size()));
  }
  if (put.good()) {
    put = data.putAndInsertString(DCM_PhotometricInterpretation, last.photometric.c_str());
  }
  if (put.good() && layout.samples > 1) {
    put = data.putAndInsertUint16(DCM_PlanarConfiguration, last.planar ? 1 : 0);
  }
  return put.good() ? absl::OkStatus() : absl::InternalError(fmt::format("putting pixels back: {}", put.text()));
}

}  // namespace

absl::StatusOr<const BurnedInRule*> RuleFor(DcmDataset& data, const std::vector<BurnedInRule>& rules) {
  const auto matches = [](const std::string& wanted, const std::string& have) {
    return wanted.empty() || wanted == have;
  };
  for (const BurnedInRule& rule : rules) {
    if (matches(rule.modality, Text(data, DCM_Modality)) && matches(rule.manufacturer, Text(data, DCM_Manufacturer)) &&
        matches(rule.manufacturer_model_name, Text(data, DCM_ManufacturerModelName)) &&
        (rule.rows == 0 || rule.rows == Number(data, DCM_Rows)) &&
        (rule.columns == 0 || rule.columns == Number(data, DCM_Columns))) {
      return &rule;
    }
  }
  if (Text(data, DCM_BurnedInAnnotation) == "YES" && data.tagExists(DCM_PixelData)) {
    return absl::FailedPreconditionError(
        "the file says that text is burned into its pixels, and no rule of burned_in says where for this device");
  }
  return nullptr;
}

absl::Status BlankPixels(OpenedDataset& opened, const std::vector<PixelRectangle>& regions) {
  PixelLayout layout;
  if (const auto rejection = ReadLayout(*opened.data, {}, &layout)) {
    return absl::InvalidArgumentError(rejection->message);
  }
  if (layout.bits_allocated == 1) {
    return absl::InvalidArgumentError("pixels of one bit cannot be blanked");
  }
  if (layout.FrameBytes() * static_cast<uint64_t>(layout.frames) > kPixelLimitBytes) {
    return absl::InvalidArgumentError("more than 1 GiB of pixels");
  }
  std::string bytes;
  RawFrame last;
  const auto rejection = ForEachFrame(opened, layout, [&](const RawFrame& frame) {
    last = frame;
    ClearUnusedBits(layout, last);
    for (const PixelRectangle& region : regions) {
      Blacken(layout, region, last);
    }
    bytes += last.bytes;
  });
  if (rejection) {
    return absl::InvalidArgumentError(rejection->message);
  }
  return PutPixels(*opened.data, layout, last, std::move(bytes));
}

}  // namespace cloister::site
