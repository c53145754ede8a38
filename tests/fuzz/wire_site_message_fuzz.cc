// SPDX-License-Identifier: Apache-2.0
// What a site sends to the coordinator. Protobuf has many encodings of one message, ours is the one that is hashed.
#include "protocols/wire/message_bytes.h"
#include "tests/fuzz/target.h"
#include "tests/protocols/wire/wire_examples.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const absl::StatusOr<wire::SiteMessage> message = wire::ParseSiteMessage(input);
  if (!message.ok()) return;
  const Bytes bytes = wire::SerializeSiteMessage(*message);
  const absl::StatusOr<wire::SiteMessage> again = wire::ParseSiteMessage(bytes);
  Require(again.ok(), "what was taken is taken again");
  RequireSame(wire::SerializeSiteMessage(*again), bytes, "and is the same");
}

std::vector<Bytes> Seeds() {
  std::vector<Bytes> seeds;
  for (const wire::SiteMessage& message : wire::AllSiteMessages()) {
    seeds.push_back(wire::SerializeSiteMessage(message));
  }
  return seeds;
}

}  // namespace cloister::fuzz
