#pragma once
// SPDX-License-Identifier: Apache-2.0
// Each site's open work, written by the driver and read by long polls. A poll that has nothing new to say waits without
// a thread; a change wakes those it concerns. Thread-safe.

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "protocols/base/ids.h"
#include "protocols/transport/late_answer.h"
#include "protocols/wire/messages.h"

namespace cloister::coordinator {

using WorkPointer = std::shared_ptr<const wire::Work>;

class WorkBoard {
 public:
  WorkBoard();

  // Wakes the site's waiting polls if the version is another one.
  void Publish(const SiteId& site, WorkPointer work);
  // Never null; a site nobody has published for has no work.
  WorkPointer Current(const SiteId& site) const;
  // Answers `call` at the next change, or now if the version is not `known` any more.
  void Wait(const SiteId& site, uint64_t known, std::shared_ptr<transport::LateAnswer> call);
  // Is a poll of this site waiting?
  bool IsWaiting(const SiteId& site) const;
  // Answers every waiting poll (before the server stops), and those that come later.
  void Close();

 private:
  using Calls = std::vector<std::shared_ptr<transport::LateAnswer>>;

  const WorkPointer nothing_;
  mutable std::mutex mutex_;
  std::map<SiteId, WorkPointer> work_;  // guarded by mutex_, as are the next two
  std::map<SiteId, Calls> waiting_;
  bool closed_ = false;
};

// Of a list of work: equal lists have equal versions, also after a restart. Never 0. `keys`: one text an item that
// changes with it.
uint64_t WorkVersion(const std::vector<std::string>& keys);

}  // namespace cloister::coordinator
