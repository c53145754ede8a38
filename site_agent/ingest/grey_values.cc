// SPDX-License-Identifier: Apache-2.0
// The grayscale pipeline of PS3.4 N.2, without the presentation LUT.

#include "site_agent/ingest/grey_values.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "site_agent/ingest/functional_groups.h"

namespace cloister::site {
namespace {

template <typename Stored>
void Unpack(const RawFrame& raw, const PixelLayout& layout, std::vector<float>* values) {
  const int above = 8 * layout.BytesPerSample() - 1 - layout.high_bit;
  const int unused = 8 * layout.BytesPerSample() - layout.bits_stored;
  for (size_t i = 0; i < values->size(); ++i) {
    std::make_unsigned_t<Stored> bits;
    std::memcpy(&bits, raw.bytes.data() + i * sizeof(bits), sizeof(bits));
    bits = static_cast<std::make_unsigned_t<Stored>>(bits << above);  // drops what lies above the stored bits
    (*values)[i] = static_cast<float>(static_cast<Stored>(bits) >> unused);
  }
}

// A LUT with its descriptor (number of entries, first value mapped, bits).
struct Lut {
  std::vector<float> entries;
  double first = 0;
  double maximum = 1;  // the largest output its bits can hold

  float operator()(double x) const {
    const double index = std::clamp(x - first, 0.0, static_cast<double>(entries.size() - 1));
    return entries[static_cast<size_t>(index)];
  }
};

std::optional<Lut> ReadLut(DcmItem& item, const DcmTagKey& descriptor, const DcmTagKey& data, bool is_signed) {
  Uint16 count = 0;
  Uint16 first = 0;
  Uint16 bits = 0;
  const bool described = item.findAndGetUint16(descriptor, count, 0).good() &&
                         item.findAndGetUint16(descriptor, first, 1).good() &&
                         item.findAndGetUint16(descriptor, bits, 2).good();
  const Uint16* words = nullptr;
  unsigned long available = 0;
  if (!described || bits == 0 || bits > 16 || item.findAndGetUint16Array(data, words, &available).bad() ||
      words == nullptr) {
    return std::nullopt;
  }
  const size_t entries = count == 0 ? 65536 : count;
  Lut lut;
  lut.first = is_signed ? static_cast<double>(static_cast<Sint16>(first)) : static_cast<double>(first);
  lut.maximum = std::pow(2.0, bits) - 1;
  if (available >= entries) {
    lut.entries.assign(words, words + entries);
  } else if (bits <= 8 && available * 2 >= entries) {  // two 8-bit entries in each word
    for (size_t i = 0; i < entries; ++i) {
      lut.entries.push_back(static_cast<float>((words[i / 2] >> (8 * (i % 2))) & 0xff));
    }
  } else {
    return std::nullopt;
  }
  return lut;
}

void Linear(std::vector<float>* values, double center, double width, const std::string& function) {
  for (float& value : *values) {
    double y = 0;
    if (function == "SIGMOID") {
      y = 1 / (1 + std::exp(-4 * (value - center) / width));
    } else if (function == "LINEAR_EXACT" || width <= 1) {
      y = (value - center) / width + 0.5;
    } else {
      y = (value - (center - 0.5)) / (width - 1) + 0.5;
    }
    value = static_cast<float>(std::clamp(y, 0.0, 1.0));
  }
}

void MinimumToMaximum(const std::vector<bool>& padding, std::vector<float>* values) {
  float low = INFINITY;
  float high = -INFINITY;
  for (size_t i = 0; i < values->size(); ++i) {
    if (padding.empty() || !padding[i]) {
      low = std::min(low, (*values)[i]);
      high = std::max(high, (*values)[i]);
    }
  }
  const float range = high > low ? high - low : 1.0f;
  for (float& value : *values) {
    value = std::isfinite(low) ? std::clamp((value - low) / range, 0.0f, 1.0f) : 0.0f;
  }
}

float SampleAsByte(const RawFrame& raw, const PixelLayout& layout, uint64_t index) {
  if (layout.bits_allocated == 8) {
    return static_cast<float>(static_cast<unsigned char>(raw.bytes[index]));
  }
  const auto size = static_cast<size_t>(layout.BytesPerSample());
  uint32_t sample = 0;
  std::memcpy(&sample, raw.bytes.data() + index * size, size);  // little endian, as every machine we build for
  return static_cast<float>(sample * 255.0 / (std::pow(2.0, layout.bits_stored) - 1));
}

std::optional<Rejection> PaletteLuma(DcmDataset& data, const RawFrame& raw, const PixelLayout& layout,
                                     std::vector<float>* values) {
  const auto red =
      ReadLut(data, DCM_RedPaletteColorLookupTableDescriptor, DCM_RedPaletteColorLookupTableData, layout.is_signed);
  const auto green =
      ReadLut(data, DCM_GreenPaletteColorLookupTableDescriptor, DCM_GreenPaletteColorLookupTableData, layout.is_signed);
  const auto blue =
      ReadLut(data, DCM_BluePaletteColorLookupTableDescriptor, DCM_BluePaletteColorLookupTableData, layout.is_signed);
  if (!red || !green || !blue) {
    return Rejection{RejectReason::kUnsupportedPixelFormat, "a palette is missing, segmented or broken"};
  }
  *values = StoredValues(raw, layout);
  for (float& value : *values) {
    value = static_cast<float>((0.299 * (*red)(value) / red->maximum + 0.587 * (*green)(value) / green->maximum +
                                0.114 * (*blue)(value) / blue->maximum) *
                               255);
  }
  return std::nullopt;
}

}  // namespace

std::vector<float> StoredValues(const RawFrame& raw, const PixelLayout& layout) {
  std::vector<float> values(layout.SampleCount());
  switch (layout.bits_allocated) {
    case 1:
    case 8:
      layout.is_signed ? Unpack<int8_t>(raw, layout, &values) : Unpack<uint8_t>(raw, layout, &values);
      break;
    case 16:
      layout.is_signed ? Unpack<int16_t>(raw, layout, &values) : Unpack<uint16_t>(raw, layout, &values);
      break;
    default:
      layout.is_signed ? Unpack<int32_t>(raw, layout, &values) : Unpack<uint32_t>(raw, layout, &values);
  }
  return values;
}

std::optional<Rejection> Luma(DcmDataset& data, const RawFrame& raw, const PixelLayout& layout,
                              std::vector<float>* values) {
  if (layout.samples == 1) {
    return PaletteLuma(data, raw, layout, values);
  }
  const uint64_t count = layout.SampleCount();
  values->resize(count);
  const uint64_t pixel_step = raw.planar ? 1 : 3;
  const uint64_t sample_step = raw.planar ? count : 1;
  const bool rgb = raw.photometric == "RGB";
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = i * pixel_step;
    const float first = SampleAsByte(raw, layout, at);
    (*values)[i] = !rgb ? first  // of YBR the first sample is the luma
                        : 0.299f * first + 0.587f * SampleAsByte(raw, layout, at + sample_step) +
                              0.114f * SampleAsByte(raw, layout, at + 2 * sample_step);
  }
  return std::nullopt;
}

