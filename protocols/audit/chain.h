#pragma once
// SPDX-License-Identifier: Apache-2.0
// The hash chain over audit records: SHA-256("cloister/audit" | previous | record). A chain alone cannot show that its
// tail was cut or that all of it was rewritten; a head remembered elsewhere (on paper, at the coordinator) can.

#include <cstdint>
#include <optional>
#include <string>

#include "protocols/audit/record.h"

namespace cloister::audit {

// The last record of a chain; {0, zero} is the empty chain.
struct Head {
  uint64_t sequence = 0;
  Digest hash;

  friend bool operator==(const Head& a, const Head& b) { return a.sequence == b.sequence && a.hash == b.hash; }
};

Digest ChainHash(const Digest& previous, uint64_t sequence, const Event& event);

// The record that follows `head`. INVALID_ARGUMENT: see CheckEvent.
absl::StatusOr<Record> NextRecord(const Head& head, Event event);

enum class BreakKind {
  kGap,        // one or more records are missing before this one
  kReordered,  // this record stands after a later one, or twice
  kAltered,    // the record's own hash does not fit its content
  kUnlinked,   // it does not continue the record before it: that one was replaced, hash and all
  kTruncated,  // the chain ends before the remembered head
  kRewritten,  // the record at the remembered head is another one
};
const char* BreakName(BreakKind kind);  // "gap", "reordered", ...

struct Break {
  BreakKind kind;
  uint64_t sequence;    // of the first broken record, as it should be
  std::string message;  // for people
};

// Reads a chain in order and keeps the first break. A value; single-threaded.
class ChainVerifier {
 public:
  explicit ChainVerifier(std::optional<Head> remembered = std::nullopt) : remembered_(remembered) {}

  // False once the chain is broken; later records are then ignored.
  bool Add(const Record& record);
  // To be called after the last record: nullopt if all is well.
  std::optional<Break> Finish();

  const Head& head() const { return head_; }  // of the good part

 private:
  bool Fail(BreakKind kind, uint64_t sequence, std::string message);

  std::optional<Head> remembered_;
  Head head_;
  std::optional<Break> break_;
};

}  // namespace cloister::audit
