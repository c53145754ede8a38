#pragma once
// SPDX-License-Identifier: Apache-2.0
// The common look of the status page and the portal: one shell and a few parts, with their CSS inline, light and dark,
// down to a telephone's width. Whatever is called `text` is escaped here; whatever is called `html` is taken as it is.

#include <string>
#include <utility>
#include <vector>

namespace cloister::transport {

// & < > " ' as entities.
std::string EscapeHtml(const std::string& text);
// For one URL component.
std::string EscapeUrl(const std::string& text);

struct NavigationItem {
  std::string text;
  std::string href;
};

struct Page {
  std::string title;     // text
  std::string product;   // text, beside the mark: "Cloister · Coordinator"
  std::string language;  // "zh" or "en"
  std::string path;      // of this page: marks the navigation item, and is where the language switch leads
  std::string user;      // text; empty: not logged in
  std::string csrf;      // for the log-out button
  std::vector<NavigationItem> navigation;
  std::string html;         // the content
  int refresh_seconds = 0;  // 0: none
};
std::string RenderPage(const Page& page);

struct LoginPage {
  std::string product;   // text
  std::string language;  // "zh" or "en"
  std::string user;      // text: what was typed before
  std::string problem;   // text; empty: none
  std::string next;      // path to go on to
};
std::string RenderLogin(const LoginPage& page);

enum class Tone { kNeutral, kGood, kWarning, kBad, kActive };

namespace parts {

// A section with a heading. `aside_html` stands on the right of the heading.
std::string Card(const std::string& title_text, const std::string& html, const std::string& aside_html = "");
// A state: an icon, a word and a colour, so that it reads without the colour.
std::string Chip(const std::string& text, Tone tone);
// `done` of `total` with the numbers beside it.
std::string Progress(double done, double total, const std::string& label_text);
// Large numbers in a row: {label, value}.
std::string Figures(const std::vector<std::pair<std::string, std::string>>& label_and_value_text);
// Facts in two columns: {term, html}.
std::string Facts(const std::vector<std::pair<std::string, std::string>>& term_text_and_html);

struct Column {
  std::string text;
  bool numeric = false;  // right-aligned, tabular figures
};
// `rows_html` cells are html. With no rows, `empty_text` instead.
std::string Table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows_html,
                  const std::string& empty_text);
// A message across the page.
std::string Notice(const std::string& html, Tone tone);
// A form of one button that posts; `hidden` fields besides the CSRF token.
std::string PostButton(const std::string& action, const std::string& csrf, const std::string& text, Tone tone,
                       const std::vector<std::pair<std::string, std::string>>& hidden = {});
// A digest, shortened, in a fixed-width font, with the whole in its title.
std::string Hash(const std::string& hex_text);
std::string Link(const std::string& href, const std::string& text);
std::string Muted(const std::string& text);

}  // namespace parts
}  // namespace cloister::transport
