// SPDX-License-Identifier: Apache-2.0
#include "site_agent/ingest/colour_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "site_agent/ingest/open_dataset.h"
#include "site_agent/ingest/raw_frame.h"

namespace cloister::site {
namespace {

uint8_t Byte(double value) {
  return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
}

// PS3.3 C.7.6.3.1.2.
void ToRgb(const std::string& photometric, const double in[3], uint8_t out[3]) {
  double y = in[0];
  const double cb = in[1] - 128;
  const double cr = in[2] - 128;
  if (photometric == "RGB") {
    out[0] = Byte(in[0]);
    out[1] = Byte(in[1]);
    out[2] = Byte(in[2]);
  } else if (photometric.rfind("YBR_PARTIAL", 0) == 0) {
    y = 255.0 / 219 * (y - 16);
    const double scale = 255.0 / 224;
    out[0] = Byte(y + 1.402 * scale * cr);
    out[1] = Byte(y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) * scale / 0.587);
    out[2] = Byte(y + 1.772 * scale * cb);
  } else {
    out[0] = Byte(y + 1.402 * cr);
    out[1] = Byte(y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587);
    out[2] = Byte(y + 1.772 * cb);
  }
}

// The upper eight bits of a sample.
double Sample(const RawFrame& raw, const PixelLayout& layout, uint64_t index) {
  if (layout.bits_allocated == 8) {
    return static_cast<unsigned char>(raw.bytes[index]);
  }
  uint16_t sample = 0;
  std::memcpy(&sample, raw.bytes.data() + index * 2, 2);
  return layout.bits_stored > 8 ? sample >> (layout.bits_stored - 8) : sample;
}

std::variant<ColourImage, Rejection> Decode(const std::filesystem::path& path, int frame) {
  auto outcome = OpenDataset(path, ReadUpTo::kEnd);
  if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
    return *rejection;
  }
  OpenedDataset& opened = std::get<OpenedDataset>(outcome);
  PixelLayout layout;
  DecodeOptions options;
  options.frame = frame;
  if (auto rejection = ReadLayout(*opened.data, options, &layout)) {
    return *rejection;
  }
  if (layout.samples != 3 || layout.bits_allocated > 16) {
    return Rejection{RejectReason::kUnsupportedPixelFormat,
                     fmt::format("{} is no photograph in colour of 8 or 16 bits", CodeForPeople(layout.photometric))};
  }
  FrameReader reader(&opened, &layout);
  if (auto rejection = reader.Check()) {
    return *rejection;
  }
  RawFrame raw;
  if (auto rejection = reader.Read(frame, &raw)) {
    return *rejection;
  }
  ColourImage image;
  image.rows = layout.rows;
  image.columns = layout.columns;
  image.pixel_spacing = ReadPixelSpacing(*opened.data, frame);
  const uint64_t count = layout.SampleCount();
  image.rgb.resize(count * 3);
  const uint64_t pixel_step = raw.planar ? 1 : 3;
  const uint64_t sample_step = raw.planar ? count : 1;
  for (uint64_t i = 0; i < count; ++i) {
    const double in[3] = {Sample(raw, layout, i * pixel_step), Sample(raw, layout, i * pixel_step + sample_step),
                          Sample(raw, layout, i * pixel_step + 2 * sample_step)};
    ToRgb(raw.photometric, in, image.rgb.data() + i * 3);
  }
  return image;
}

int Brightest(const ColourImage& image, size_t pixel) {
  const uint8_t* rgb = image.rgb.data() + pixel * 3;
  return std::max({rgb[0], rgb[1], rgb[2]});
}

// An eighth of what the bright part of the picture has: below it lies the black around the disc, noise and all.
int LitFrom(const ColourImage& image) {
  std::vector<size_t> histogram(256);
  const size_t pixels = image.rgb.size() / 3;
  for (size_t i = 0; i < pixels; ++i) {
    ++histogram[static_cast<size_t>(Brightest(image, i))];
  }
  size_t above = 0;
  int bright = 255;
  for (; bright > 0 && above < pixels / 20; --bright) {
    above += histogram[static_cast<size_t>(bright)];
  }
  return std::max(12, bright / 8);
}

// First and last index with at least `least`; false when there is none.
bool Extent(const std::vector<int>& counts, int least, int* first, int* length) {
  const auto enough = [&](int count) { return count >= least; };
  const auto begin = std::find_if(counts.begin(), counts.end(), enough);
  const auto end = std::find_if(counts.rbegin(), counts.rend(), enough).base();
  *first = static_cast<int>(begin - counts.begin());
  *length = static_cast<int>(end - begin);
  return begin != counts.end();
}

}  // namespace

std::variant<ColourImage, Rejection> DecodeColour(const std::filesystem::path& path, int frame) {
  try {
    return Decode(path, frame);
  } catch (const std::exception& error) {
    return FromException(error);
  }
}

std::optional<FieldOfView> FindFieldOfView(const ColourImage& image) {
  if (image.rows == 0 || image.columns == 0) {
    return std::nullopt;
  }
  std::vector<int> in_row(static_cast<size_t>(image.rows));
  std::vector<int> in_column(static_cast<size_t>(image.columns));
  const int lit = LitFrom(image);
  size_t pixel = 0;
  for (int& row : in_row) {
    for (int& column : in_column) {
      const bool is_lit = Brightest(image, pixel++) >= lit;
      row += is_lit ? 1 : 0;
      column += is_lit ? 1 : 0;
    }
  }
  FieldOfView box;
  if (!Extent(in_row, std::max(1, image.columns / 50), &box.top, &box.height) ||
      !Extent(in_column, std::max(1, image.rows / 50), &box.left, &box.width)) {
    return std::nullopt;
  }
  const bool large = 5.0 * box.width * box.height >= 1.0 * image.rows * image.columns;
  const bool round = box.width <= 2 * box.height && box.height <= 2 * box.width;
  return large && round ? std::optional<FieldOfView>(box) : std::nullopt;
}

ColourImage Crop(const ColourImage& image, const FieldOfView& box) {
  ColourImage cropped;
  cropped.rows = box.height;
  cropped.columns = box.width;
  cropped.pixel_spacing = image.pixel_spacing;
  for (int y = box.top; y < box.top + box.height; ++y) {
    const auto from = image.rgb.begin() + (static_cast<std::ptrdiff_t>(y) * image.columns + box.left) * 3;
    cropped.rgb.insert(cropped.rgb.end(), from, from + static_cast<std::ptrdiff_t>(box.width) * 3);
  }
  return cropped;
}

}  // namespace cloister::site
