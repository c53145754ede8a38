#pragma once
// SPDX-License-Identifier: Apache-2.0
// Passwords of the few people who log in to a status page or a portal, as scrypt hashes (RFC 7914) in one line of text.

#include <string>
#include <string_view>

#include "protocols/base/status.h"

namespace cloister::crypto {

// "scrypt:15:8:1:<salt>:<hash>" with a fresh salt; about 0.1 s and 32 MiB.
std::string HashPassword(std::string_view password);

// Does `password` match? False also for a `hash` that is not one of ours, or asks for more than 256 MiB. Takes as long
// for a wrong password as for the right one.
bool CheckPassword(std::string_view password, std::string_view hash);

}  // namespace cloister::crypto
