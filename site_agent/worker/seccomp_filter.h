#pragma once
// SPDX-License-Identifier: Apache-2.0
// The system calls a worker must not make. Each fails with EPERM (a few with ENOSYS, where the C library then takes an
// older call that can be checked).

#include "protocols/base/status.h"

namespace cloister::site {

// For this and every later thread. FAILED_PRECONDITION: the kernel refuses, or a call of the list is unknown to it.
absl::Status InstallSeccompFilter();

}  // namespace cloister::site
