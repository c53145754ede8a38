// SPDX-License-Identifier: Apache-2.0
// RLE (PS3.5 Annex G). Not DCMTK's decoder: that of 3.6.7 reads wherever the offsets of the frame's header point to.

#include <fmt/format.h>

#include <string_view>

#include "site_agent/ingest/dataset_start.h"
#include "site_agent/ingest/raw_frame.h"

namespace cloister::site {
namespace {

constexpr size_t kHeaderBytes = 64;  // the number of segments and 15 offsets, 4 bytes each
constexpr size_t kMostSegments = 15;

uint32_t HeaderNumber(std::string_view frame, size_t index) {
  return LittleEndian(reinterpret_cast<const unsigned char*>(frame.data()) + 4 * index, 4);
}

// Every `step`th byte of `out`, `count` of them, from `first` on. False: the segment holds fewer, or a run leads beyond
// them. What follows the last one is padding.
bool Unpack(std::string_view segment, size_t count, size_t first, size_t step, std::string* out) {
  size_t done = 0;
  for (size_t at = 0; done < count;) {
    if (at == segment.size()) {
      return false;
    }
    const auto control = static_cast<unsigned char>(segment[at++]);
    if (control == 128) {
      continue;  // nothing
    }
    const bool repeats = control > 128;
    const size_t run = repeats ? 257 - size_t{control} : size_t{control} + 1;
    const size_t taken = repeats ? 1 : run;
    if (run > count - done || taken > segment.size() - at) {
      return false;
    }
    for (size_t i = 0; i < run; ++i) {
      (*out)[first + (done + i) * step] = segment[at + (repeats ? 0 : i)];
    }
    at += taken;
    done += run;
  }
  return true;
}

}  // namespace

std::optional<Rejection> DecodeRle(std::string_view frame, const PixelLayout& layout, RawFrame* raw) {
  const auto reject = [](std::string message) {
    return Rejection{RejectReason::kDecodeFailed, "RLE: " + std::move(message)};
  };
  if (frame.size() < kHeaderBytes) {
    return reject("a frame without its header");
  }
  const auto bytes = static_cast<size_t>(layout.BytesPerSample());
  const size_t segments = static_cast<size_t>(layout.samples) * bytes;  // at most 3 * 4
  if (HeaderNumber(frame, 0) != segments || segments > kMostSegments) {
    return reject(fmt::format("{} segments, where the pixels need {}", HeaderNumber(frame, 0), segments));
  }
  const size_t count = layout.SampleCount();
  raw->bytes.assign(layout.FrameBytes(), '\0');
  for (size_t segment = 0; segment < segments; ++segment) {
    const size_t begin = HeaderNumber(frame, segment + 1);
    const size_t end = segment + 1 < segments ? HeaderNumber(frame, segment + 2) : frame.size();
    if (begin < kHeaderBytes || begin > end || end > frame.size()) {
      return reject("segments that are not within the frame");
    }
    const size_t sample = segment / bytes;
    const size_t byte = bytes - 1 - segment % bytes;  // the most significant one has the first segment
    const size_t first = (raw->planar ? sample * count : sample) * bytes + byte;
    const size_t step = raw->planar ? bytes : bytes * static_cast<size_t>(layout.samples);
    if (!Unpack(frame.substr(begin, end - begin), count, first, step, &raw->bytes)) {
      return reject(fmt::format("segment {} does not hold {} bytes", segment + 1, count));
    }
  }
  return std::nullopt;
}

}  // namespace cloister::site
