// SPDX-License-Identifier: Apache-2.0
// An iterative walk over DICOM elements in every transfer syntax.

#include "site_agent/ingest/nesting_guard.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcistrmf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "protocols/base/file.h"

namespace cloister::site {
namespace {

constexpr size_t kMaxDepth = 2 * 64;  // a sequence and its item are two frames
constexpr uint64_t kMaxElements = 2'000'000;
constexpr uint64_t kInflateLimitBytes = uint64_t{64} << 20;
constexpr uint32_t kUndefined = 0xffffffff;
constexpr uint64_t kNoEnd = std::numeric_limits<uint64_t>::max();
constexpr uint32_t kItem = 0xfffee000;
constexpr uint32_t kItemEnd = 0xfffee00d;
constexpr uint32_t kSequenceEnd = 0xfffee0dd;
constexpr uint32_t kPixelData = 0x7fe00010;

// Bytes at an offset: of the file, or of its inflated dataset.
class Source {
 public:
  virtual ~Source() = default;
  virtual size_t Read(uint64_t offset, char* out, size_t size) = 0;
};

class FileSource final : public Source {
 public:
  explicit FileSource(const std::filesystem::path& path) : in_(path, std::ios::binary) {}
  bool is_open() const { return in_.is_open(); }
  size_t Read(uint64_t offset, char* out, size_t size) override {
    if (offset > static_cast<uint64_t>(std::numeric_limits<std::streamoff>::max())) {
      return 0;
    }
    in_.clear();
    if (offset != position_) {
      in_.seekg(static_cast<std::streamoff>(offset));
    }
    in_.read(out, static_cast<std::streamsize>(size));
    const auto count = static_cast<size_t>(in_.gcount());
    position_ = offset + count;
    return count;
  }

 private:
  std::ifstream in_;
  uint64_t position_ = 0;
};

class MemorySource final : public Source {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  size_t Read(uint64_t offset, char* out, size_t size) override {
    if (offset >= bytes_.size()) {
      return 0;
    }
    size = std::min<size_t>(size, bytes_.size() - offset);
    std::memcpy(out, bytes_.data() + offset, size);
    return size;
  }

