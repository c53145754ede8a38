#pragma once
// SPDX-License-Identifier: Apache-2.0
// The few HTTP texts that need reading: forms, cookies, languages. For http_server.cc.

#include <map>
#include <string>
#include <string_view>

namespace cloister::transport {

// "a=1&b=x%20y" (application/x-www-form-urlencoded, also a URL's query). The first of equal names counts.
std::map<std::string, std::string> ParseForm(std::string_view text);
// The cookie called `name`, or "".
std::string FindCookie(std::string_view header, std::string_view name);
// "zh" or "en" for an Accept-Language header.
std::string PreferredLanguage(std::string_view header);
// `next` if it is a path on this server, else "/".
std::string SafePath(const std::string& next);

}  // namespace cloister::transport
