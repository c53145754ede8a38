#pragma once
// SPDX-License-Identifier: Apache-2.0
// Logging: spdlog's default logger, set up once in main. Never log patient data, tensor values or keys.
//
//   Log()->info("round {}: {} survivors", round, survivors);

#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace cloister {

// Lines look like "2026-03-01T08:15:30.125Z I site-a  message" and go to stderr; `name` is the process or site.
// `level`: trace, debug, info, warning, error. Unknown levels mean info.
void SetUpLogging(const std::string& name, const std::string& level = "info");

inline spdlog::logger* Log() {
  return spdlog::default_logger_raw();
}

}  // namespace cloister
