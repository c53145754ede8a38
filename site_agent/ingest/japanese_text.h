#pragma once
// SPDX-License-Identifier: Apache-2.0
// Japanese text in the code extensions of ISO 2022 (PS3.5 Annex H): JIS X 0201, 0208 and 0212. glibc has none of these
// by itself, so that DCMTK converts none of them; EUC-JP holds all three. Internal to ingest.

#include <optional>
#include <string>

namespace cloister::site {

// True for a SpecificCharacterSet with ISO_IR 13 or ISO 2022 IR 13, 87 or 159 among its terms.
bool IsJapanese(const std::string& specific_character_set);

// As UTF-8; nothing where `text` is no such text. Every component, group and value begins in the first term's character
// set again, as PS3.5 6.1.2.5.3 has it.
std::optional<std::string> JapaneseToUtf8(const std::string& text, const std::string& specific_character_set);

}  // namespace cloister::site
