#pragma once
// SPDX-License-Identifier: Apache-2.0
// A folder in memory where the machine has one: a simulation's thousands of commits wait for no disk.

#include <cstdlib>
#include <filesystem>
#include <string>

namespace cloister::sim {

class MemoryDir {
 public:
  MemoryDir() {
    std::error_code ignored;
    const std::filesystem::path shared = "/dev/shm";
    const std::filesystem::path parent =
        std::filesystem::is_directory(shared, ignored) ? shared : std::filesystem::temp_directory_path();
    std::string name = (parent / "cloister-sim-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~MemoryDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  MemoryDir(const MemoryDir&) = delete;
  MemoryDir& operator=(const MemoryDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace cloister::sim
