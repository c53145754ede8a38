// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/http_session.h"

#include <algorithm>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/random.h"

namespace cloister::transport {
namespace {

constexpr size_t kTokenBytes = 32;

std::string Key(const std::string& token) {
  return std::string(crypto::Sha256(token).view());
}

}  // namespace

std::string HttpSessions::Begin(const std::string& user, absl::Time now) {
  const std::string token = HexEncode(crypto::RandomBytes(kTokenBytes));
  const HttpSession session{user, HexEncode(crypto::RandomBytes(kTokenBytes)), now + life_};
  std::lock_guard lock(mutex_);
  for (auto entry = sessions_.begin(); entry != sessions_.end();) {
    entry = entry->second.expires <= now ? sessions_.erase(entry) : std::next(entry);
  }
  if (sessions_.size() >= kMost) {
    sessions_.erase(std::min_element(sessions_.begin(), sessions_.end(),
                                     [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; }));
  }
  sessions_[Key(token)] = session;
  return token;
}

std::optional<HttpSession> HttpSessions::Find(const std::string& token, absl::Time now) const {
  std::lock_guard lock(mutex_);
  const auto found = sessions_.find(Key(token));
  return found != sessions_.end() && found->second.expires > now ? std::optional(found->second) : std::nullopt;
}

void HttpSessions::End(const std::string& token) {
  std::lock_guard lock(mutex_);
  sessions_.erase(Key(token));
}

absl::Duration FailureLimit::Wait(const std::string& key, absl::Time now) const {
  std::lock_guard lock(mutex_);
  const auto found = failures_.find(key);
  if (found == failures_.end() || static_cast<int>(found->second.size()) < most_) {
    return absl::ZeroDuration();
  }
  const absl::Time again = found->second[found->second.size() - static_cast<size_t>(most_)] + kWindow;
  return std::max(again - now, absl::ZeroDuration());
}

void FailureLimit::Failed(const std::string& key, absl::Time now) {
  std::lock_guard lock(mutex_);
  if (failures_.size() >= kMostKeys) {
    for (auto entry = failures_.begin(); entry != failures_.end();) {
      entry = entry->second.back() + kWindow <= now ? failures_.erase(entry) : std::next(entry);
    }
    if (failures_.size() >= kMostKeys) {
      return;  // a flood of invented names must not take our memory
    }
  }
  std::deque<absl::Time>& times = failures_[key];
  times.push_back(now);
  while (static_cast<int>(times.size()) > most_) {
    times.pop_front();
  }
}

void FailureLimit::Succeeded(const std::string& key) {
  std::lock_guard lock(mutex_);
  failures_.erase(key);
}

}  // namespace cloister::transport
