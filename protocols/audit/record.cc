// SPDX-License-Identifier: Apache-2.0
#include "protocols/audit/record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "protocols/base/utf8.h"

namespace cloister::audit {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 10;
constexpr size_t kMaxDetailBytes = size_t{64} << 10;
constexpr int64_t kEndOfYear9999 = 253402300800;  // 10000-01-01T00:00:00Z, in seconds

absl::Status CheckText(const std::string& text, const char* what, size_t limit) {
  if (text.size() > limit) {
    return absl::InvalidArgumentError(
        fmt::format("audit: {} has {} bytes; at most {} are allowed", what, text.size(), limit));
  }
  if (IsPlainUtf8(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("audit: {} is not plain UTF-8 text", what));
}

}  // namespace

absl::Status CheckEvent(const Event& event) {
  if (event.actor.empty()) return absl::InvalidArgumentError("audit: an event without an actor");
  if (event.action.empty()) return absl::InvalidArgumentError("audit: an event without an action");
  CLOISTER_RETURN_IF_ERROR(CheckText(event.actor, "actor", kMaxTextBytes));
  CLOISTER_RETURN_IF_ERROR(CheckText(event.action, "action", kMaxTextBytes));
  CLOISTER_RETURN_IF_ERROR(CheckText(event.subject, "subject", kMaxTextBytes));
  CLOISTER_RETURN_IF_ERROR(CheckText(event.type, "type", kMaxTextBytes));
  CLOISTER_RETURN_IF_ERROR(CheckText(event.detail, "detail", kMaxDetailBytes));
  if (!event.detail.empty() && !nlohmann::json::parse(event.detail, nullptr, false).is_object()) {
    return absl::InvalidArgumentError("audit: detail is not a JSON object");
  }
  if (event.time < absl::UnixEpoch() || event.time >= absl::FromUnixSeconds(kEndOfYear9999)) {
    return absl::InvalidArgumentError("audit: the time is outside the years 1970 to 9999");
  }
  if (event.size_bytes >> 63 != 0) return absl::InvalidArgumentError("audit: size_bytes is above 2^63");
  return absl::OkStatus();
}

Bytes CanonicalEncoding(uint64_t sequence, const Event& event) {
  CanonicalWriter writer;
  writer.U64(sequence)
      .U64(static_cast<uint64_t>(absl::ToUnixMillis(event.time)))
      .Blob(event.actor)
      .Blob(event.action)
      .Blob(event.subject)
      .Blob(event.type)
      .U64(event.size_bytes)
      .Put(event.digest)
      .Blob(event.detail);
  return writer.Take();
}

}  // namespace cloister::audit
