// SPDX-License-Identifier: Apache-2.0
#include "protocols/audit/chain.h"

#include <fmt/format.h>

#include "protocols/crypto/hash.h"

namespace cloister::audit {

Digest ChainHash(const Digest& previous, uint64_t sequence, const Event& event) {
  CanonicalWriter writer;
  writer.Blob("cloister/audit").Put(previous).Blob(CanonicalEncoding(sequence, event));
  return crypto::Sha256(writer.bytes());
}

absl::StatusOr<Record> NextRecord(const Head& head, Event event) {
  CLOISTER_RETURN_IF_ERROR(CheckEvent(event));
  Record record;
  record.sequence = head.sequence + 1;
  record.event = std::move(event);
  record.event.time = absl::FromUnixMillis(absl::ToUnixMillis(record.event.time));
  record.previous = head.hash;
  record.hash = ChainHash(record.previous, record.sequence, record.event);
  return record;
}

const char* BreakName(BreakKind kind) {
  switch (kind) {
    case BreakKind::kGap:
      return "gap";
    case BreakKind::kReordered:
      return "reordered";
    case BreakKind::kAltered:
      return "altered";
    case BreakKind::kUnlinked:
      return "unlinked";
    case BreakKind::kTruncated:
      return "truncated";
    case BreakKind::kRewritten:
      return "rewritten";
  }
  return "unknown";
}

bool ChainVerifier::Fail(BreakKind kind, uint64_t sequence, std::string message) {
  break_ = Break{kind, sequence, std::move(message)};
  return false;
}

bool ChainVerifier::Add(const Record& record) {
  if (break_) return false;
  const uint64_t expected = head_.sequence + 1;
  if (record.sequence > expected) {
    return Fail(BreakKind::kGap, expected,
                record.sequence == expected + 1
                    ? fmt::format("record {} is missing", expected)
                    : fmt::format("records {} to {} are missing", expected, record.sequence - 1));
  }
  if (record.sequence < expected) {
    return Fail(BreakKind::kReordered, expected,
                fmt::format("record {} stands where record {} should be", record.sequence, expected));
  }
  if (record.hash != ChainHash(record.previous, record.sequence, record.event)) {
    return Fail(BreakKind::kAltered, expected, fmt::format("record {} was altered: its hash does not fit", expected));
  }
  if (record.previous != head_.hash) {
    if (expected == 1) return Fail(BreakKind::kUnlinked, 1, "record 1 is not the first of its chain");
    return Fail(BreakKind::kUnlinked, expected - 1,
                fmt::format("record {} was replaced: record {} continues another one", expected - 1, expected));
  }
  if (remembered_ && remembered_->sequence == record.sequence && remembered_->hash != record.hash) {
    return Fail(BreakKind::kRewritten, expected,
                fmt::format("record {} is {}, but {} was remembered: it or an earlier one was rewritten", expected,
                            record.hash.short_hex(), remembered_->hash.short_hex()));
  }
  head_ = {record.sequence, record.hash};
  return true;
}

std::optional<Break> ChainVerifier::Finish() {
  if (!break_ && remembered_ && remembered_->sequence > head_.sequence) {
    Fail(BreakKind::kTruncated, head_.sequence + 1,
         fmt::format("the chain ends after record {}, but record {} was remembered", head_.sequence,
                     remembered_->sequence));
  }
  return break_;
}

}  // namespace cloister::audit
