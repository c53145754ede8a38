// SPDX-License-Identifier: Apache-2.0
// Layout: magic, fields in canonical encoding, SHA-256 of all before.

#include "models/train/checkpoint.h"

#include <cstring>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"

namespace cloister::models {
namespace {

constexpr char kMagic[] = "cloister/checkpoint/1";
constexpr uint64_t kLimitBytes = uint64_t{16} << 30;

uint64_t BitsOf(double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

double FromBits(uint64_t bits) {
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

absl::Status WriteCheckpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  CanonicalWriter writer;
  writer.Blob(kMagic).Put(checkpoint.arguments).U32(checkpoint.epochs_done);
  writer.U64(BitsOf(checkpoint.loss_first_epoch)).U64(BitsOf(checkpoint.loss_sum));
  writer.Blob(checkpoint.weights).Blob(checkpoint.optimizer);
  writer.Put(crypto::Sha256(writer.bytes()));
  return WriteFileAtomically(path, writer.bytes(), 0600);
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::filesystem::path& path, const Digest& arguments) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes file, ReadFile(path, kLimitBytes));
  if (file.size() < Digest::kSize) {
    return absl::DataLossError("checkpoint: truncated");
  }
  const ByteView body = ByteView(file).substr(0, file.size() - Digest::kSize);
  if (crypto::Sha256(body).view() != ByteView(file).substr(body.size())) {
    return absl::DataLossError("checkpoint: the digest does not match");
  }
  CanonicalReader reader(body);
  CLOISTER_ASSIGN_OR_RETURN(const Bytes magic, reader.Blob());
  if (magic != kMagic) {
    return absl::DataLossError("checkpoint: of another version");
  }
  Checkpoint checkpoint;
  CLOISTER_ASSIGN_OR_RETURN(checkpoint.arguments, reader.TakeDigest());
  if (checkpoint.arguments != arguments) {
    return absl::FailedPreconditionError("checkpoint: of another training");
  }
  CLOISTER_ASSIGN_OR_RETURN(checkpoint.epochs_done, reader.U32());
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t first, reader.U64());
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t sum, reader.U64());
  checkpoint.loss_first_epoch = FromBits(first);
  checkpoint.loss_sum = FromBits(sum);
  CLOISTER_ASSIGN_OR_RETURN(checkpoint.weights, reader.Blob());
  CLOISTER_ASSIGN_OR_RETURN(checkpoint.optimizer, reader.Blob());
  CLOISTER_RETURN_IF_ERROR(reader.Finish());
  return checkpoint;
}

}  // namespace cloister::models
