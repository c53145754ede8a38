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
#include "site_agent/ingest/dataset_start.h"

namespace cloister::site {
namespace {

constexpr size_t kMaxDepth = 2 * 64;  // a sequence and its item are two frames
constexpr uint64_t kMaxElements = 2'000'000;
constexpr uint64_t kInflateKeptBytes = uint64_t{64} << 20;
constexpr uint64_t kInflateLimitBytes = uint64_t{1} << 30;
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

struct Element {
  uint32_t tag = 0;
  uint32_t length = 0;
  uint64_t value_offset = 0;
  bool sequence = false;   // SQ, or UN with items in it
  bool fragments = false;  // OB or OW of undefined length: items of raw bytes
  bool implicit_inside = false;
  bool big_endian_inside = false;
};

struct Syntax {
  bool big_endian = false;
  bool implicit_vr = false;
};

class Walker {
 public:
  // `size` of a source that DCMTK would make room in memory for, whatever an element claims to take; else kNoEnd.
  Walker(Source& source, Syntax syntax, uint64_t size) : source_(source), syntax_(syntax), size_(size) {}

  absl::Status Walk(uint64_t position, uint64_t limit_bytes) {
    const uint64_t limit = position + limit_bytes;
    Element element;
    for (uint64_t count = 0;; ++count) {
      while (!frames_.empty() && frames_.back().end <= position) {
        frames_.pop_back();
      }
      if (!ReadElement(position, element)) {
        return absl::OkStatus();  // the end, or something only DCMTK can judge
      }
      if (element.length != kUndefined && element.value_offset + element.length > size_) {
        return absl::OutOfRangeError("ends within an element");
      }
      if (element.tag == kPixelData && frames_.empty()) {
        return absl::OkStatus();
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
    bool big_endian = false;
    bool fragments = false;
  };

  bool implicit_vr() const { return frames_.empty() ? syntax_.implicit_vr : frames_.back().implicit_vr; }
  bool big_endian() const { return frames_.empty() ? syntax_.big_endian : frames_.back().big_endian; }
  uint32_t Number(const unsigned char* p, int size) const {
    return big_endian() ? BigEndian(p, size) : LittleEndian(p, size);
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
    element.big_endian_inside = big_endian();
    element.value_offset = position + 8;
    if (element.tag == kItem || element.tag == kItemEnd || element.tag == kSequenceEnd || implicit_vr()) {
      element.length = Number(head + 4, 4);
      element.sequence = element.length == kUndefined || StartsWithItem(element, big_endian());
    } else if (!HasLongLength(head + 4)) {
      element.length = Number(head + 6, 2);
    } else {
      if (got < 12) {
        return false;
      }
      element.value_offset = position + 12;
      element.length = Number(head + 8, 4);
      const bool unknown = std::memcmp(head + 4, "UN", 2) == 0;
      element.sequence = std::memcmp(head + 4, "SQ", 2) == 0 ||
                         (unknown && (element.length == kUndefined || StartsWithItem(element, false)));
      element.fragments = !element.sequence && element.length == kUndefined;
      if (unknown) {  // DCMTK reads what it knows better: in implicit VR little endian, as PS3.5 6.2.2 has it
        element.implicit_inside = true;
        element.big_endian_inside = false;
      }
    }
    return true;
  }

  // In implicit VR and under UN only the dictionary tells a sequence; whatever begins with an item is walked like one.
  bool StartsWithItem(const Element& element, bool big_endian) {
    unsigned char head[4] = {};
    if (element.length < 8 || source_.Read(element.value_offset, reinterpret_cast<char*>(head), 4) != 4) {
      return false;
    }
    const auto number = big_endian ? BigEndian : LittleEndian;
    return (number(head, 2) << 16 | number(head + 2, 2)) == kItem;
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
      frames_.push_back({end, element.implicit_inside, element.big_endian_inside, element.fragments});
      return element.value_offset;
    }
    return end == kNoEnd ? element.value_offset : end;
  }

  Source& source_;
  Syntax syntax_;
  uint64_t size_;
  std::vector<Frame> frames_;
};

Syntax GuessSyntax(Source& source, uint64_t position) {
  unsigned char head[8] = {};
  source.Read(position, reinterpret_cast<char*>(head), sizeof(head));
  Syntax syntax;
  syntax.big_endian = LittleEndian(head, 2) > 0x00ff && BigEndian(head, 2) <= 0x00ff;
  syntax.implicit_vr = !LooksLikeVr(head + 4);
  return syntax;
}

struct Inflated {
  std::string bytes;  // the first kInflateKeptBytes
  uint64_t size = 0;
};

// The dataset. RESOURCE_EXHAUSTED: there is more of it than DCMTK, which keeps all of it in memory, is to be given.
absl::StatusOr<Inflated> Inflate(const std::filesystem::path& path, uint64_t offset) {
  DcmInputFileStream stream(OFFilename(path.c_str()), static_cast<offile_off_t>(offset));
  Inflated inflated;
  if (stream.status().bad() || stream.installCompressionFilter(ESC_zlib).bad()) {
    return inflated;
  }
  std::vector<char> chunk(1 << 16);
  while (stream.good() && !stream.eos()) {
    const offile_off_t got = stream.read(chunk.data(), static_cast<offile_off_t>(chunk.size()));
    if (got <= 0) {
      break;
    }
    inflated.size += static_cast<uint64_t>(got);
    if (inflated.size > kInflateLimitBytes) {
      return absl::ResourceExhaustedError("more than 1 GiB once it is inflated");
    }
    if (inflated.bytes.size() < kInflateKeptBytes) {
      inflated.bytes.append(chunk.data(), static_cast<size_t>(got));
    }
  }
  return inflated;
}

}  // namespace

absl::Status CheckNesting(const std::filesystem::path& path, uint64_t limit_bytes) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return error ? ErrnoStatus(error.value(), "read", path)
                 : absl::InvalidArgumentError(path.filename().string() + " is not a file");
  }
  CLOISTER_ASSIGN_OR_RETURN(const DatasetStart start, FindDataset(path));
  if (start.transfer_syntax_uid == "1.2.840.10008.1.2.1.99") {
    CLOISTER_ASSIGN_OR_RETURN(Inflated inflated, Inflate(path, start.offset));
    MemorySource source(std::move(inflated.bytes));
    return Walker(source, GuessSyntax(source, 0), inflated.size).Walk(0, limit_bytes);
  }
  FileSource file(path);
  if (!file.is_open()) {
    return ErrnoStatus(errno, "read", path);
  }
  return Walker(file, GuessSyntax(file, start.offset), kNoEnd).Walk(start.offset, limit_bytes);
}

}  // namespace cloister::site
