#pragma once
// SPDX-License-Identifier: Apache-2.0
// HTML that is safe by type: text becomes Html only by escaping, and templates are filled with Html.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace cloister::eval {

class Html {
 public:
  Html() = default;
  // Markup of our own, never anything that came from outside.
  static Html Raw(std::string markup) {
    Html html;
    html.markup_ = std::move(markup);
    return html;
  }
  // Text, with & < > " ' escaped and control characters dropped.
  static Html Text(std::string_view text);

  Html& operator+=(const Html& other) {
    markup_ += other.markup_;
    return *this;
  }
  friend Html operator+(Html a, const Html& b) { return a += b; }

  bool empty() const { return markup_.empty(); }
  const std::string& str() const { return markup_; }

 private:
  std::string markup_;
};

// A value for a placeholder: text is escaped, Html is not.
struct HtmlArg {
  HtmlArg(std::string_view name, std::string_view text) : name(name), value(Html::Text(text)) {}
  HtmlArg(std::string_view name, const char* text) : HtmlArg(name, std::string_view(text)) {}
  HtmlArg(std::string_view name, const std::string& text) : HtmlArg(name, std::string_view(text)) {}
  HtmlArg(std::string_view name, uint64_t number) : name(name), value(Html::Raw(std::to_string(number))) {}
  HtmlArg(std::string_view name, Html html) : name(name), value(std::move(html)) {}

  std::string_view name;
  Html value;
};

// `markup` (a literal of ours) with each {name} replaced. A placeholder without a value becomes [[name]], which tests
// look for.
Html Fill(std::string_view markup, std::initializer_list<HtmlArg> args);

// A percent-encoded query value: everything but letters, digits and -._~.
std::string PercentEncode(std::string_view text);

}  // namespace cloister::eval
