// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/http_form.h"

#include <algorithm>

namespace cloister::transport {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string Decode(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      plain += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 && HexValue(text[i + 2]) >= 0) {
      plain += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Cuts the part before `separator` off `text`.
std::string_view TakePart(std::string_view* text, char separator) {
  const size_t end = text->find(separator);
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return part;
}

}  // namespace

std::map<std::string, std::string> ParseForm(std::string_view text) {
  std::map<std::string, std::string> form;
  while (!text.empty()) {
    std::string_view value = TakePart(&text, '&');
    const std::string_view name = TakePart(&value, '=');
    if (!name.empty()) {
      form.emplace(Decode(name), Decode(value));
    }
  }
  return form;
}

std::string FindCookie(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    std::string_view value = TakePart(&header, ';');
    while (!value.empty() && value.front() == ' ') {
      value.remove_prefix(1);
    }
    if (TakePart(&value, '=') == name) {
      return std::string(value);
    }
  }
  return "";
}

std::string PreferredLanguage(std::string_view header) {
  while (!header.empty()) {
    std::string_view language = TakePart(&header, ',');
    while (!language.empty() && language.front() == ' ') {
      language.remove_prefix(1);
    }
    const std::string_view primary = language.substr(0, 2);
    if (primary == "zh" || primary == "en") {
      return std::string(primary);
    }
  }
  return "en";
}

std::string SafePath(const std::string& next) {
  // Browsers drop tabs and ends of lines before they look for a host, and take a backslash for a slash.
  const bool plain =
      std::none_of(next.begin(), next.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; });
  return plain && next.rfind('/', 0) == 0 && next.rfind("//", 0) != 0 ? next : "/";
}

}  // namespace cloister::transport
