// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::coordinator {
namespace {

using ::testing::HasSubstr;

TEST(ConfigTest, TheSampleIsValidAndRelativeToItsFile) {
  const auto config = ParseCoordinatorConfig(SampleCoordinatorConfig(), "/etc/cloister/coordinator.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->listen, "0.0.0.0:7600");
  EXPECT_EQ(config->data, "/etc/cloister/data");
  EXPECT_EQ(config->certificates, "/etc/cloister/certificates");
  EXPECT_EQ(config->web_port, 7700);
  EXPECT_EQ(config->web_users, "/etc/cloister/web-users");
  EXPECT_EQ(config->most_model_bytes, uint64_t{8} << 30);
}

TEST(ConfigTest, MistakesAreNamedWithTheirPlace) {
  const auto message = [](const std::string& text) {
    return std::string(ParseCoordinatorConfig(text, "c.yaml").status().message());
  };
  EXPECT_THAT(message("listen: 0.0.0.0:7600\nprot: 1\n"), HasSubstr("c.yaml:2:1"));
  EXPECT_THAT(message("listen: nowhere\n"), HasSubstr("c.yaml:1:"));
  EXPECT_THAT(message("web: {port: 70000}\n"), HasSubstr("c.yaml:1:"));
  EXPECT_THAT(message("log_level: loud\n"), HasSubstr("info"));
}

TEST(ConfigTest, AMissingFileSaysHowToGetOne) {
  const auto status = ReadCoordinatorConfig("/nonexistent/coordinator.yaml").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cloister-coordinator init"));
}

}  // namespace
}  // namespace cloister::coordinator
