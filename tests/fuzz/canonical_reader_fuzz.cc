// SPDX-License-Identifier: Apache-2.0
// The canonical encoding: what is read in any order of types and written again is the bytes that were read.
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

enum Type : size_t { kU8, kU32, kU64, kBlob, kDigest, kFixed, kTypes };
constexpr size_t kFixedBytes = 3;

// Copies one value; false at the end of what can be read.
bool CopyOne(size_t type, CanonicalReader& reader, CanonicalWriter& writer) {
  const auto copy = [](const auto& value, auto put) {
    if (value.ok()) put(*value);
    return value.ok();
  };
  switch (type) {
    case kU8:
      return copy(reader.U8(), [&](uint8_t value) { writer.U8(value); });
    case kU32:
      return copy(reader.U32(), [&](uint32_t value) { writer.U32(value); });
    case kU64:
      return copy(reader.U64(), [&](uint64_t value) { writer.U64(value); });
    case kBlob:
      return copy(reader.Blob(), [&](const Bytes& value) { writer.Blob(value); });
    case kDigest:
      return copy(reader.TakeDigest(), [&](const Digest& value) { writer.Put(value); });
    default:
      return copy(reader.Fixed(kFixedBytes), [&](const Bytes& value) { writer.Fixed(value); });
  }
}

}  // namespace

// [number of types - 1 | types | encoding]
void FuzzOne(ByteView input) {
  const size_t count = 1 + TakeChoice(input, 32);
  if (count > input.size()) return;
  const ByteView types = input.substr(0, count);
  input.remove_prefix(count);
  CanonicalReader reader(input);
  CanonicalWriter writer;
  for (const char type : types) {
    if (!CopyOne(static_cast<unsigned char>(type) % kTypes, reader, writer)) return;
  }
  RequireSame(writer.bytes(), input.substr(0, input.size() - reader.remaining()), "a value is written as it was read");
  Require(reader.Finish().ok() == (reader.remaining() == 0), "Finish refuses what is left over, and only that");
}

std::vector<Bytes> Seeds() {
  CanonicalWriter writer;
  writer.U8(1).U32(2).U64(3).Blob("blob").Put(Digest()).Fixed("abc");
  return {Bytes("\x05\x00\x01\x02\x03\x04\x05", 7) + writer.bytes()};
}

}  // namespace cloister::fuzz
