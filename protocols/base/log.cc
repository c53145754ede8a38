// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>

namespace cloister {

void SetUpLogging(const std::string& name, const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>(name, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %L %n  %v", spdlog::pattern_time_type::utc);
  logger->set_level(level == "off" ? spdlog::level::off : spdlog::level::from_str(level));
  if (logger->level() == spdlog::level::off && level != "off") logger->set_level(spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace cloister
