// SPDX-License-Identifier: Apache-2.0
// The server as a browser, an attacker and a second program meet it.
#include "protocols/transport/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "protocols/transport/page.h"
#include "tests/support/temp_dir.h"

namespace cloister::transport {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    users_file_ = dir_.path() / "users";
    ASSERT_TRUE(WriteUser(users_file_, "anna", "correct horse").ok());
    HttpOptions options;
    options.product = "Cloister · <site-a>";
    options.users_file = users_file_;
    options.failures_before_delay = 3;
    server_ = std::make_unique<HttpServer>(options, &clock_);
    server_->Get("/", [](const HttpRequest& request) {
      return HttpResponse::Html("home of " + request.user + " " + request.language + " csrf=" + request.csrf + "=");
    });
    server_->Get("/releases/*",
                 [](const HttpRequest& request) { return HttpResponse::Html("release " + request.match); });
    server_->Get("/report", [](const HttpRequest&) {
      HttpResponse report = HttpResponse::Html("<script>1</script>");
      report.allow_inline_script = true;
      report.file_name = "report.html";
      return report;
    });
    server_->Get("/broken", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("x"); });
    server_->Get("/wrong",
                 [](const HttpRequest&) { return HttpResponse::Error(absl::NotFoundError("no release <x>")); });
    server_->Post("/sign", [this](const HttpRequest& request) {
      signed_ += request.form.at("comment");
      return HttpResponse::Redirect("/releases/1");
    });
    server_->GetPublic("/healthz", [](const HttpRequest&) { return HttpResponse::Json("{}"); });
    ASSERT_TRUE(server_->Start().ok());
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
  }

  // Logs in; the cookie to send from then on.
  httplib::Headers LogIn() {
    const auto reply = client_->Post(
        "/login", httplib::Params{{"user", "anna"}, {"password", "correct horse"}, {"next", "/releases/7"}});
    EXPECT_EQ(reply->status, 303);
    EXPECT_EQ(reply->get_header_value("Location"), "/releases/7");
    const std::string cookie = reply->get_header_value("Set-Cookie");
    EXPECT_THAT(cookie, HasSubstr("HttpOnly"));
    EXPECT_THAT(cookie, HasSubstr("SameSite=Strict"));
    return {{"Cookie", cookie.substr(0, cookie.find(';'))}};
  }
  std::string CsrfOf(const httplib::Headers& headers) {
    const std::string body = client_->Get("/", headers)->body;
    const size_t start = body.find("csrf=") + 5;
    return body.substr(start, body.find('=', start) - start);
  }

  cloister::testing::TempDir dir_;
  std::filesystem::path users_file_;
  FakeClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<httplib::Client> client_;
  std::string signed_;
};

TEST_F(HttpServerTest, AsksForALoginAndComesBack) {
  const auto refused = client_->Get("/releases/7?x=1");
  EXPECT_EQ(refused->status, 303);
  EXPECT_THAT(refused->get_header_value("Location"), StartsWith("/login?next="));
  EXPECT_EQ(client_->Get("/no/such/page")->status, 303);  // tells a stranger nothing
  const auto login = client_->Get("/login?next=%2Freleases%2F7");
  EXPECT_THAT(login->body, HasSubstr("value=\"/releases/7\""));
  EXPECT_THAT(login->body, HasSubstr("Cloister · &lt;site-a&gt;"));

  const httplib::Headers cookie = LogIn();
  EXPECT_THAT(client_->Get("/", cookie)->body, StartsWith("home of anna en"));
  EXPECT_EQ(client_->Get("/releases/7", cookie)->body, "release 7");
  EXPECT_EQ(client_->Get("/no/such/page", cookie)->status, 404);
}

TEST_F(HttpServerTest, APublicPageNeedsNoLogin) {
  EXPECT_EQ(client_->Get("/healthz")->status, 200);
  EXPECT_EQ(client_->Get("/static/page.js")->status, 200);
}

TEST_F(HttpServerTest, ANewUserNeedsNoRestart) {
  ASSERT_TRUE(WriteUser(users_file_, "bert", "battery staple").ok());
  EXPECT_EQ(client_->Post("/login", httplib::Params{{"user", "bert"}, {"password", "battery staple"}})->status, 303);
}

TEST_F(HttpServerTest, WrongPasswordsAreRefusedAndThenSlowed) {
  for (int i = 0; i < 3; ++i) {
    const auto reply = client_->Post("/login", httplib::Params{{"user", "anna"}, {"password", "guess"}});
    EXPECT_EQ(reply->status, 401);
    EXPECT_THAT(reply->body, HasSubstr("not right"));
    EXPECT_FALSE(reply->has_header("Set-Cookie"));
  }
  EXPECT_EQ(client_->Post("/login", httplib::Params{{"user", "anna"}, {"password", "correct horse"}})->status, 429);
  clock_.Advance(absl::Minutes(6));
  EXPECT_EQ(client_->Post("/login", httplib::Params{{"user", "anna"}, {"password", "correct horse"}})->status, 303);
  EXPECT_EQ(client_->Post("/login", httplib::Params{{"user", "nobody"}, {"password", ""}})->status, 401);
}

