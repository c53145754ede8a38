// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/http_server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <mutex>
#include <thread>

#include "protocols/base/log.h"
#include "protocols/crypto/password.h"
#include "protocols/crypto/secret.h"
#include "protocols/transport/http_form.h"
#include "protocols/transport/http_session.h"
#include "protocols/transport/page.h"
#include "protocols/transport/page_style.h"

namespace cloister::transport {
namespace {

constexpr size_t kMaxBodyBytes = 1 << 20;
constexpr int kThreads = 8;

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

HttpResponse ErrorPage(int status, const std::string& text) {
  Page page;
  page.title = fmt::format("{}", status);
  page.product = "Cloister";
  page.language = "en";
  page.path = "/";
  page.html = parts::Notice(EscapeHtml(text), Tone::kBad) + parts::Link("/", "← /");
  HttpResponse response;
  response.status = status;
  response.body = RenderPage(page);
  return response;
}

}  // namespace

HttpResponse HttpResponse::Html(std::string body) {
  HttpResponse response;
  response.body = std::move(body);
  return response;
}

HttpResponse HttpResponse::Json(std::string body) {
  HttpResponse response;
  response.content_type = "application/json";
  response.body = std::move(body);
  return response;
}

HttpResponse HttpResponse::Redirect(std::string location) {
  HttpResponse response;
  response.status = 303;
  response.location = std::move(location);
  return response;
}

HttpResponse HttpResponse::NotFound() {
  return ErrorPage(404, "There is no such page. 没有这个页面。");
}

HttpResponse HttpResponse::Error(const absl::Status& status) {
  return ErrorPage(HttpStatusOf(status.code()), std::string(status.message()));
}

struct HttpServer::State {
  State(HttpOptions options, const Clock* clock)
      : options(std::move(options)),
        clock(clock),
        sessions(this->options.session),
        failures(this->options.failures_before_delay) {}

  struct Route {
    Handler handler;
    bool open = false;  // before a login too
  };
  using Routes = std::map<std::string, Route>;

  const HttpOptions options;
  const Clock* const clock;
  Routes gets, posts;
  HttpSessions sessions;
  FailureLimit failures;
  std::mutex password_check;  // one at a time: each takes 32 MiB
  httplib::Server server;
  std::thread thread;
  int port = 0;
  std::string cookie;  // its name; carries the port, because browsers share cookies between ports

  static const Route* Find(const Routes& routes, const std::string& path, std::string* match) {
    if (const auto exact = routes.find(path); exact != routes.end()) {
      return &exact->second;
    }
    for (size_t slash = path.rfind('/'); slash != std::string::npos;
         slash = slash == 0 ? std::string::npos : path.rfind('/', slash - 1)) {
      if (const auto found = routes.find(path.substr(0, slash + 1) + "*"); found != routes.end()) {
        *match = path.substr(slash + 1);
        return &found->second;
      }
    }
    return nullptr;
  }

  std::string LanguageOf(const httplib::Request& from, const std::map<std::string, std::string>& query) const {
    const auto asked = query.find("lang");
    std::string language =
        asked != query.end() ? asked->second : FindCookie(from.get_header_value("Cookie"), "cloister_language");
    return language == "zh" || language == "en" ? language
                                                : PreferredLanguage(from.get_header_value("Accept-Language"));
  }

  // A form on another page must not act in the name of who is logged in here.
  static bool SameOrigin(const httplib::Request& from) {
    const std::string origin = from.get_header_value("Origin");
    const size_t scheme = origin.find("://");
    return origin.empty() ||
           (scheme != std::string::npos && origin.substr(scheme + 3) == from.get_header_value("Host"));
  }

  // The users as they are now: with a file, a new one needs no restart.
  Users CurrentUsers() const {
    Users users = options.users;
    if (!options.users_file.empty()) {
      const auto read = ReadUsers(options.users_file);
      if (!read.ok()) {
        Log()->warn("login: {}", std::string(read.status().message()));
      } else {
        users.insert(read->begin(), read->end());
      }
    }
    return users;
  }

