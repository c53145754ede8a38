#pragma once
// SPDX-License-Identifier: Apache-2.0
// The small checks all codecs are made of; for the .cc files of this folder.

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/ids.h"
#include "protocols/base/status.h"

namespace cloister::wire {

inline absl::Status CheckSize(size_t size, size_t most, const char* what) {
  if (size > most) {
    return absl::InvalidArgumentError(fmt::format("{}: {} bytes, at most {}", what, size, most));
  }
  return absl::OkStatus();
}

inline absl::Status CheckCount(int count, size_t most, const char* what) {
  if (static_cast<size_t>(count) > most) {
    return absl::InvalidArgumentError(fmt::format("{}: {} of them, at most {}", what, count, most));
  }
  return absl::OkStatus();
}

// `text` for people or logs: of bounded size, and without control characters that would forge a log line.
absl::StatusOr<std::string> TakeText(const std::string& text, size_t most, const char* what);

// `text` as TakeText will accept it on the other side: control characters become spaces, what is too long is cut
// between characters.
std::string CleanText(std::string text, size_t most);

template <typename IdType>
absl::StatusOr<IdType> TakeId(const std::string& text, const char* what) {
  auto id = IdType::Parse(text);
  return id.ok() ? std::move(id) : absl::StatusOr<IdType>(Annotate(id.status(), what));
}

inline absl::StatusOr<Digest> TakeDigest(const std::string& bytes, const char* what) {
  auto digest = Digest::FromBytes(bytes);
  return digest.ok() ? std::move(digest) : absl::StatusOr<Digest>(Annotate(digest.status(), what));
}

// `known` is the generated <Enum>_IsValid; 0 is "unspecified" everywhere.
template <typename Enum>
absl::StatusOr<Enum> TakeEnum(int value, bool (*known)(int), const char* what) {
  if (value == 0 || !known(value)) {
    return absl::InvalidArgumentError(fmt::format("{}: {} is not a value this version knows", what, value));
  }
  return static_cast<Enum>(value);
}

template <typename Enum>
absl::StatusOr<std::optional<Enum>> TakeOptionalEnum(int value, bool (*known)(int), const char* what) {
  if (value == 0) {
    return std::optional<Enum>();
  }
  CLOISTER_ASSIGN_OR_RETURN(const Enum taken, TakeEnum<Enum>(value, known, what));
  return std::optional<Enum>(taken);
}

}  // namespace cloister::wire
