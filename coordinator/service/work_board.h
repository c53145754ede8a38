#pragma once
// SPDX-License-Identifier: Apache-2.0
// Each site's open work, written by the driver and read by long polls. A poll that has nothing new to say waits without
// a thread; a change wakes those it concerns, a few at a time: what a thousand sites are told when a phase opens is a
// megabyte each, and would not fit into memory at once. Thread-safe.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "protocols/base/ids.h"
#include "protocols/transport/late_answer.h"
#include "protocols/transport/task_queue.h"
#include "protocols/wire/messages.h"

namespace cloister::coordinator {

// Makes one item of work when it is sent. Any number of threads may call it, also after the work has changed.
using MakeItem = std::function<wire::WorkItem()>;

struct BoardWork {
  uint64_t version = 0;
  std::vector<MakeItem> items;
};
using WorkPointer = std::shared_ptr<const BoardWork>;

wire::Work Make(const BoardWork& work);

class WorkBoard {
 public:
  static constexpr size_t kAnswersAtOnce = 16;

  WorkBoard();

  // Wakes the site's waiting polls if the version is another one.
  void Publish(const SiteId& site, WorkPointer work);
  // Never null; a site nobody has published for has no work.
  WorkPointer Current(const SiteId& site) const;
  // Answers `call` soon after the next change, or soon if the version is not `known` any more.
  void Wait(const SiteId& site, uint64_t known, std::shared_ptr<transport::LateAnswer> call);
  // Is a poll of this site waiting?
  bool IsWaiting(const SiteId& site) const;
  // Answers every waiting poll (before the server stops), and those that come later.
  void Close();

 private:
  using Calls = std::vector<std::shared_ptr<transport::LateAnswer>>;

  void Answer(Calls calls);
  void AnswerNext();
  void Sent();

  const WorkPointer nothing_;
  mutable std::mutex mutex_;
  std::map<SiteId, WorkPointer> work_;  // guarded by mutex_, as are the next four
  std::map<SiteId, Calls> waiting_;
  std::deque<std::shared_ptr<transport::LateAnswer>> ready_;  // to be answered when others have left
  size_t leaving_ = 0;                                        // answers that have not left yet
  bool closed_ = false;
  transport::TaskQueue senders_;  // last: its tasks use everything above
};

// Of a list of work: equal lists have equal versions, also after a restart. Never 0. `keys`: one text an item that
// changes with it.
uint64_t WorkVersion(const std::vector<std::string>& keys);

}  // namespace cloister::coordinator