void ApplyModalityLut(DcmDataset& data, const PixelLayout& layout, int frame, std::vector<float>* values) {
  if (DcmItem* item = FirstItem(data, DCM_ModalityLUTSequence)) {
    if (const auto lut = ReadLut(*item, DCM_LUTDescriptor, DCM_LUTData, layout.is_signed)) {
      for (float& value : *values) {
        value = (*lut)(value);
      }
      return;
    }
  }
  DcmItem& holder = MacroHolder(data, frame, DCM_PixelValueTransformationSequence);
  double slope = 1;
  double intercept = 0;
  if (!FiniteNumber(holder, DCM_RescaleSlope, &slope) || slope == 0) {
    slope = 1;
  }
  FiniteNumber(holder, DCM_RescaleIntercept, &intercept);
  if (slope != 1 || intercept != 0) {
    for (float& value : *values) {
      value = static_cast<float>(value * slope + intercept);
    }
  }
}

void ApplyVoi(DcmDataset& data, const PixelLayout& layout, int frame,
              const std::optional<DecodeOptions::Window>& window, const std::vector<bool>& padding,
              std::vector<float>* values) {
  if (window) {
    Linear(values, window->center, window->width, "LINEAR_EXACT");
    return;
  }
  DcmItem& holder = MacroHolder(data, frame, DCM_FrameVOILUTSequence);
  double center = 0;
  double width = 0;
  if (FiniteNumber(holder, DCM_WindowCenter, &center) && FiniteNumber(holder, DCM_WindowWidth, &width) && width > 0) {
    OFString function;
    holder.findAndGetOFString(DCM_VOILUTFunction, function);
    Linear(values, center, width, function.c_str());
    return;
  }
  if (DcmItem* item = FirstItem(data, DCM_VOILUTSequence)) {
    if (const auto lut = ReadLut(*item, DCM_LUTDescriptor, DCM_LUTData, layout.is_signed)) {
      for (float& value : *values) {
        value = static_cast<float>((*lut)(value) / lut->maximum);
      }
      return;
    }
  }
  MinimumToMaximum(padding, values);
}

std::vector<bool> PaddingMask(DcmDataset& data, const PixelLayout& layout, const std::vector<float>& stored) {
  const auto value_of = [&](const DcmTagKey& tag, double* value) {
    Uint16 word = 0;
    Sint16 number = 0;
    if (data.findAndGetUint16(tag, word).good()) {
      *value = layout.is_signed ? static_cast<double>(static_cast<Sint16>(word)) : word;
      return true;
    }
    if (data.findAndGetSint16(tag, number).good()) {
      *value = number;
      return true;
    }
    return false;
  };
  double from = 0;
  if (!value_of(DCM_PixelPaddingValue, &from)) {
    return {};
  }
  double to = from;
  value_of(DCM_PixelPaddingRangeLimit, &to);
  if (to < from) {
    std::swap(from, to);
  }
  std::vector<bool> mask(stored.size());
  for (size_t i = 0; i < stored.size(); ++i) {
    mask[i] = stored[i] >= from && stored[i] <= to;
  }
  return mask;
}

}  // namespace cloister::site
