// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "protocols/transport/page_style.h"

namespace cloister::transport {
namespace {

// Three arcs of a cloister's walk.
constexpr char kMark[] =
    R"(<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" aria-hidden="true">)"
    R"(<path d="M3 20v-9a3 3 0 0 1 6 0v9M9 20v-9a3 3 0 0 1 6 0v9M15 20v-9a3 3 0 0 1 6 0v9M2 20h20M3 4h18"/></svg>)";

const char* Icon(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return R"(<path d="M3.5 8.5l3 3 6-7"/>)";
    case Tone::kWarning:
      return R"(<path d="M8 2L1.5 13.5h13zM8 6.5v3.5M8 12v.1"/>)";
    case Tone::kBad:
      return R"(<path d="M4 4l8 8M12 4l-8 8"/>)";
    case Tone::kActive:
      return R"(<path d="M8 2a6 6 0 1 1-5.7 4.2M8 5v3.2l2.2 1.4"/>)";
    case Tone::kNeutral:
      break;
  }
  return R"(<circle cx="8" cy="8" r="3"/>)";
}

std::string IconSvg(Tone tone) {
  return fmt::format(
      R"(<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" )"
      R"(stroke-linejoin="round" aria-hidden="true">{}</svg>)",
      Icon(tone));
}

const char* ToneClass(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "good";
    case Tone::kWarning:
      return "warning";
    case Tone::kBad:
      return "bad";
    case Tone::kActive:
      return "active";
    case Tone::kNeutral:
      break;
  }
  return "neutral";
}

bool IsCurrent(const std::string& item, const std::string& path) {
  return item == path || (item != "/" && path.rfind(item + "/", 0) == 0);
}

// Whole numbers without decimals, others with two.
std::string Number(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value)
                                                              : fmt::format("{:.2f}", value);
}

}  // namespace

std::string EscapeHtml(const std::string& text) {
  std::string html;
  html.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

std::string EscapeUrl(const std::string& text) {
  std::string url;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain) {
      url += c;
    } else {
      url += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return url;
}

std::string RenderPage(const Page& page) {
  const bool chinese = page.language == "zh";
  std::string navigation;
  for (const NavigationItem& item : page.navigation) {
    navigation += fmt::format(R"(<a href="{}"{}>{}</a>)", EscapeHtml(item.href),
                              IsCurrent(item.href, page.path) ? R"( aria-current="page")" : "", EscapeHtml(item.text));
  }
  std::string tools = fmt::format(R"(<a href="{}?lang={}" lang="{}">{}</a>)", EscapeHtml(page.path),
                                  chinese ? "en" : "zh", chinese ? "en" : "zh", chinese ? "English" : "中文");
  if (!page.user.empty()) {
    tools += fmt::format(
        R"(<span>{}</span><form method="post" action="/logout"><input type="hidden" name="csrf" value="{}">)"
        R"(<button class="plain">{}</button></form>)",
        EscapeHtml(page.user), EscapeHtml(page.csrf), chinese ? "退出" : "Log out");
  }
  std::string refresh;
  if (page.refresh_seconds > 0) {
    refresh = fmt::format(R"(<noscript><meta http-equiv="refresh" content="{}"></noscript>)", page.refresh_seconds);
  }
  return fmt::format(
      R"(<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {product}</title>{refresh}<link rel="icon" href="data:,"><style>{style}</style>
<script src="/static/page.js" defer></script></head>
<body data-refresh="{seconds}"><a class="skip" href="#content">{skip}</a>
<header class="top"><div class="bar"><a class="brand" href="/">{mark}<span>{product}</span></a>
<nav class="main">{navigation}</nav><div class="tools">{tools}</div></div></header>
<main id="content"><h1>{title}</h1>
{html}
</main></body></html>
)",
      fmt::arg("lang", chinese ? "zh-CN" : "en"), fmt::arg("title", EscapeHtml(page.title)),
      fmt::arg("product", EscapeHtml(page.product)), fmt::arg("refresh", refresh), fmt::arg("style", kPageStyle),
      fmt::arg("seconds", page.refresh_seconds), fmt::arg("skip", chinese ? "跳到内容" : "Skip to content"),
      fmt::arg("mark", kMark), fmt::arg("navigation", navigation), fmt::arg("tools", tools),
      fmt::arg("html", page.html));
}

