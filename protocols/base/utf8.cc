// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/utf8.h"

#include <cstdint>
#include <optional>

namespace cloister {
namespace {

// Cuts the first character off `text`, which is not empty. None: it is malformed.
std::optional<uint32_t> TakeCharacter(std::string_view& text) {
  const auto byte = [&](size_t k) -> uint32_t { return k < text.size() ? static_cast<uint8_t>(text[k]) : 0; };
  const uint32_t first = byte(0);
  size_t size = 1;
  uint32_t code = first;
  if (first >= 0xf0) {
    size = 4;
    code = first & 0x07;
  } else if (first >= 0xe0) {
    size = 3;
    code = first & 0x0f;
  } else if (first >= 0x80) {
    size = 2;
    code = first & 0x1f;
  }
  if (first >= 0xf8 || (first >= 0x80 && first < 0xc0)) return std::nullopt;
  for (size_t k = 1; k < size; ++k) {
    if ((byte(k) & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(k) & 0x3f);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return std::nullopt;
  text.remove_prefix(size);
  return code;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    if (!TakeCharacter(text)) return false;
  }
  return true;
}

bool IsPlainUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::optional<uint32_t> code = TakeCharacter(text);
    if (!code || *code < 0x20 || (*code >= 0x7f && *code < 0xa0)) return false;
  }
  return true;
}

}  // namespace cloister