 private:
  std::string bytes_;
};

uint32_t Little(const unsigned char* p, int size) {
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) {
    value |= uint32_t{p[i]} << (8 * i);
  }
  return value;
}

uint32_t Big(const unsigned char* p, int size) {
  uint32_t value = 0;
  for (int i = 0; i < size; ++i) {
    value = value << 8 | p[i];
  }
  return value;
}

bool LooksLikeVr(const unsigned char* p) {
  return p[0] >= 'A' && p[0] <= 'Z' && p[1] >= 'A' && p[1] <= 'Z';
}

bool HasLongLength(const unsigned char* vr) {
  static const char* const kLong[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"};
  return std::any_of(std::begin(kLong), std::end(kLong), [&](const char* v) { return std::memcmp(v, vr, 2) == 0; });
}

struct Element {
  uint32_t tag = 0;
  uint32_t length = 0;
  uint64_t value_offset = 0;
  bool sequence = false;   // SQ, or UN of undefined length
  bool fragments = false;  // OB or OW of undefined length: items of raw bytes
  bool implicit_inside = false;
};

struct Syntax {
  bool big_endian = false;
  bool implicit_vr = false;
};

class Walker {
 public:
  Walker(Source& source, Syntax syntax) : source_(source), syntax_(syntax) {}

  absl::Status Walk(uint64_t position, uint64_t limit_bytes) {
    const uint64_t limit = position + limit_bytes;
    Element element;
    for (uint64_t count = 0;; ++count) {
      while (!frames_.empty() && frames_.back().end <= position) {
        frames_.pop_back();
      }
      if (!ReadElement(position, element) || (element.tag == kPixelData && frames_.empty())) {
        return absl::OkStatus();  // the end, or something only DCMTK can judge
      }
      if (position > limit || count > kMaxElements) {
        return absl::ResourceExhaustedError("the header is too large");
      }
      if (frames_.size() > kMaxDepth) {
        return absl::InvalidArgumentError("sequences are nested more than 64 deep");
      }
      position = Advance(element);
    }
  }

 private:
  struct Frame {
    uint64_t end = kNoEnd;
    bool implicit_vr = false;
    bool fragments = false;
  };

  bool implicit_vr() const { return frames_.empty() ? syntax_.implicit_vr : frames_.back().implicit_vr; }
  uint32_t Number(const unsigned char* p, int size) const {
    return syntax_.big_endian ? Big(p, size) : Little(p, size);
  }
  uint32_t Tag(const unsigned char* p) const { return Number(p, 2) << 16 | Number(p + 2, 2); }

  bool ReadElement(uint64_t position, Element& element) {
    unsigned char head[12] = {};
    const size_t got = source_.Read(position, reinterpret_cast<char*>(head), sizeof(head));
    if (got < 8) {
      return false;
    }
    element = Element();
    element.tag = Tag(head);
    element.implicit_inside = implicit_vr();
    element.value_offset = position + 8;
    if (element.tag == kItem || element.tag == kItemEnd || element.tag == kSequenceEnd || implicit_vr()) {
      element.length = Number(head + 4, 4);
      element.sequence = element.length == kUndefined || StartsWithItem(element);
    } else if (!HasLongLength(head + 4)) {
      element.length = Number(head + 6, 2);
    } else {
      if (got < 12) {
        return false;
      }
      element.value_offset = position + 12;
      element.length = Number(head + 8, 4);
      const bool unknown = std::memcmp(head + 4, "UN", 2) == 0;
      element.sequence = std::memcmp(head + 4, "SQ", 2) == 0 || (unknown && element.length == kUndefined);
      element.fragments = !element.sequence && element.length == kUndefined;
      element.implicit_inside = unknown;
    }
    return true;
  }

  // In implicit VR only the dictionary tells a sequence; whatever begins with an item is walked like one.
  bool StartsWithItem(const Element& element) {
    unsigned char head[4] = {};
    return element.length >= 8 && source_.Read(element.value_offset, reinterpret_cast<char*>(head), 4) == 4 &&
           Tag(head) == kItem;
  }

  // Enters, leaves or skips `element`; returns where the next one begins.
  uint64_t Advance(const Element& element) {
    const uint64_t outer_end = frames_.empty() ? kNoEnd : frames_.back().end;
    const uint64_t end =
        element.length == kUndefined ? outer_end : std::min(outer_end, element.value_offset + element.length);
    if (element.tag == kItemEnd || element.tag == kSequenceEnd) {
      if (!frames_.empty()) {
        frames_.pop_back();
      }
      return element.value_offset;
    }
    const bool raw_item = element.tag == kItem && !frames_.empty() && frames_.back().fragments;
    if (!raw_item && (element.tag == kItem || element.sequence || element.fragments)) {
      frames_.push_back({end, element.implicit_inside, element.fragments});
      return element.value_offset;
    }
    return end == kNoEnd ? element.value_offset : end;
  }

  Source& source_;
  Syntax syntax_;
  std::vector<Frame> frames_;
};

// Skips preamble and file meta information; the transfer syntax is where the dataset says it is, as DCMTK does.
struct Start {
  uint64_t dataset = 0;
  std::string transfer_syntax;
};

Start FindDataset(Source& source) {
  Start start;
  char magic[4] = {};
  if (source.Read(128, magic, 4) == 4 && std::memcmp(magic, "DICM", 4) == 0) {
    start.dataset = 132;
  }
  while (true) {  // group 2 is always explicit VR little endian
    unsigned char head[12] = {};
    const size_t got = source.Read(start.dataset, reinterpret_cast<char*>(head), sizeof(head));
    if (got < 8 || Little(head, 2) != 2 || !LooksLikeVr(head + 4)) {
      return start;
    }
    const bool is_long = HasLongLength(head + 4);
    const uint64_t length = is_long ? Little(head + 8, 4) : Little(head + 6, 2);
    const uint64_t value = start.dataset + (is_long ? 12 : 8);
    if (Little(head + 2, 2) == 0x0010 && length <= 64) {
      start.transfer_syntax.resize(length);
      start.transfer_syntax.resize(source.Read(value, start.transfer_syntax.data(), length));
      start.transfer_syntax.erase(std::find(start.transfer_syntax.begin(), start.transfer_syntax.end(), '\0'),
                                  start.transfer_syntax.end());
    }
    start.dataset = value + length;
  }
}

Syntax GuessSyntax(Source& source, uint64_t position) {
  unsigned char head[8] = {};
  source.Read(position, reinterpret_cast<char*>(head), sizeof(head));
  Syntax syntax;
  syntax.big_endian = Little(head, 2) > 0x00ff && Big(head, 2) <= 0x00ff;
  syntax.implicit_vr = !LooksLikeVr(head + 4);
  return syntax;
}

std::string Inflate(const std::filesystem::path& path, uint64_t offset) {
  DcmInputFileStream stream(OFFilename(path.c_str()), static_cast<offile_off_t>(offset));
  std::string bytes;
  if (stream.status().bad() || stream.installCompressionFilter(ESC_zlib).bad()) {
    return bytes;
  }
  std::vector<char> chunk(1 << 16);
  while (stream.good() && !stream.eos() && bytes.size() < kInflateLimitBytes) {
    const offile_off_t got = stream.read(chunk.data(), static_cast<offile_off_t>(chunk.size()));
    if (got <= 0) {
      break;
    }
    bytes.append(chunk.data(), static_cast<size_t>(got));
  }
  return bytes;
}

}  // namespace

absl::Status CheckNesting(const std::filesystem::path& path, uint64_t limit_bytes) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return error ? ErrnoStatus(error.value(), "read", path)
                 : absl::InvalidArgumentError(path.filename().string() + " is not a file");
  }
  FileSource file(path);
  if (!file.is_open()) {
    return ErrnoStatus(errno, "read", path);
  }
  const Start start = FindDataset(file);
  if (start.transfer_syntax == "1.2.840.10008.1.2.1.99") {
    MemorySource inflated(Inflate(path, start.dataset));
    return Walker(inflated, GuessSyntax(inflated, 0)).Walk(0, limit_bytes);
  }
  return Walker(file, GuessSyntax(file, start.dataset)).Walk(start.dataset, limit_bytes);
}

}  // namespace cloister::site
