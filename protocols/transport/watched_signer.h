#pragma once
// SPDX-License-Identifier: Apache-2.0
// The signer of an identity folder under a running program: a renewed certificate counts from the next signature on,
// without a restart. TLS has its own watch in channel.h and tls.h.

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "protocols/base/clock.h"
#include "protocols/crypto/signer.h"
#include "protocols/transport/identity.h"

namespace cloister::transport {

// Thread-safe.
class WatchedSigner {
 public:
  // Codes as LoadSigner. `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<WatchedSigner>> Create(std::filesystem::path folder, crypto::Role role,
                                                               const Clock* clock);

  // The signer of the certificate on the disk now. Files that are half-written, of another party or not valid keep the
  // one before and are logged once: what it signs is refused by others when it has expired.
  crypto::Signer Get();

 private:
  WatchedSigner(std::filesystem::path folder, crypto::Role role, const Clock* clock, std::string seen,
                crypto::Signer signer)
      : folder_(std::move(folder)), role_(role), clock_(clock), seen_(std::move(seen)), signer_(std::move(signer)) {}

  const std::filesystem::path folder_;
  const crypto::Role role_;
  const Clock* const clock_;
  std::mutex mutex_;
  std::string seen_;       // their FileStamps when they were last read; guarded by mutex_
  crypto::Signer signer_;  // guarded by mutex_
};

}  // namespace cloister::transport
