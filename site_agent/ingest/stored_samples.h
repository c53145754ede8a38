#pragma once
// SPDX-License-Identifier: Apache-2.0
// All frames of an image as the samples that are stored in it, one frame in memory at a time: what the file holds
// before any colour, rescale or window. Internal to ingest and deidentify.

#include <functional>
#include <optional>
#include <string>

#include "protocols/base/bytes.h"
#include "site_agent/ingest/raw_frame.h"

namespace cloister::site {

// Frames in order, each [rows, columns, samples] or, where the file keeps colour planes, [samples, rows, columns];
// little endian, 1, 2 or 4 bytes a sample, samples of one bit as 0 or 1. Bits above BitsStored are as the codec left
// them and, in native signed samples, the sign. Subsampled chroma is repeated. A rejection: the first frame that cannot
// be read.
std::optional<Rejection> ForEachFrame(OpenedDataset& opened, const PixelLayout& layout,
                                      const std::function<void(const RawFrame& frame)>& visit);

// SHA-256 of those bytes; samples of one bit are packed, eight to a byte, the first in the lowest bit, without a gap
// between frames. Two files with the same digest hold the same pixels, however they are encoded.
std::variant<Digest, Rejection> DigestOfSamples(OpenedDataset& opened, const PixelLayout& layout);

}  // namespace cloister::site
