#pragma once
// SPDX-License-Identifier: Apache-2.0
// Every word of the report, in Chinese and English side by side. Texts hold {placeholders}; numbers are never in them
// as words, so that both languages show identical numerals.

#include <absl/types/span.h>

#include <string_view>

namespace cloister::eval {

enum class Language { kEn, kZh };

struct CatalogueEntry {
  std::string_view key;
  std::string_view en;
  std::string_view zh;
};

absl::Span<const CatalogueEntry> Catalogue();

// Empty: no such key.
std::string_view FindText(std::string_view key, Language language);

}  // namespace cloister::eval
