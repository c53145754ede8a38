// SPDX-License-Identifier: Apache-2.0
// PS3.10 section 7.

#include "site_agent/ingest/dataset_start.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "protocols/base/file.h"

namespace cloister::site {
namespace {

constexpr int kMetaElementLimit = 1000;

size_t ReadAt(std::ifstream& in, uint64_t offset, void* out, size_t size) {
  in.clear();
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(static_cast<char*>(out), static_cast<std::streamsize>(size));
  return static_cast<size_t>(in.gcount());
}

}  // namespace

uint32_t LittleEndian(const unsigned char* bytes, int size) {
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) {
    value |= uint32_t{bytes[i]} << (8 * i);
  }
  return value;
}

uint32_t BigEndian(const unsigned char* bytes, int size) {
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) {
    value = value << 8 | bytes[i];
  }
  return value;
}

bool LooksLikeVr(const unsigned char* bytes) {
  return bytes[0] >= 'A' && bytes[0] <= 'Z' && bytes[1] >= 'A' && bytes[1] <= 'Z';
}

bool HasLongLength(const unsigned char* vr) {
  static const char* const kLong[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"};
  return std::any_of(std::begin(kLong), std::end(kLong), [&](const char* v) { return std::memcmp(v, vr, 2) == 0; });
}

absl::StatusOr<DatasetStart> FindDataset(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in.is_open()) {
    return ErrnoStatus(errno, "read", path);
  }
  DatasetStart start;
  char magic[4] = {};
  if (ReadAt(in, 128, magic, 4) == 4 && std::memcmp(magic, "DICM", 4) == 0) {
    start.has_magic = true;
    start.offset = 132;
  }
  for (int i = 0; i < kMetaElementLimit; ++i) {  // group 2 is always explicit VR little endian
    unsigned char head[12] = {};
    const size_t got = ReadAt(in, start.offset, head, sizeof(head));
    if (got < 8 || LittleEndian(head, 2) != 2 || !LooksLikeVr(head + 4)) {
      break;
    }
    start.has_meta = true;
    const bool is_long = HasLongLength(head + 4);
    const uint64_t length = is_long ? LittleEndian(head + 8, 4) : LittleEndian(head + 6, 2);
    const uint64_t value = start.offset + (is_long ? 12 : 8);
    if (LittleEndian(head + 2, 2) == 0x0010 && length <= 64) {
      std::string& uid = start.transfer_syntax_uid;
      uid.resize(length);
      uid.resize(ReadAt(in, value, uid.data(), length));
      uid.erase(std::find(uid.begin(), uid.end(), '\0'), uid.end());
      uid.erase(uid.find_last_not_of(' ') + 1);
    }
    start.offset = value + length;
  }
  return start;
}

}  // namespace cloister::site
