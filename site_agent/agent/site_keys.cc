// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/site_keys.h"

#include <fcntl.h>
#include <unistd.h>

#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/crypto/random.h"

namespace cloister::site {
namespace {

constexpr size_t kSecretBytes = 32;

std::filesystem::path JobPath(const std::filesystem::path& data, const JobId& job) {
  return data / "secrets" / (job.value() + ".secret");
}

absl::StatusOr<crypto::SecretBytes> LoadOrMake(const std::filesystem::path& path) {
  absl::StatusOr<Bytes> bytes = ReadFile(path, 4096);
  if (bytes.ok()) {
    if (bytes->size() != kSecretBytes) {
      return absl::DataLossError(path.string() + " is not 32 bytes: restore it from the backup");
    }
    return crypto::SecretBytes::TakeFrom(*bytes);
  }
  if (!absl::IsNotFound(bytes.status())) {
    return bytes.status();
  }
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(path.parent_path()));
  std::error_code ignored;
  std::filesystem::permissions(path.parent_path(), std::filesystem::perms::owner_all, ignored);
  crypto::SecretBytes secret = crypto::RandomSecret(kSecretBytes);
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(path, secret.view(), 0600));
  return secret;
}

}  // namespace

absl::StatusOr<crypto::SecretBytes> LoadSiteSecret(const std::filesystem::path& data) {
  return LoadOrMake(data / "secrets" / "site.secret");
}

absl::StatusOr<crypto::SecretBytes> LoadJobSecret(const std::filesystem::path& data, const JobId& job) {
  return LoadOrMake(JobPath(data, job));
}

absl::Status EraseJobSecret(const std::filesystem::path& data, const JobId& job) {
  const std::filesystem::path path = JobPath(data, job);
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) {
    return absl::OkStatus();
  }
  CLOISTER_RETURN_IF_ERROR(WriteAll(file.get(), Bytes(kSecretBytes, '\0'), path));
  fsync(file.get());
  std::error_code error;
  std::filesystem::remove(path, error);
  return error ? ErrnoStatus(error.value(), "cannot remove", path) : absl::OkStatus();
}

absl::StatusOr<crypto::X25519KeyPair> SealingKey(const crypto::SecretBytes& job_secret) {
  return crypto::X25519KeyPair::FromSeed(crypto::Hkdf("cloister/job", job_secret, "sealing key", 32));
}

}  // namespace cloister::site
