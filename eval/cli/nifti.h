#pragma once
// SPDX-License-Identifier: Apache-2.0
// Masks from NIfTI-1 files (.nii, .nii.gz), with the voxel spacing of their header. Orientation is not read: both masks
// of a case must be stored alike.

#include <filesystem>
#include <string_view>

#include "eval/metrics/segmentation.h"
#include "protocols/base/status.h"

namespace cloister::eval {

inline constexpr uint64_t kMaxVoxels = uint64_t{1} << 30;

// Voxels above 0.5 are inside. NOT_FOUND, PERMISSION_DENIED; RESOURCE_EXHAUSTED: more than kMaxVoxels;
// INVALID_ARGUMENT: names the file and what is wrong with it.
absl::StatusOr<Mask> ReadMask(const std::filesystem::path& path);
absl::StatusOr<Mask> ParseNifti(std::string_view bytes, const std::string& name);

}  // namespace cloister::eval