  bool PasswordIsRight(const std::string& user, const std::string& password) {
    // An unknown user costs as much time as a known one.
    static const std::string nobody = crypto::HashPassword("");
    const Users users = CurrentUsers();
    const auto known = users.find(user);
    std::lock_guard lock(password_check);
    const bool right = crypto::CheckPassword(password, known != users.end() ? known->second : nobody);
    return right && known != users.end();
  }

  HttpResponse LogIn(const httplib::Request& from, const HttpRequest& request, std::string* token) {
    const auto field = [&](const char* name) {
      const auto found = request.form.find(name);
      return found == request.form.end() ? std::string() : found->second;
    };
    const bool chinese = request.language == "zh";
    LoginPage page{options.product, request.language, field("user"), "", SafePath(field("next"))};
    const absl::Time now = clock->Now();
    const std::string by_user = "user " + page.user.substr(0, 64);
    const std::string by_address = "address " + from.remote_addr;
    const absl::Duration wait = std::max(failures.Wait(by_user, now), failures.Wait(by_address, now));
    HttpResponse response;
    if (wait > absl::ZeroDuration()) {
      const int64_t seconds = absl::ToInt64Seconds(wait) + 1;
      page.problem = fmt::format(
          chinese ? "失败次数过多，请 {} 秒后再试。" : "Too many failed attempts. Try again in {} seconds.", seconds);
      response.status = 429;
    } else if (PasswordIsRight(page.user, field("password"))) {
      failures.Succeeded(by_user);
      failures.Succeeded(by_address);
      *token = sessions.Begin(page.user, now);
      Log()->info("login: {} from {}", page.user, from.remote_addr);
      return HttpResponse::Redirect(page.next);
    } else {
      failures.Failed(by_user, now);
      failures.Failed(by_address, now);
      Log()->warn("login failed from {}", from.remote_addr);
      page.problem = chinese ? "用户名或密码不正确。" : "User name or password is not right.";
      response.status = 401;
    }
    response.body = RenderLogin(page);
    return response;
  }

  void Answer(const httplib::Request& from, httplib::Response& to, bool post) {
    HttpRequest request;
    request.path = from.path;
    const size_t question = from.target.find('?');
    if (question != std::string::npos) {
      request.query = ParseForm(std::string_view(from.target).substr(question + 1));
    }
    if (post) {
      request.form = ParseForm(from.body);
    }
    request.language = LanguageOf(from, request.query);
    const std::string token = FindCookie(from.get_header_value("Cookie"), cookie);
    const std::optional<HttpSession> session = sessions.Find(token, clock->Now());
    if (session) {
      request.user = session->user;
      request.csrf = session->csrf;
    }
    std::string new_token;
    const HttpResponse response = Dispatch(from, request, session, token, post, &new_token);
    if (request.query.count("lang") > 0) {
      to.headers.emplace("Set-Cookie",
                         "cloister_language=" + request.language + "; Path=/; Max-Age=31536000; SameSite=Strict");
    }
    if (!new_token.empty()) {
      const bool https = from.get_header_value("X-Forwarded-Proto") == "https";
      to.headers.emplace("Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}", cookie, new_token,
                                                   https ? "; Secure" : ""));
    }
    Write(response, to);
  }

  HttpResponse Dispatch(const httplib::Request& from, HttpRequest& request, const std::optional<HttpSession>& session,
                        const std::string& token, bool post, std::string* new_token) {
    if (post && !SameOrigin(from)) {
      return ErrorPage(403, "This form came from another site. 表单来自其他网站。");
    }
    if (request.path == "/login") {
      if (post) {
        return LogIn(from, request, new_token);
      }
      return HttpResponse::Html(
          RenderLogin({options.product, request.language, "", "", SafePath(request.query["next"])}));
    }
    if (!post && request.path == "/static/page.js") {
      HttpResponse script;
      script.content_type = "text/javascript; charset=utf-8";
      script.body = kPageScript;
      return script;
    }
    const Route* route = Find(post ? posts : gets, request.path, &request.match);
    if (route != nullptr && route->open) {
      return route->handler(request);
    }
    if (!session) {
      return HttpResponse::Redirect("/login?next=" + EscapeUrl(post ? "/" : from.target));
    }
    if (post && !crypto::ConstantTimeEqual(request.form["csrf"], session->csrf)) {
      return ErrorPage(403, "This form is out of date: reload the page and try again. 表单已过期，请刷新后重试。");
    }
    if (post && request.path == "/logout") {
      sessions.End(token);
      return HttpResponse::Redirect("/login");
    }
    return route != nullptr ? route->handler(request) : HttpResponse::NotFound();
  }

