// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

namespace cloister::update {
namespace {

constexpr size_t kLengthBytes = 8;

absl::Status Malformed(const std::string& what) {
  return absl::InvalidArgumentError("not a safetensors file: " + what);
}

std::optional<TensorType> TypeFromName(std::string_view name) {
  if (name == "F64") return TensorType::kF64;
  if (name == "F32") return TensorType::kF32;
  if (name == "F16") return TensorType::kF16;
  if (name == "BF16") return TensorType::kBF16;
  if (name == "I64") return TensorType::kI64;
  return std::nullopt;
}

bool IsBatchCounter(std::string_view name) {
  constexpr std::string_view kSuffix = "num_batches_tracked";
  return name.size() >= kSuffix.size() && name.substr(name.size() - kSuffix.size()) == kSuffix;
}

// A name out of the file, fit for a message or a log.
std::string Printable(std::string_view text) {
  std::string shown(text.substr(0, 64));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return shown;
}

// Reads the one JSON shape a header may have, event by event: nothing is built that was not asked for, keys that come
// twice are seen, and nesting is bounded by the shape itself.
//   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"key": "text"}}
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(ImportMode mode, SafetensorsHeader& header) : mode_(mode), header_(header) {}

  const std::string& error() const { return error_; }

  bool null() override { return Refuse("null"); }
  bool boolean(bool) override { return Refuse("true or false"); }
  bool number_integer(number_integer_t) override { return Refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Refuse("a number that is not whole"); }
  bool binary(binary_t&) override { return Refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (entry_.shape.size() == Layout::kMaxDimensions) return Fail(Named("has too many dimensions"));
      entry_.shape.push_back(value);
      return true;
    }
    if (place_ == Place::kOffsets) {
      if (offsets_ == 2) return Fail(Named("has more than two data_offsets"));
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    return Refuse("a number");
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[key_] = value;
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") return Refuse("text");
    const std::optional<TensorType> type = TypeFromName(value);
    if (!type) return Fail(Named(fmt::format("is of type {}, which is not supported", Printable(value))));
    entry_.type = *type;
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      place_ = key_ == "__metadata__" ? Place::kMetadata : Place::kTensor;
      entry_ = {};
      entry_.name = key_;
      offsets_ = 0;
      fields_.clear();
    } else {
      return Refuse("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::kTop) {
      if (!names_.insert(key).second) return Fail(fmt::format("\"{}\" is there twice", Printable(key)));
      if (names_.size() > Layout::kMaxTensors) return Fail("too many tensors");
    } else if (place_ == Place::kTensor) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        return Fail(Named(fmt::format("has an unknown field \"{}\"", Printable(key))));
      }
      if (!fields_.insert(key).second) return Fail(Named(fmt::format("has {} twice", key)));
    } else if (header_.metadata.count(key) != 0) {
      return Fail(fmt::format("metadata \"{}\" is there twice", Printable(key)));
    }
    key_ = key;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      if (fields_.size() != 3 || offsets_ != 2) return Fail(Named("lacks dtype, shape or data_offsets"));
      if (!TakeEntry()) return false;
      place_ = Place::kTop;
    } else if (place_ == Place::kMetadata) {
      place_ = Place::kTop;
    } else {
      place_ = Place::kEnd;
    }
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || key_ == "dtype") return Refuse("a list");
    place_ = key_ == "shape" ? Place::kShape : Place::kOffsets;
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    return Fail(fmt::format("the header is not JSON at byte {}", position));
  }

 private:
  enum class Place { kStart, kTop, kTensor, kShape, kOffsets, kMetadata, kEnd };

  bool TakeEntry() {
    if (entry_.type == TensorType::kI64 && !(mode_ == ImportMode::kConvert && IsBatchCounter(entry_.name))) {
      return Fail(Named("is of type I64, which is not supported"));
    }
    if (mode_ == ImportMode::kStrict && entry_.type != TensorType::kF32) {
      return Fail(Named("is not of type F32: convert the file first"));
    }
    const absl::StatusOr<uint64_t> elements = ElementCount(entry_.shape);
    if (!elements.ok()) return Fail(Named(fmt::format("has {}", std::string(elements.status().message()))));
    if (entry_.end < entry_.begin || entry_.end - entry_.begin != *elements * TypeSizeBytes(entry_.type)) {
      return Fail(Named(fmt::format("has {} elements, which do not fill its data_offsets", *elements)));
    }
    header_.entries.push_back(std::move(entry_));
    return true;
  }

  std::string Named(const std::string& what) const {
    return fmt::format("tensor \"{}\" {}", Printable(entry_.name), what);
  }
  bool Refuse(const char* what) { return Fail(fmt::format("{} where the header has none", what)); }
  bool Fail(std::string error) {
    error_ = std::move(error);
    return false;
  }

  ImportMode mode_;
  SafetensorsHeader& header_;
  Place place_ = Place::kStart;
  std::string key_;
  std::set<std::string> names_;
  std::set<std::string> fields_;
  SafetensorsEntry entry_;
  int offsets_ = 0;
  std::string error_;
};

