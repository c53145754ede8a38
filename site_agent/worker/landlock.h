#pragma once
// SPDX-License-Identifier: Apache-2.0
// Landlock by its three system calls (linux/landlock.h of Debian 12 knows only the first versions).

#include <filesystem>
#include <vector>

#include "protocols/base/status.h"

namespace cloister::site {

// The version of Landlock the running kernel offers; 0: none.
int LandlockAbi();

// From here on this thread and its children read only below `readable`, and write only below `writable`; they make and
// connect no TCP socket (version 4) and signal nobody outside (version 6). Paths that do not exist are left out. Needs
// no_new_privs. FAILED_PRECONDITION: the kernel refuses.
absl::Status RestrictFiles(const std::vector<std::filesystem::path>& readable,
                           const std::vector<std::filesystem::path>& writable);

}  // namespace cloister::site
