// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_folder.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <string>

namespace cloister::bench {

int RunInTemporaryFolder(const std::function<absl::Status(const std::filesystem::path& folder)>& measure) {
  std::string name = (std::filesystem::temp_directory_path() / "cloister-bench-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    fmt::print(stderr, "cannot make {}\n", name);
    return 1;
  }
  const absl::Status status = measure(name);
  std::error_code ignored;
  std::filesystem::remove_all(name, ignored);
  if (!status.ok()) fmt::print(stderr, "{}\n", std::string(status.message()));
  return status.ok() ? 0 : 1;
}

}  // namespace cloister::bench
