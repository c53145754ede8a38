#pragma once
// SPDX-License-Identifier: Apache-2.0
// What DCMTK needs before its first use in a process, and the one wall where OFCondition becomes absl::Status.
// Internal to ingest and serve.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/ofstd/ofcond.h>

#include <string>

#include "protocols/base/status.h"

namespace cloister::site {

// Once per process, thread-safe, cheap to repeat. Silences DCMTK's own log (it prints patient data), sets TCP_NODELAY
// (without it every image waits 45 ms) unless the environment already has it, turns reverse DNS off, and has known
// attributes of VR UN read as what they are.
void PrepareDicom();

// OK for a good condition. Otherwise "`what`: DCMTK's text": missing file NOT_FOUND, full disk or memory
// RESOURCE_EXHAUSTED, anything else about content INVALID_ARGUMENT.
absl::Status FileStatus(const OFCondition& condition, const std::string& what);

// OK for a good condition. Time-outs, refused connections and broken associations UNAVAILABLE; a malformed peer
// DATA_LOSS; no accepted presentation context FAILED_PRECONDITION; a bad argument of ours INTERNAL.
absl::Status NetworkStatus(const OFCondition& condition, const std::string& what);

}  // namespace cloister::site
