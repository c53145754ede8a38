#pragma once
// SPDX-License-Identifier: Apache-2.0
// `cloister ca`: the consortium's certificate authority on the operator's disk. Its key is not the coordinator's: who
// runs the coordinator cannot let anybody in.

#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/cli/terminal.h"
#include "protocols/base/bytes.h"
#include "protocols/base/clock.h"

namespace cloister::coordinator {

struct CaInit {
  std::filesystem::path folder;
  std::string name = "Cloister consortium";
  int years = 10;
};
// ca.pem and ca.key (0600). ALREADY_EXISTS: there is one.
absl::Status InitAuthority(const CaInit& command, const Clock& clock, Terminal terminal);

struct CaApprove {
  std::filesystem::path folder;
  std::filesystem::path request;  // the request file (NAME.csr) of cloister enroll or cloister-site enroll
  std::filesystem::path out;      // empty: ID.certificates.pem beside the request
  int days = 365;
  std::vector<std::string> hosts;  // names and addresses of a coordinator
  bool yes = false;
  bool replace = false;  // the party has lost its keys, or has another role now
};
// Shows who asks for what, asks, and issues both certificates. CANCELLED: the answer was no. FAILED_PRECONDITION: the
// id has certificates for other keys already.
absl::Status ApproveRequest(const CaApprove& command, const Clock& clock, Terminal terminal);

// The CA and what it has issued.
absl::Status ShowAuthority(const std::filesystem::path& folder, bool json, const Clock& clock, Terminal terminal);

// 64 hex digits in groups, as two people read them to each other.
std::string SpokenFingerprint(const Digest& digest);

}  // namespace cloister::coordinator
