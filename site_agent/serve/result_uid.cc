// SPDX-License-Identifier: Apache-2.0
// UIDs by hashing.

#include "site_agent/serve/result_uid.h"

#include <array>

#include "protocols/crypto/hash.h"

namespace cloister::site {
namespace {

std::string Derive(const char* purpose, const std::string& a, const std::string& b, ResultKind kind) {
  CanonicalWriter writer;
  writer.Blob(purpose).Blob(a).Blob(b).U8(kind == ResultKind::kStructuredReport ? 1 : 2);
  return UidFromDigest(crypto::Sha256(writer.bytes()));
}

}  // namespace

std::string UidFromDigest(const Digest& digest) {
  std::array<uint8_t, 16> uuid{};
  for (size_t i = 0; i < uuid.size(); ++i) {
    uuid[i] = static_cast<uint8_t>(digest.view()[i]);
  }
  uuid[6] = (uuid[6] & 0x0f) | 0x80;  // version 8
  uuid[8] = (uuid[8] & 0x3f) | 0x80;  // variant
  std::string reversed;
  bool zero = false;
  while (!zero) {  // long division of the 128-bit number by ten
    unsigned remainder = 0;
    zero = true;
    for (uint8_t& byte : uuid) {
      const unsigned value = remainder * 256 + byte;
      byte = static_cast<uint8_t>(value / 10);
      remainder = value % 10;
      zero = zero && byte == 0;
    }
    reversed += static_cast<char>('0' + remainder);
  }
  return "2.25." + std::string(reversed.rbegin(), reversed.rend());
}

std::string DeviceUid(const Digest& release_digest) {
  CanonicalWriter writer;
  writer.Blob("cloister device uid").Put(release_digest);
  return UidFromDigest(crypto::Sha256(writer.bytes()));
}

std::string ResultSopInstanceUid(const std::string& device_uid, const std::string& source_sop_instance_uid,
                                 ResultKind kind) {
  return Derive("cloister result instance", device_uid, source_sop_instance_uid, kind);
}

std::string ResultSeriesInstanceUid(const std::string& device_uid, const std::string& source_study_instance_uid,
                                    ResultKind kind) {
  return Derive("cloister result series", device_uid, source_study_instance_uid, kind);
}

}  // namespace cloister::site
