#pragma once
// SPDX-License-Identifier: Apache-2.0
// One line of the audit log: who did what to what, when, and what left the building. Where it is stored is
// protocols/storage; how records hang together is chain.h.

#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"

namespace cloister::audit {

// What a caller reports.
struct Event {
  absl::Time time;          // kept to the millisecond, UTC
  std::string actor;        // "site-a", "operator:li", "clinician:wang"
  std::string action;       // "egress", "approve", "sign", ...
  std::string subject;      // what it was done to: a job, release, cohort or peer id
  std::string type;         // the declared type of what left, or ""
  uint64_t size_bytes = 0;  // of what left
  Digest digest;            // of what left, or zero
  std::string detail;       // a JSON object, or "". Never an identifier or value of a patient.
};

struct Record {
  uint64_t sequence = 0;  // 1, 2, 3, ...
  Event event;
  Digest previous;  // the hash of record sequence - 1; zero for the first
  Digest hash;      // ChainHash(previous, sequence, event)
};

// INVALID_ARGUMENT: no actor or action; a text over 1 KiB (detail: 64 KiB), with a control character or not UTF-8; a
// detail that is not a JSON object; a time outside the years 1970 to 9999; a size of 2^63 or more.
absl::Status CheckEvent(const Event& event);

// What is hashed of a record besides `previous`.
Bytes CanonicalEncoding(uint64_t sequence, const Event& event);

}  // namespace cloister::audit
