#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where the dataset of a DICOM file begins and what its file meta information says about it, looked up without parsing
// more than that. Internal to ingest.

#include <cstdint>
#include <filesystem>
#include <string>

#include "protocols/base/status.h"

namespace cloister::site {

// Integers of 1 to 4 bytes.
uint32_t LittleEndian(const unsigned char* bytes, int size);
uint32_t BigEndian(const unsigned char* bytes, int size);

// Two capital letters, as every value representation there is or will be.
bool LooksLikeVr(const unsigned char* bytes);
// One whose length has four bytes in explicit VR (PS3.5 7.1.2).
bool HasLongLength(const unsigned char* vr);

struct DatasetStart {
  uint64_t offset = 0;              // of its first element
  bool has_magic = false;           // "DICM" after the preamble
  bool has_meta = false;            // elements of group 2 precede it
  std::string transfer_syntax_uid;  // "": the meta information has none
};

// Preamble and meta information are skipped element by element: (0002,0000), which is often wrong, is not looked at.
// NOT_FOUND, PERMISSION_DENIED: the file.
absl::StatusOr<DatasetStart> FindDataset(const std::filesystem::path& path);

}  // namespace cloister::site
