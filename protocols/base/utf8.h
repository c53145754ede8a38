#pragma once
// SPDX-License-Identifier: Apache-2.0
// Is it text? For whatever comes from outside and goes on into JSON, a log or a page.

#include <string_view>

namespace cloister {

// RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// The same, without control characters (below U+0020, U+007F to U+009F).
bool IsPlainUtf8(std::string_view text);

}  // namespace cloister
