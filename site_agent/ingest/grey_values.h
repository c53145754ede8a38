#pragma once
// SPDX-License-Identifier: Apache-2.0
// From stored samples to grey values: modality LUT, VOI, and luma of colour (PS3.3 C.7.6.3, C.11.1, C.11.2).
// Internal to ingest.

#include <vector>

#include "site_agent/ingest/raw_frame.h"

namespace cloister::site {

// Stored samples of a single-sample frame as numbers: sign and unused high bits resolved. float32 [rows, columns].
std::vector<float> StoredValues(const RawFrame& raw, const PixelLayout& layout);

// BT.601 luma, 0 to 255 whatever the bit depth. A rejection: a palette that is missing or broken.
std::optional<Rejection> Luma(DcmDataset& data, const RawFrame& raw, const PixelLayout& layout,
                              std::vector<float>* values);

// Rescale slope and intercept, or the modality LUT; an absent, empty or zero slope changes nothing.
void ApplyModalityLut(DcmDataset& data, const PixelLayout& layout, int frame, std::vector<float>* values);

// To 0..1: `window`, else the file's first window, else its first VOI LUT, else minimum to maximum without padding.
void ApplyVoi(DcmDataset& data, const PixelLayout& layout, int frame,
              const std::optional<DecodeOptions::Window>& window, const std::vector<bool>& padding,
              std::vector<float>* values);

// Which pixels hold PixelPaddingValue (or its range). Empty when the file declares none.
std::vector<bool> PaddingMask(DcmDataset& data, const PixelLayout& layout, const std::vector<float>& stored);

}  // namespace cloister::site
