// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/work_board.h"

#include <algorithm>

#include "protocols/crypto/hash.h"

namespace cloister::coordinator {

namespace {

constexpr int kSenders = 2;  // what is sent is made on these threads, not on the owner's

}  // namespace

wire::Work Make(const BoardWork& work) {
  wire::Work made{work.version, {}};
  for (const MakeItem& make : work.items) {
    made.items.push_back(make());
  }
  return made;
}

WorkBoard::WorkBoard() : nothing_(std::make_shared<BoardWork>(BoardWork{WorkVersion({}), {}})), senders_(kSenders) {}

void WorkBoard::Publish(const SiteId& site, WorkPointer work) {
  Calls woken;
  {
    std::lock_guard lock(mutex_);
    WorkPointer& current = work_[site];
    if (current != nullptr && current->version == work->version) {
      return;
    }
    current = std::move(work);
    woken.swap(waiting_[site]);
  }
  Answer(std::move(woken));
}

WorkPointer WorkBoard::Current(const SiteId& site) const {
  std::lock_guard lock(mutex_);
  const auto found = work_.find(site);
  return found == work_.end() || found->second == nullptr ? nothing_ : found->second;
}

void WorkBoard::Wait(const SiteId& site, uint64_t known, std::shared_ptr<transport::LateAnswer> call) {
  {
    std::lock_guard lock(mutex_);
    const auto found = work_.find(site);
    const uint64_t version =
        found == work_.end() || found->second == nullptr ? nothing_->version : found->second->version;
    if (!closed_ && version == known) {
      Calls& calls = waiting_[site];
      calls.erase(std::remove_if(calls.begin(), calls.end(), [](const auto& waiting) { return waiting->done(); }),
                  calls.end());
      calls.push_back(std::move(call));
      return;
    }
  }
  Answer({std::move(call)});
}

void WorkBoard::Answer(Calls calls) {
  const size_t count = calls.size();
  {
    std::lock_guard lock(mutex_);
    ready_.insert(ready_.end(), calls.begin(), calls.end());
  }
  for (size_t i = 0; i < count; ++i) {
    senders_.Post([this] { AnswerNext(); });
  }
}

void WorkBoard::AnswerNext() {
  for (bool sending = false; !sending;) {
    std::shared_ptr<transport::LateAnswer> call;
    {
      std::lock_guard lock(mutex_);
      if (ready_.empty() || leaving_ >= kAnswersAtOnce) {
        return;  // as many answers are leaving, and each of them calls Sent()
      }
      call = std::move(ready_.front());
      ready_.pop_front();
      ++leaving_;
    }
    sending = call->Wake([this] { Sent(); });  // not under the lock: the answer reads Current()
    if (!sending) {
      std::lock_guard lock(mutex_);
      --leaving_;
    }
  }
}

void WorkBoard::Sent() {
  {
    std::lock_guard lock(mutex_);
    --leaving_;
  }
  senders_.Post([this] { AnswerNext(); });
}

bool WorkBoard::IsWaiting(const SiteId& site) const {
  std::lock_guard lock(mutex_);
  const auto found = waiting_.find(site);
  return found != waiting_.end() &&
         std::any_of(found->second.begin(), found->second.end(), [](const auto& call) { return !call->done(); });
}

void WorkBoard::Close() {
  Calls woken;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& [site, calls] : waiting_) {
      woken.insert(woken.end(), calls.begin(), calls.end());
    }
    waiting_.clear();
    woken.insert(woken.end(), ready_.begin(), ready_.end());
    ready_.clear();
  }
  for (const auto& call : woken) {
    call->Wake();
  }
}

uint64_t WorkVersion(const std::vector<std::string>& keys) {
  CanonicalWriter writer;
  for (const std::string& key : keys) {
    writer.Blob(key);
  }
  const Digest digest = crypto::Sha256(writer.bytes());
  uint64_t version = 0;
  for (size_t i = 0; i < 8; ++i) {
    version = version << 8 | static_cast<uint8_t>(digest.view()[i]);
  }
  return std::max<uint64_t>(version, 1);
}

}  // namespace cloister::coordinator
