#pragma once
// SPDX-License-Identifier: Apache-2.0
// Identities in the pixels themselves: text burned into regions, overlays in bits that the image does not use.
// Internal to deidentify.

#include <vector>

#include "protocols/base/status.h"
#include "site_agent/deidentify/deidentifier.h"
#include "site_agent/ingest/open_dataset.h"

namespace cloister::site {

// The rule for this file, or null. FAILED_PRECONDITION: BurnedInAnnotation is YES and there is no rule.
absl::StatusOr<const BurnedInRule*> RuleFor(DcmDataset& data, const std::vector<BurnedInRule>& rules);

// Decodes all frames, blackens `regions` (cut to the frame) in each, clears the bits above BitsStored, and puts the
// pixels back in native encoding. INVALID_ARGUMENT: a frame cannot be decoded; more than 1 GiB of pixels.
absl::Status BlankPixels(OpenedDataset& opened, const std::vector<PixelRectangle>& regions);

}  // namespace cloister::site
