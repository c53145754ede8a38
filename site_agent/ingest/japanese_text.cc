// SPDX-License-Identifier: Apache-2.0
#include "site_agent/ingest/japanese_text.h"

#include <iconv.h>

#include <algorithm>

namespace cloister::site {
namespace {

enum class Graphic { kAscii, kRoman, kKanji, kSupplementary, kOther };

struct Escape {
  const char* bytes;
  Graphic to_g0;
};

// PS3.3 C.12.1.1.2. Half-width katakana (ESC 2/9 4/9) is in G1 and needs no switch: its bytes are above 0xa0.
constexpr Escape kEscapes[] = {{"\x1b(B", Graphic::kAscii},          {"\x1b(J", Graphic::kRoman},
                               {"\x1b$B", Graphic::kKanji},          {"\x1b$@", Graphic::kKanji},
                               {"\x1b$(D", Graphic::kSupplementary}, {"\x1b)I", Graphic::kOther}};

bool IsDelimiter(char c) {
  return c == '\\' || c == '^' || c == '=' || c == '\r' || c == '\n' || c == '\f' || c == '\t';
}

std::optional<std::string> EucToUtf8(std::string euc) {
  const iconv_t converter = iconv_open("UTF-8", "EUC-JP");
  if (converter == reinterpret_cast<iconv_t>(-1)) {
    return std::nullopt;
  }
  std::string utf8(euc.size() * 3 + 16, '\0');
  char* in = euc.data();
  char* out = utf8.data();
  size_t in_left = euc.size();
  size_t out_left = utf8.size();
  const size_t converted = iconv(converter, &in, &in_left, &out, &out_left);
  iconv_close(converter);
  if (converted == static_cast<size_t>(-1) || in_left > 0) {
    return std::nullopt;
  }
  utf8.resize(utf8.size() - out_left);
  return utf8;
}

}  // namespace

bool IsJapanese(const std::string& specific_character_set) {
  for (const char* term : {"ISO_IR 13", "ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159"}) {
    const std::string terms = "\\" + specific_character_set + "\\";
    if (terms.find("\\" + std::string(term) + "\\") != std::string::npos) {
      return true;
    }
  }
  return false;
}

std::optional<std::string> JapaneseToUtf8(const std::string& text, const std::string& specific_character_set) {
  const std::string first = specific_character_set.substr(0, specific_character_set.find('\\'));
  const Graphic initial = first == "ISO_IR 13" || first == "ISO 2022 IR 13" ? Graphic::kRoman : Graphic::kAscii;
  Graphic g0 = initial;
  std::string euc;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0x1b) {
      const auto escape = std::find_if(std::begin(kEscapes), std::end(kEscapes), [&](const Escape& known) {
        return text.compare(i, std::char_traits<char>::length(known.bytes), known.bytes) == 0;
      });
      if (escape == std::end(kEscapes)) {
        return std::nullopt;
      }
      g0 = escape->to_g0 == Graphic::kOther ? g0 : escape->to_g0;
      i += std::char_traits<char>::length(escape->bytes);
    } else if (byte >= 0xa1 && byte <= 0xdf) {
      euc += {static_cast<char>(0x8e), text[i]};
      ++i;
    } else if (byte >= 0x80) {
      return std::nullopt;
    } else if (g0 == Graphic::kKanji || g0 == Graphic::kSupplementary) {
      const auto second = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
      if (byte < 0x21 || byte == 0x7f || second < 0x21 || second >= 0x7f) {
        return std::nullopt;
      }
      euc += g0 == Graphic::kSupplementary ? "\x8f" : "";
      euc += {static_cast<char>(byte | 0x80), static_cast<char>(second | 0x80)};
      i += 2;
    } else {
      // The yen sign of the Roman set stays the backslash that separates values.
      g0 = IsDelimiter(text[i]) ? initial : g0;
      euc += text[i];
      ++i;
    }
  }
  return EucToUtf8(std::move(euc));
}

}  // namespace cloister::site
