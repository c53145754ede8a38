#pragma once
// SPDX-License-Identifier: Apache-2.0
// A real site agent over an archive of made-up studies, whose worker trains nothing.

#include <filesystem>
#include <string>

#include "protocols/base/status.h"

namespace cloister::bench {

inline constexpr char kBenchTask[] = R"yaml(
task: bench
title_en: Bench
title_zh: Bench
condition_en: pneumonia
condition_zh: pneumonia
selection: {modalities: [DX]}
preprocessing: {rows: 32, columns: 32, channels: 1, window: full, fit: letterbox}
label: {column: label, positive: "1", negative: "0"}
head: binary
loss: bce
finding: {value: "233604007", scheme: SCT, meaning: Pneumonia}
procedure: {value: "399208008", scheme: SCT, meaning: Plain X-ray of chest}
)yaml";

struct BenchSite {
  std::string id;
  std::filesystem::path folder;
  std::filesystem::path certificates;  // protocols/transport/identity.h
  std::filesystem::path worker;        // a program with the worker's command line
  int coordinator_port = 0;
};
// Until SIGTERM.
absl::Status RunBenchSite(const BenchSite& site);

}  // namespace cloister::bench
