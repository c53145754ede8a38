#pragma once
// SPDX-License-Identifier: Apache-2.0
// Looks over a DICOM file before DCMTK parses it. DCMTK recurses into nested sequences without a limit and builds an
// object per element, so that a file of a few hundred kilobytes can overflow the stack of the process that holds the
// keys. Not a validator: what it does not understand it leaves to DCMTK.

#include <cstdint>
#include <filesystem>

#include "protocols/base/status.h"

namespace cloister::site {

// Walks the elements before the pixel data without recursion. NOT_FOUND, PERMISSION_DENIED: the file.
// INVALID_ARGUMENT: sequences nested more than 64 deep. OUT_OF_RANGE: a deflated dataset that ends within an element.
// RESOURCE_EXHAUSTED: more than `limit_bytes` or two million elements before the pixel data, or more than 1 GiB of a
// deflated dataset.
absl::Status CheckNesting(const std::filesystem::path& path, uint64_t limit_bytes);

}  // namespace cloister::site
