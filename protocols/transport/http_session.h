#pragma once
// SPDX-License-Identifier: Apache-2.0
// Who is logged in, and how often somebody has failed to. In memory: a restart logs everybody out. Time arrives as an
// argument; thread-safe.

#include <absl/time/time.h>

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace cloister::transport {

struct HttpSession {
  std::string user;
  std::string csrf;
  absl::Time expires;
};

class HttpSessions {
 public:
  explicit HttpSessions(absl::Duration life) : life_(life) {}

  // The new session's token: 256 random bits in hex.
  std::string Begin(const std::string& user, absl::Time now);
  std::optional<HttpSession> Find(const std::string& token, absl::Time now) const;
  void End(const std::string& token);

 private:
  static constexpr size_t kMost = 1000;  // then the oldest goes

  const absl::Duration life_;
  mutable std::mutex mutex_;
  std::map<std::string, HttpSession>
      sessions_;  // by the token's hash, so that a lookup's time tells nothing; guarded by mutex_
};

// At most `most` failures per key (a user, an address) in five minutes.
class FailureLimit {
 public:
  explicit FailureLimit(int most) : most_(most) {}

  // How long `key` must wait; zero: go on.
  absl::Duration Wait(const std::string& key, absl::Time now) const;
  void Failed(const std::string& key, absl::Time now);
  void Succeeded(const std::string& key);

 private:
  static constexpr size_t kMostKeys = 10'000;
  static constexpr absl::Duration kWindow = absl::Minutes(5);

  const int most_;
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<absl::Time>> failures_;  // guarded by mutex_
};

}  // namespace cloister::transport
