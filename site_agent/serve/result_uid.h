#pragma once
// SPDX-License-Identifier: Apache-2.0
// UIDs of results and of releases, derived by hashing, so that a repeated answer is the same object and PACS keeps one.
// All are under 2.25 (PS3.5 B.2): a UUID as a decimal number.

#include <string>

#include "protocols/base/bytes.h"

namespace cloister::site {

enum class ResultKind { kStructuredReport, kSecondaryCapture };

// 2.25.<the first 128 bits of `digest`, version and variant bits set as RFC 9562 version 8>.
std::string UidFromDigest(const Digest& digest);

// The Device UID of a published release: a new release is a new device.
std::string DeviceUid(const Digest& release_digest);

std::string ResultSopInstanceUid(const std::string& device_uid, const std::string& source_sop_instance_uid,
                                 ResultKind kind);
// One series per device, source study and kind.
std::string ResultSeriesInstanceUid(const std::string& device_uid, const std::string& source_study_instance_uid,
                                    ResultKind kind);

}  // namespace cloister::site
