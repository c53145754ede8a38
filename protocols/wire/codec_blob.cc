// SPDX-License-Identifier: Apache-2.0
// Codecs of blob headers.
#include "protocols/wire/check.h"
#include "protocols/wire/codec.h"

namespace cloister::wire {

absl::StatusOr<BlobHeader> Decode(const v1::BlobHeader& message) {
  BlobHeader header;
  CLOISTER_ASSIGN_OR_RETURN(header.digest, TakeDigest(message.digest(), "blob digest"));
  if (message.size_bytes() == 0 || message.size_bytes() > kMaxBlobBytes) {
    return absl::InvalidArgumentError(fmt::format("blob {}: {} bytes, allowed 1 to {}", header.digest.short_hex(),
                                                  message.size_bytes(), kMaxBlobBytes));
  }
  header.size_bytes = message.size_bytes();
  CLOISTER_ASSIGN_OR_RETURN(header.purpose,
                            TakeEnum<BlobPurpose>(message.purpose(), v1::BlobPurpose_IsValid, "blob purpose"));
  if ((header.purpose == BlobPurpose::kInitialModel) != message.job_id().empty()) {
    return absl::InvalidArgumentError("blob header: every blob but an initial model belongs to a job");
  }
  if (!message.job_id().empty()) {
    CLOISTER_ASSIGN_OR_RETURN(header.job, TakeId<JobId>(message.job_id(), "blob header"));
  }
  return header;
}

v1::BlobHeader Encode(const BlobHeader& header) {
  v1::BlobHeader message;
  message.set_digest(std::string(header.digest.view()));
  message.set_size_bytes(header.size_bytes);
  message.set_purpose(static_cast<v1::BlobPurpose>(header.purpose));
  message.set_job_id(header.job.value());
  return message;
}

absl::StatusOr<BlobStat> Decode(const v1::StatBlobReply& message) {
  if (message.received_bytes() > kMaxBlobBytes) {
    return absl::InvalidArgumentError("blob stat: more bytes received than a blob may have");
  }
  return BlobStat{message.received_bytes(), message.complete()};
}

v1::StatBlobReply Encode(const BlobStat& stat) {
  v1::StatBlobReply message;
  message.set_received_bytes(stat.received_bytes);
  message.set_complete(stat.complete);
  return message;
}

}  // namespace cloister::wire
