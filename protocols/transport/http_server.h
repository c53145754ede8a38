#pragma once
// SPDX-License-Identifier: Apache-2.0
// The HTTP server of the coordinator's status page and the site's portal: loopback by default, behind a login,
// everything served from memory. Sets the security headers, checks the CSRF token of every POST, and limits failed
// logins; a route only makes a page.

#include <absl/time/time.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "protocols/base/clock.h"
#include "protocols/base/status.h"

namespace cloister::transport {

// user name -> crypto::HashPassword's text.
using Users = std::map<std::string, std::string>;

// Lines "name:hash", # for comments. NOT_FOUND; INVALID_ARGUMENT names the line.
absl::StatusOr<Users> ReadUsers(const std::filesystem::path& path);
// Adds or replaces a user; the file is created with mode 0600. INVALID_ARGUMENT: the name, or a password under 10
// characters.
absl::Status WriteUser(const std::filesystem::path& path, const std::string& name, const std::string& password);

struct HttpRequest {
  std::string path;
  std::map<std::string, std::string> query;  // of the URL
  std::map<std::string, std::string> form;   // of a POST
  std::string match;                         // what "*" matched, for a route that ends in "/*"
  std::string user;                          // who is logged in
  std::string csrf;                          // goes into <input type="hidden" name="csrf" value="..."> of every form
  std::string language;                      // "zh" or "en": ?lang=, else the cookie, else Accept-Language
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/html; charset=utf-8";
  std::string body;
  std::string location;   // not empty: a redirect (303)
  std::string file_name;  // not empty: offered as a download
  // A whole document made elsewhere (a validation report with its own inline script): its scripts may run, still
  // without any network.
  bool allow_inline_script = false;

  static HttpResponse Html(std::string body);
  static HttpResponse Json(std::string body);
  static HttpResponse Redirect(std::string location);
  static HttpResponse NotFound();
  static HttpResponse Error(const absl::Status& status);  // a page with the message and a fitting HTTP status
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 0;         // 0: any free one
  std::string product;  // on the login page: "Cloister · site-a"
  Users users;
  // More of them, read at every login, so that a new user needs no restart. With neither, nobody can log in.
  std::filesystem::path users_file;
  absl::Duration session = absl::Hours(12);
  int failures_before_delay = 5;  // failed logins (per user and per address) in five minutes
};

class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest& request)>;

  HttpServer(HttpOptions options, const Clock* clock);
  ~HttpServer();  // Stop()

  // Before Start(). `path` is exact, or ends in "/*". Handlers run on several threads and only for a logged-in user.
  void Get(const std::string& path, Handler handler);
  void Post(const std::string& path, Handler handler);
  // Before a login too (a logo, /healthz): nothing about patients or experiments.
  void GetPublic(const std::string& path, Handler handler);

  // Listens. FAILED_PRECONDITION: the port is in use; the message names it and the setting.
  absl::Status Start();
  void Stop();
  int port() const;
  std::string url() const;  // "http://127.0.0.1:8080/"

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cloister::transport