// Every byte of the data belongs to exactly one tensor. Makes offsets absolute.
absl::Status PlaceEntries(SafetensorsHeader& header, uint64_t data_bytes) {
  std::vector<SafetensorsEntry>& entries = header.entries;
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t end = 0;
  for (SafetensorsEntry& entry : entries) {
    if (entry.begin != end) {
      return Malformed(fmt::format("tensor \"{}\" {}", Printable(entry.name),
                                   entry.begin < end ? "overlaps another" : "leaves a gap before it"));
    }
    end = entry.end;
    if (end > data_bytes) {
      return Malformed(
          fmt::format("truncated: tensor \"{}\" ends at byte {} of {}", Printable(entry.name), end, data_bytes));
    }
    entry.begin += header.data_begin;
    entry.end += header.data_begin;
  }
  if (end != data_bytes) return Malformed(fmt::format("{} bytes after the last tensor", data_bytes - end));
  std::sort(entries.begin(), entries.end(),
            [](const SafetensorsEntry& a, const SafetensorsEntry& b) { return a.name < b.name; });
  return absl::OkStatus();
}

}  // namespace

size_t TypeSizeBytes(TensorType type) {
  switch (type) {
    case TensorType::kF64:
    case TensorType::kI64:
      return 8;
    case TensorType::kF32:
      return 4;
    case TensorType::kF16:
    case TensorType::kBF16:
      return 2;
  }
  return 0;
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(ByteView file, ImportMode mode) {
  if (file.size() < kLengthBytes) return Malformed("shorter than its length field");
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= uint64_t{static_cast<uint8_t>(file[i])} << (8 * i);
  if (length > kMaxSafetensorsHeaderBytes) {
    return Malformed(fmt::format("a header of {} bytes; at most {} are read", length, kMaxSafetensorsHeaderBytes));
  }
  if (length > file.size() - kLengthBytes) return Malformed("truncated within its header");
  SafetensorsHeader header;
  header.data_begin = kLengthBytes + length;
  const ByteView json = file.substr(kLengthBytes, length);
  if (json.empty() || json[0] != '{') return Malformed("the header does not begin with {");
  // The JSON library takes a zero byte for the end of its input.
  if (json.find('\0') != ByteView::npos) return Malformed("the header is not JSON: it holds a zero byte");
  HeaderReader reader(mode, header);
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) return Malformed(reader.error());
  CLOISTER_RETURN_IF_ERROR(PlaceEntries(header, file.size() - header.data_begin));
  return header;
}

Bytes SafetensorsPrefix(const Layout& layout, std::map<std::string, std::string> metadata) {
  metadata["format"] = "pt";
  // Written by hand: names escaped by the library, everything else in the one order that is the format's.
  Bytes json =
      "{\"__metadata__\":" + nlohmann::json(metadata).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  for (const Tensor& tensor : layout.tensors()) {
    json += fmt::format(R"(,{}:{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                        nlohmann::json(tensor.name).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace),
                        fmt::join(tensor.shape, ","), 4 * tensor.offset, 4 * (tensor.offset + tensor.elements));
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');
  CanonicalWriter writer;
  writer.U64(json.size()).Fixed(json);
  return writer.Take();
}

}  // namespace cloister::update
