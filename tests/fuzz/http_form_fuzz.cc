// SPDX-License-Identifier: Apache-2.0
// The texts of an HTTP request that we read ourselves.
#include "protocols/transport/http_form.h"

#include <algorithm>

#include "protocols/transport/page.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

void CheckForm(ByteView input) {
  std::string again;
  const std::map<std::string, std::string> form = transport::ParseForm(input);
  for (const auto& [name, value] : form) {
    if (!name.empty()) again += transport::EscapeUrl(name) + "=" + transport::EscapeUrl(value) + "&";
  }
  std::map<std::string, std::string> named = form;
  named.erase("");
  Require(transport::ParseForm(again) == named, "a form that is written again reads the same");
}

void CheckPath(ByteView input) {
  std::string path = transport::SafePath(Bytes(input));
  Require(path == input || path == "/", "a path is taken as it is, or not at all");
  // As browsers do before they look for a host (https://url.spec.whatwg.org, "basic URL parser").
  path.erase(std::remove_if(path.begin(), path.end(), [](char c) { return c == '\t' || c == '\r' || c == '\n'; }),
             path.end());
  Require(path.front() == '/' && (path.size() < 2 || (path[1] != '/' && path[1] != '\\')),
          "a safe path stays on this server");
}

void CheckHtml(ByteView input) {
  const std::string html = transport::EscapeHtml(Bytes(input));
  Require(html.find_first_of("<>\"'") == std::string::npos, "escaped text has no markup");
}

}  // namespace

void FuzzOne(ByteView input) {
  CheckForm(input);
  CheckPath(input);
  CheckHtml(input);
  const std::string cookie = transport::FindCookie(input, "session");
  Require(cookie.find(';') == std::string::npos, "a cookie ends before the next");
  const std::string language = transport::PreferredLanguage(input);
  Require(language == "zh" || language == "en", "a language is one of ours");
}

std::vector<Bytes> Seeds() {
  return {"user=anna&password=a%20b+c&csrf=00ff", "theme=dark; session=00ff; x=1", "fr-CH, zh;q=0.9, en;q=0.8",
          "/releases?x=1"};
}

}  // namespace cloister::fuzz
