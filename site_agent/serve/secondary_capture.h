#pragma once
// SPDX-License-Identifier: Apache-2.0
// A rendered result page as a Secondary Capture image in the study of the film it is about, for the many viewers that
// cannot show an SR. The page itself is drawn by the worker.

#include <absl/time/time.h>

#include <filesystem>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "site_agent/serve/result_sr.h"

namespace cloister::site {

struct CapturePage {
  int rows = 0;
  int columns = 0;
  Bytes rgb;  // uint8 [rows, columns, 3]
};

// INVALID_ARGUMENT: `source` cannot be read; rows or columns outside 1 to 8192; rgb of another size.
absl::StatusOr<WrittenInstance> WriteSecondaryCapture(const std::filesystem::path& source,
                                                      const ReleaseIdentity& release, const CapturePage& page,
                                                      absl::Time created, const std::filesystem::path& folder);

}  // namespace cloister::site
