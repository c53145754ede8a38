// SPDX-License-Identifier: Apache-2.0
#include "coordinator/web/status_site.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"
#include "tests/support/test_consortium.h"

namespace cloister::coordinator {
namespace {

using ::testing::HasSubstr;

class StatusSiteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    database_ = std::make_unique<storage::Database>(storage::Database::Open(folder_.path() / "c.db").value());
    blobs_ = std::make_unique<storage::BlobStore>(storage::BlobStore::Open(folder_.path() / "blobs").value());
    DriverOptions options{{database_.get(), blobs_.get(), &clock_, consortium_.ca(),
                           [this] { return consortium_.coordinator(); }, folder_.path(), "test"},
                          1000};
    driver_ = Driver::Create(std::move(options)).value();
    driver_->Start();
    StatusSiteOptions site;
    site.users_file = folder_.path() / "users";
    ASSERT_TRUE(transport::WriteUser(site.users_file, "li", "correct horse battery").ok());
    site_ = StatusSite::Start(site, driver_.get(), &clock_).value();
    client_ = std::make_unique<httplib::Client>("127.0.0.1", site_->port());
  }

  httplib::Headers LogIn() {
    const auto reply = client_->Post("/login", httplib::Params{{"user", "li"}, {"password", "correct horse battery"}});
    const std::string cookie = reply->get_header_value("Set-Cookie");
    return {{"Cookie", cookie.substr(0, cookie.find(';'))}};
  }

  ::cloister::testing::TempDir folder_;
  ::cloister::testing::TestConsortium consortium_;
  FakeClock clock_{::cloister::testing::kTestNow};
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<storage::BlobStore> blobs_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<StatusSite> site_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(StatusSiteTest, ShowsNothingBeforeALogin) {
  for (const char* path : {"/", "/status.json", "/experiments/x", "/releases/x"}) {
    EXPECT_EQ(client_->Get(path)->status, 303) << path;
  }
}

TEST_F(StatusSiteTest, ShowsSitesThatCalledAndSaysWhatToDoNext) {
  driver_->Heard({"site-01", crypto::Role::kSite, clock_.Now() + absl::Hours(24 * 300), {}}, "0.1.0");
  const httplib::Headers headers = LogIn();
  const auto page = client_->Get("/", headers);
  ASSERT_EQ(page->status, 200);
  EXPECT_THAT(page->body, HasSubstr("site-01"));
  EXPECT_THAT(page->body, HasSubstr("cloister experiment submit"));
  const auto json = nlohmann::json::parse(client_->Get("/status.json", headers)->body);
  EXPECT_EQ(json["sites"][0]["site"], "site-01");
  EXPECT_TRUE(json["experiments"].empty());
}

TEST_F(StatusSiteTest, WhatIsNotThereIsAPageThatSaysSo) {
  const httplib::Headers headers = LogIn();
  EXPECT_EQ(client_->Get("/experiments/no-such-job", headers)->status, 404);
  EXPECT_EQ(client_->Get("/releases/no-such-release", headers)->status, 404);
  EXPECT_EQ(client_->Get("/experiments/..%2Fetc", headers)->status, 400);
}

}  // namespace
}  // namespace cloister::coordinator
