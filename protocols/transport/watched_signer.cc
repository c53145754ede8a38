// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/watched_signer.h"

#include <fmt/format.h>

#include "protocols/base/file.h"
#include "protocols/base/log.h"

namespace cloister::transport {
namespace {

std::string Seen(const std::filesystem::path& folder) {
  return FileStamp(folder / "ca.pem") + FileStamp(folder / "signing.pem") + FileStamp(folder / "signing.key");
}

}  // namespace

absl::StatusOr<std::unique_ptr<WatchedSigner>> WatchedSigner::Create(std::filesystem::path folder, crypto::Role role,
                                                                     const Clock* clock) {
  std::string seen = Seen(folder);
  CLOISTER_ASSIGN_OR_RETURN(crypto::Signer signer, LoadSigner(folder, role, clock->Now()));
  return std::unique_ptr<WatchedSigner>(
      new WatchedSigner(std::move(folder), role, clock, std::move(seen), std::move(signer)));
}

crypto::Signer WatchedSigner::Get() {
  std::lock_guard lock(mutex_);
  std::string seen = Seen(folder_);
  if (seen == seen_) {
    return signer_;
  }
  seen_ = std::move(seen);
  absl::StatusOr<crypto::Signer> renewed = LoadSigner(folder_, role_, clock_->Now());
  if (renewed.ok() && renewed->id() != signer_.id()) {
    renewed = absl::FailedPreconditionError(
        fmt::format("{}: the certificate of {}, not of {}", folder_.string(), renewed->id(), signer_.id()));
  }
  if (!renewed.ok()) {
    Log()->warn("the signing certificate was not renewed: {}", std::string(renewed.status().message()));
    return signer_;
  }
  signer_ = *std::move(renewed);
  Log()->info("signing with the certificate that is valid until {}", FormatUtc(signer_.certificate().not_after()));
  return signer_;
}

}  // namespace cloister::transport
