#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where a command reads and writes: results on `out`, everything said meanwhile on `err`, so that a script can take the
// results.

#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::coordinator {

struct Terminal {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;

  // Asks and waits for a line; only y and yes are a yes, the end of the input is a no.
  bool Confirm(const std::string& question);
};

// Columns as wide as they need to be, two spaces between them; the last one is not padded.
std::string Columns(const std::vector<std::vector<std::string>>& rows);

// 0 done; 1 anything not listed here; 2 a wrong command line, file or value; 3 the coordinator cannot be reached; 4 it,
// or our certificate, refuses; 5 there is no such thing. 6 and 7 are watch's: the experiment failed, or was aborted.
int ExitCodeOf(const absl::Status& status);
inline constexpr int kExitUsage = 2;
inline constexpr int kExitFailed = 6;
inline constexpr int kExitAborted = 7;

}  // namespace cloister::coordinator