std::string RenderLogin(const LoginPage& page) {
  const bool chinese = page.language == "zh";
  const std::string problem = page.problem.empty() ? "" : parts::Notice(EscapeHtml(page.problem), Tone::kBad);
  return fmt::format(
      R"(<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading} · {product}</title><link rel="icon" href="data:,"><style>{style}</style></head>
<body><main class="login"><div class="brand">{mark}<span>{product}</span></div>
<div class="card">{problem}<form method="post" action="/login"><input type="hidden" name="next" value="{next}">
<label for="user">{user}</label><input id="user" name="user" autocomplete="username" required autofocus value="{name}">
<label for="password">{password}</label><input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit" class="active">{heading}</button></form></div>
<div class="foot"><span>{note}</span><a href="/login?lang={other}&amp;next={next_url}" lang="{other}">{other_name}</a></div>
</main></body></html>
)",
      fmt::arg("lang", chinese ? "zh-CN" : "en"), fmt::arg("heading", chinese ? "登录" : "Log in"),
      fmt::arg("product", EscapeHtml(page.product)), fmt::arg("style", kPageStyle), fmt::arg("mark", kMark),
      fmt::arg("problem", problem), fmt::arg("next", EscapeHtml(page.next)),
      fmt::arg("user", chinese ? "用户名" : "User"), fmt::arg("name", EscapeHtml(page.user)),
      fmt::arg("password", chinese ? "密码" : "Password"),
      fmt::arg("note", chinese ? "仅限授权人员使用" : "For authorised staff"), fmt::arg("other", chinese ? "en" : "zh"),
      fmt::arg("next_url", EscapeUrl(page.next)), fmt::arg("other_name", chinese ? "English" : "中文"));
}

namespace parts {

std::string Card(const std::string& title_text, const std::string& html, const std::string& aside_html) {
  return fmt::format(R"(<section class="card"><div class="head"><h2>{}</h2>{}</div>{}</section>)",
                     EscapeHtml(title_text), aside_html.empty() ? "" : "<div>" + aside_html + "</div>", html);
}

std::string Chip(const std::string& text, Tone tone) {
  return fmt::format(R"(<span class="chip {}">{}{}</span>)", ToneClass(tone), IconSvg(tone), EscapeHtml(text));
}

std::string Progress(double done, double total, const std::string& label_text) {
  const double part = total > 0 ? std::clamp(done / total, 0.0, 1.0) : 0.0;
  return fmt::format(
      R"(<div class="progress"><span>{}</span><span class="count">{} / {}</span><div class="track" )"
      R"(role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{:.0f}" aria-label="{}">)"
      R"(<div class="fill" style="width:{:.1f}%"></div></div></div>)",
      EscapeHtml(label_text), Number(done), Number(total), 100 * part, EscapeHtml(label_text), 100 * part);
}

std::string Figures(const std::vector<std::pair<std::string, std::string>>& label_and_value_text) {
  std::string html;
  for (const auto& [label, value] : label_and_value_text) {
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", EscapeHtml(label), EscapeHtml(value));
  }
  return R"(<dl class="figures">)" + html + "</dl>";
}

std::string Facts(const std::vector<std::pair<std::string, std::string>>& term_text_and_html) {
  std::string html;
  for (const auto& [term, fact] : term_text_and_html) {
    html += fmt::format("<dt>{}</dt><dd>{}</dd>", EscapeHtml(term), fact);
  }
  return R"(<dl class="facts">)" + html + "</dl>";
}

std::string Table(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows_html,
                  const std::string& empty_text) {
  if (rows_html.empty()) {
    return fmt::format(R"(<p class="muted">{}</p>)", EscapeHtml(empty_text));
  }
  std::string html = R"(<div class="scroll"><table><thead><tr>)";
  for (const Column& column : columns) {
    html += fmt::format(R"(<th scope="col"{}>{}</th>)", column.numeric ? R"( class="n")" : "", EscapeHtml(column.text));
  }
  html += "</tr></thead><tbody>";
  for (const std::vector<std::string>& row : rows_html) {
    html += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      html += fmt::format("<td{}>{}</td>", i < columns.size() && columns[i].numeric ? R"( class="n")" : "", row[i]);
    }
    html += "</tr>";
  }
  return html + "</tbody></table></div>";
}

std::string Notice(const std::string& html, Tone tone) {
  return fmt::format(R"(<div class="notice {}" role="{}">{}<div>{}</div></div>)", ToneClass(tone),
                     tone == Tone::kBad ? "alert" : "status", IconSvg(tone), html);
}

std::string PostButton(const std::string& action, const std::string& csrf, const std::string& text, Tone tone,
                       const std::vector<std::pair<std::string, std::string>>& hidden) {
  std::string html =
      fmt::format(R"(<form class="inline" method="post" action="{}"><input type="hidden" name="csrf" value="{}">)",
                  EscapeHtml(action), EscapeHtml(csrf));
  for (const auto& [name, value] : hidden) {
    html += fmt::format(R"(<input type="hidden" name="{}" value="{}">)", EscapeHtml(name), EscapeHtml(value));
  }
  return html + fmt::format(R"(<button class="{}">{}</button></form>)", ToneClass(tone), EscapeHtml(text));
}

std::string Hash(const std::string& hex_text) {
  return fmt::format(R"(<span class="hash" title="{}">{}</span>)", EscapeHtml(hex_text),
                     EscapeHtml(hex_text.substr(0, 12)));
}

std::string Link(const std::string& href, const std::string& text) {
  return fmt::format(R"(<a href="{}">{}</a>)", EscapeHtml(href), EscapeHtml(text));
}

std::string Muted(const std::string& text) {
  return fmt::format(R"(<span class="muted">{}</span>)", EscapeHtml(text));
}

}  // namespace parts
}  // namespace cloister::transport
