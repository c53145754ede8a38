// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/model_store.h"

#include "protocols/base/file.h"
#include "protocols/base/log.h"
#include "protocols/crypto/aead.h"
#include "protocols/crypto/hash.h"
#include "site_agent/agent/status_text.h"

namespace cloister::site {
namespace {

Bytes ContentLabel(const BaselineSeal& seal) {
  CanonicalWriter writer;
  writer.Blob("cloister/baseline").Put(seal.plan).Blob(seal.origin.value());
  return writer.Take();
}

Bytes KeyLabel(const BaselineSeal& seal, const SiteId& reader) {
  CanonicalWriter writer;
  writer.Blob("cloister/baseline-key").Put(seal.plan).Blob(seal.origin.value()).Blob(reader.value());
  return writer.Take();
}

// The content key seals one file and nothing else, so the nonce may be fixed.
const Bytes kNonce(crypto::kAeadNonceBytes, '\0');

}  // namespace

absl::StatusOr<std::filesystem::path> ModelStore::Fetch(const Digest& digest, uint64_t most_bytes,
                                                        const transport::StopSource& stop) {
  CLOISTER_RETURN_IF_ERROR(DropIfDamaged(digest));
  if (!blobs_->Has(digest)) {
    CLOISTER_RETURN_IF_ERROR(link_->Download(digest, most_bytes, blobs_, stop));
    NoteSound(digest);
  }
  return blobs_->Path(digest);
}

absl::Status ModelStore::DropIfDamaged(const Digest& digest) {
  {
    std::lock_guard lock(mutex_);
    if (sound_.count(digest) > 0) {
      return absl::OkStatus();
    }
  }
  const absl::Status verified = blobs_->Verify(digest);
  if (verified.ok()) {
    NoteSound(digest);
  } else if (absl::IsDataLoss(verified)) {
    Log()->warn("{}; it is fetched again", TextOf(verified));
    return blobs_->Remove(digest);
  }
  return absl::IsNotFound(verified) ? absl::OkStatus() : verified;
}

void ModelStore::NoteSound(const Digest& digest) {
  std::lock_guard lock(mutex_);
  sound_.insert(digest);
}

absl::StatusOr<std::filesystem::path> ModelStore::Adopt(const std::filesystem::path& file, const Digest& digest) {
  CLOISTER_RETURN_IF_ERROR(blobs_->Adopt(file, digest));
  NoteSound(digest);
  return blobs_->Path(digest);
}

absl::StatusOr<std::filesystem::path> ModelStore::FetchSealed(const Digest& digest, uint64_t most_bytes,
                                                              const Bytes& sealed_key, const BaselineSeal& seal,
                                                              const SiteId& reader, const crypto::X25519KeyPair& key,
                                                              const transport::StopSource& stop) {
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path path, Fetch(digest, most_bytes, stop));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes content_key,
                            crypto::OpenSealed(key, KeyLabel(seal, reader), sealed_key));
  if (content_key.size() != crypto::kAeadKeyBytes) {
    return absl::DataLossError("the sealed key of a baseline is not a key");
  }
  CLOISTER_ASSIGN_OR_RETURN(const Bytes sealed, ReadFile(path, most_bytes + crypto::kAeadTagBytes));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes model,
                            crypto::Open(content_key, kNonce, ContentLabel(seal), sealed));
  CLOISTER_RETURN_IF_ERROR(DropIfDamaged(crypto::Sha256(model.view())));
  CLOISTER_ASSIGN_OR_RETURN(const Digest opened, blobs_->Put(model.view()));
  return blobs_->Path(opened);
}

absl::StatusOr<Bytes> ModelStore::SealBaseline(const crypto::SecretBytes& content_key, const BaselineSeal& seal,
                                               ByteView model) {
  return crypto::Seal(content_key, kNonce, ContentLabel(seal), model);
}

absl::StatusOr<Bytes> ModelStore::SealKey(ByteView reader_public_key, const BaselineSeal& seal, const SiteId& reader,
                                          const crypto::SecretBytes& content_key) {
  return crypto::SealTo(reader_public_key, KeyLabel(seal, reader), content_key.view());
}

}  // namespace cloister::site
