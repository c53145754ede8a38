// SPDX-License-Identifier: Apache-2.0
// The users file: one "name:hash" a line.
#include <fmt/format.h>

#include <sstream>

#include "protocols/base/file.h"
#include "protocols/base/ids.h"
#include "protocols/crypto/password.h"
#include "protocols/transport/http_server.h"

namespace cloister::transport {
namespace {

constexpr size_t kLeastPassword = 10;
constexpr size_t kMostPassword = 256;
constexpr uint64_t kMostFileBytes = 1 << 20;

}  // namespace

absl::StatusOr<Users> ReadUsers(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(path, kMostFileBytes));
  Users users;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == line.size()) {
      return absl::InvalidArgumentError(fmt::format("{}:{}: not name:hash", path.string(), number));
    }
    users[line.substr(0, colon)] = line.substr(colon + 1);
  }
  return users;
}

absl::Status WriteUser(const std::filesystem::path& path, const std::string& name, const std::string& password) {
  CLOISTER_RETURN_IF_ERROR(CheckIdentifier(name, "user name"));
  if (password.size() < kLeastPassword || password.size() > kMostPassword) {
    return absl::InvalidArgumentError(fmt::format("a password has {} to {} characters; this one has {}", kLeastPassword,
                                                  kMostPassword, password.size()));
  }
  Users users;
  if (auto there = ReadUsers(path); there.ok()) {
    users = *std::move(there);
  } else if (!absl::IsNotFound(there.status())) {
    return there.status();
  }
  users[name] = crypto::HashPassword(password);
  std::string text = "# Who may log in: name:hash, one a line.\n";
  for (const auto& [user, hash] : users) {
    text += user + ":" + hash + "\n";
  }
  return WriteFileAtomically(path, text, 0600);
}

}  // namespace cloister::transport