TEST_F(HttpServerTest, APostNeedsItsToken) {
  const httplib::Headers cookie = LogIn();
  EXPECT_EQ(client_->Post("/sign", cookie, httplib::Params{{"comment", "a"}})->status, 403);
  EXPECT_EQ(client_->Post("/sign", cookie, httplib::Params{{"comment", "b"}, {"csrf", "0"}})->status, 403);
  EXPECT_EQ(client_->Post("/sign", httplib::Params{{"comment", "c"}, {"csrf", CsrfOf(cookie)}})->status,
            303);  // to the login
  EXPECT_EQ(signed_, "");
  httplib::Headers foreign = cookie;
  foreign.emplace("Origin", "https://evil.example");
  EXPECT_EQ(client_->Post("/sign", foreign, httplib::Params{{"comment", "d"}, {"csrf", CsrfOf(cookie)}})->status, 403);
  EXPECT_EQ(signed_, "");
  const auto reply = client_->Post("/sign", cookie, httplib::Params{{"comment", "可以"}, {"csrf", CsrfOf(cookie)}});
  EXPECT_EQ(reply->status, 303);
  EXPECT_EQ(reply->get_header_value("Location"), "/releases/1");
  EXPECT_EQ(signed_, "可以");
}

TEST_F(HttpServerTest, ASessionEnds) {
  const httplib::Headers cookie = LogIn();
  EXPECT_EQ(client_->Post("/logout", cookie, httplib::Params{{"csrf", CsrfOf(cookie)}})->status, 303);
  EXPECT_EQ(client_->Get("/", cookie)->status, 303);
  const httplib::Headers again = LogIn();
  clock_.Advance(absl::Hours(13));
  EXPECT_EQ(client_->Get("/", again)->status, 303);
}

TEST_F(HttpServerTest, SetsTheSecurityHeaders) {
  const httplib::Headers cookie = LogIn();
  const auto page = client_->Get("/", cookie);
  EXPECT_THAT(page->get_header_value("Content-Security-Policy"), HasSubstr("default-src 'self'; script-src 'self';"));
  EXPECT_EQ(page->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(page->get_header_value("X-Frame-Options"), "DENY");
  EXPECT_EQ(page->get_header_value("Cache-Control"), "no-store");
  const auto report = client_->Get("/report", cookie);
  EXPECT_THAT(report->get_header_value("Content-Security-Policy"),
              HasSubstr("script-src 'unsafe-inline'; connect-src 'none'"));
  EXPECT_EQ(report->get_header_value("Content-Disposition"), "attachment; filename=\"report.html\"");
}

TEST_F(HttpServerTest, RemembersTheLanguage) {
  httplib::Headers headers = LogIn();
  headers.emplace("Accept-Language", "zh-CN,zh;q=0.9");
  EXPECT_THAT(client_->Get("/", headers)->body, StartsWith("home of anna zh"));
  const auto switched = client_->Get("/?lang=en", headers);
  EXPECT_THAT(switched->body, StartsWith("home of anna en"));
  EXPECT_THAT(switched->get_header_value("Set-Cookie"), StartsWith("cloister_language=en"));
  EXPECT_THAT(client_->Get("/?lang=xx", headers)->body, StartsWith("home of anna zh"));
}

TEST_F(HttpServerTest, AHandlersTroubleIsAPage) {
  const httplib::Headers cookie = LogIn();
  EXPECT_EQ(client_->Get("/broken", cookie)->status, 500);
  const auto wrong = client_->Get("/wrong", cookie);
  EXPECT_EQ(wrong->status, 404);
  EXPECT_THAT(wrong->body, HasSubstr("no release &lt;x&gt;"));
}

TEST_F(HttpServerTest, RefusesAHugeBody) {
  const auto reply = client_->Post("/login", std::string(3 << 20, 'x'), "application/x-www-form-urlencoded");
  EXPECT_TRUE(!reply || reply->status == 413) << reply->status;
}

TEST_F(HttpServerTest, APortInUseIsNamed) {
  HttpOptions options;
  options.port = server_->port();
  HttpServer second(options, &clock_);
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(server_->port())));
}

TEST_F(HttpServerTest, StopsAtOnce) {
  EXPECT_THAT(server_->url(), StartsWith("http://127.0.0.1:"));
  server_->Stop();
  server_->Stop();
  EXPECT_FALSE(client_->Get("/"));
}

}  // namespace
}  // namespace cloister::transport
