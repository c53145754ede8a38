// SPDX-License-Identifier: Apache-2.0
#include "eval/cli/nifti.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cmath>
#include <cstring>

#include "protocols/base/file.h"

namespace cloister::eval {
namespace {

constexpr size_t kHeaderBytes = 348;

absl::Status Bad(const std::string& name, std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", name, what));
}

template <typename T>
T ReadAt(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

template <typename T>
void Threshold(std::string_view bytes, std::vector<uint8_t>& voxels) {
  for (size_t i = 0; i < voxels.size(); ++i) {
    voxels[i] = ReadAt<T>(bytes, i * sizeof(T)) > static_cast<T>(0.5) ? 1 : 0;
  }
}

struct Type {
  int16_t code;
  size_t bytes;
  void (*threshold)(std::string_view, std::vector<uint8_t>&);
};
constexpr Type kTypes[] = {{2, 1, Threshold<uint8_t>},    {4, 2, Threshold<int16_t>},   {8, 4, Threshold<int32_t>},
                           {16, 4, Threshold<float>},     {64, 8, Threshold<double>},   {256, 1, Threshold<int8_t>},
                           {512, 2, Threshold<uint16_t>}, {768, 4, Threshold<uint32_t>}};

absl::StatusOr<std::string> Inflate(const std::string& bytes, const std::string& name) {
  z_stream stream = {};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) {
    return absl::InternalError("zlib does not start");
  }
  std::string out;
  std::string block(size_t{1} << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  int result = Z_OK;
  while (result == Z_OK && out.size() <= 8 * kMaxVoxels + kHeaderBytes) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(block.data(), block.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (result == Z_OK) {
    return absl::ResourceExhaustedError(fmt::format("{}: larger than {} voxels", name, kMaxVoxels));
  }
  if (result != Z_STREAM_END) {
    return Bad(name, "is cut off or no gzip file");
  }
  return out;
}

}  // namespace

absl::StatusOr<Mask> ParseNifti(std::string_view bytes, const std::string& name) {
  if (bytes.size() < kHeaderBytes + 4 || ReadAt<int32_t>(bytes, 0) != static_cast<int32_t>(kHeaderBytes) ||
      bytes.substr(344, 3) != "n+1") {
    return Bad(name, "is not a NIfTI-1 file in one piece, little endian (.nii, .nii.gz)");
  }
  const int dimensions = ReadAt<int16_t>(bytes, 40);
  Mask mask;
  uint64_t voxels = 1;
  for (int axis = 0; axis < 7; ++axis) {
    const int length = axis < dimensions ? ReadAt<int16_t>(bytes, 42 + 2 * axis) : 1;
    if (dimensions < 2 || dimensions > 7 || length < 1 || (axis >= 3 && length != 1)) {
      return Bad(name, "is not an image of two or three dimensions");
    }
    voxels *= static_cast<uint64_t>(length);
    if (axis < 3) {
      mask.size[axis] = static_cast<uint32_t>(length);
      mask.spacing_mm[axis] = axis < dimensions ? std::abs(ReadAt<float>(bytes, 80 + 4 * axis)) : 1;
      if (!(mask.spacing_mm[axis] > 0 && mask.spacing_mm[axis] < 1e4)) {
        return Bad(name, "its voxel spacing is not a number of millimetres above 0");
      }
    }
  }
  if (voxels > kMaxVoxels) {
    return absl::ResourceExhaustedError(fmt::format("{}: larger than {} voxels", name, kMaxVoxels));
  }
  if (const int units = bytes[123] & 7; units != 0 && units != 2) {
    return Bad(name, "its unit of length is not the millimetre");
  }
  const float slope = ReadAt<float>(bytes, 112);
  if (slope != 0 && slope != 1) {
    return Bad(name, "its values are scaled; store the mask as 0 and 1");
  }
  const float offset = ReadAt<float>(bytes, 108);
  for (const Type& type : kTypes) {
    if (type.code == ReadAt<int16_t>(bytes, 70)) {
      if (!(offset >= kHeaderBytes && offset <= static_cast<float>(bytes.size())) ||
          bytes.size() - static_cast<size_t>(offset) < voxels * type.bytes) {
        return Bad(name, "is shorter than its header says");
      }
      mask.voxels.resize(voxels);
      type.threshold(bytes.substr(static_cast<size_t>(offset)), mask.voxels);
      return mask;
    }
  }
  return Bad(name, "its voxels are neither whole numbers nor floats");
}

absl::StatusOr<Mask> ReadMask(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, 8 * kMaxVoxels + kHeaderBytes));
  if (bytes.size() >= 2 && bytes.compare(0, 2, "\x1f\x8b") == 0) {
    CLOISTER_ASSIGN_OR_RETURN(bytes, Inflate(bytes, path.string()));
  }
  return ParseNifti(bytes, path.string());
}

}  // namespace cloister::eval
