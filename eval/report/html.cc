// SPDX-License-Identifier: Apache-2.0
#include "eval/report/html.h"

#include <fmt/core.h>

namespace cloister::eval {

Html Html::Text(std::string_view text) {
  std::string markup;
  markup.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        markup += "&amp;";
        break;
      case '<':
        markup += "&lt;";
        break;
      case '>':
        markup += "&gt;";
        break;
      case '"':
        markup += "&quot;";
        break;
      case '\'':
        markup += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
          markup += c;
        }
    }
  }
  return Raw(std::move(markup));
}

Html Fill(std::string_view markup, std::initializer_list<HtmlArg> args) {
  std::string filled;
  while (true) {
    const size_t open = markup.find('{');
    const size_t close = open == std::string_view::npos ? open : markup.find('}', open);
    if (close == std::string_view::npos) {
      return Html::Raw(filled.append(markup));
    }
    filled.append(markup.substr(0, open));
    const std::string_view name = markup.substr(open + 1, close - open - 1);
    const HtmlArg* found = nullptr;
    for (const HtmlArg& arg : args) {
      found = arg.name == name ? &arg : found;
    }
    filled += found != nullptr ? found->value.str() : fmt::format("[[{}]]", name);
    markup.remove_prefix(close + 1);
  }
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace cloister::eval