  static void Write(const HttpResponse& response, httplib::Response& to) {
    to.status = response.status;
    const char* script = response.allow_inline_script ? "'unsafe-inline'; connect-src 'none'" : "'self'";
    to.set_header(
        "Content-Security-Policy",
        fmt::format("default-src 'self'; script-src {}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
                    script));
    to.set_header("X-Content-Type-Options", "nosniff");
    to.set_header("X-Frame-Options", "DENY");
    to.set_header("Referrer-Policy", "same-origin");
    to.set_header("Cross-Origin-Opener-Policy", "same-origin");
    to.set_header("Cross-Origin-Resource-Policy", "same-origin");
    to.set_header("Cache-Control", "no-store");
    if (!response.location.empty() && response.location.find_first_of("\r\n") == std::string::npos) {
      to.set_header("Location", response.location);
    }
    if (!response.file_name.empty() && response.file_name.find_first_of("\"\r\n\\") == std::string::npos) {
      to.set_header("Content-Disposition", fmt::format("attachment; filename=\"{}\"", response.file_name));
    }
    to.set_content(response.body, response.content_type);
  }

  void SetUp() {
    const auto answer = [this](bool post) {
      return [this, post](const httplib::Request& from, httplib::Response& to) { Answer(from, to, post); };
    };
    server.Get(".*", answer(false));
    server.Post(".*", answer(true));
    server.set_payload_max_length(kMaxBodyBytes);
    server.set_read_timeout(10);
    server.set_write_timeout(30);
    server.set_keep_alive_timeout(2);  // a browser holds several connections, and each holds a thread
    server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server.set_exception_handler([](const httplib::Request& from, httplib::Response& to, std::exception_ptr) {
      Log()->error("http: a handler of {} failed", from.path);
      Write(ErrorPage(500, "Internal error; see the log. 内部错误，请查看日志。"), to);
    });
    // Without SO_REUSEPORT, which httplib sets: two programs must not share a port.
    server.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
  }
};

HttpServer::HttpServer(HttpOptions options, const Clock* clock)
    : state_(std::make_unique<State>(std::move(options), clock)) {}

HttpServer::~HttpServer() {
  Stop();
}

void HttpServer::Get(const std::string& path, Handler handler) {
  state_->gets[path] = {std::move(handler), false};
}

void HttpServer::Post(const std::string& path, Handler handler) {
  state_->posts[path] = {std::move(handler), false};
}

void HttpServer::GetPublic(const std::string& path, Handler handler) {
  state_->gets[path] = {std::move(handler), true};
}

absl::Status HttpServer::Start() {
  State& state = *state_;
  state.SetUp();
  const HttpOptions& options = state.options;
  if (options.port == 0) {
    state.port = state.server.bind_to_any_port(options.host);
  } else if (state.server.bind_to_port(options.host, options.port)) {
    state.port = options.port;
  }
  if (state.port <= 0) {
    return absl::FailedPreconditionError(fmt::format(
        "cannot listen on {}:{}: the port is in use or the address is not this machine's; find out by whom with "
        "ss -ltnp 'sport = :{}', or set another port for the web page",
        options.host, options.port, options.port));
  }
  state.cookie = fmt::format("cloister_{}", state.port);
  state.thread = std::thread([&state] { state.server.listen_after_bind(); });
  while (!state.server.is_running()) {  // stop() before that would be lost
    std::this_thread::yield();
  }
  return absl::OkStatus();
}

void HttpServer::Stop() {
  if (state_->thread.joinable()) {
    state_->server.stop();
    state_->thread.join();
  }
}

int HttpServer::port() const {
  return state_->port;
}

std::string HttpServer::url() const {
  const std::string& host = state_->options.host;
  return fmt::format("http://{}:{}/", host == "0.0.0.0" ? "127.0.0.1" : host, state_->port);
}

}  // namespace cloister::transport
