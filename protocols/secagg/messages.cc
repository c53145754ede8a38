// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/messages.h"

namespace cloister::secagg {
namespace {

CanonicalWriter Begin(MessageType type) {
  CanonicalWriter writer;
  writer.U8(static_cast<uint8_t>(type));
  return writer;
}

void PutList(CanonicalWriter& writer, const std::vector<Bytes>& list) {
  writer.U32(static_cast<uint32_t>(list.size()));
  for (const Bytes& element : list) writer.Blob(element);
}

void PutShare(CanonicalWriter& writer, const SealedShare& share) {
  writer.Blob(share.recipient.value()).Put(share.self_mask_hash).Put(share.key_hash).Blob(share.sealed);
}

}  // namespace

std::string_view NameOf(MessageType type) {
  switch (type) {
    case MessageType::kAdvert:
      return "Advert";
    case MessageType::kRoster:
      return "Roster";
    case MessageType::kShares:
      return "Shares";
    case MessageType::kShareDelivery:
      return "ShareDelivery";
    case MessageType::kMaskedCommit:
      return "MaskedCommit";
    case MessageType::kSurvivorList:
      return "SurvivorList";
    case MessageType::kConsistency:
      return "Consistency";
    case MessageType::kSignatureSet:
      return "SignatureSet";
    case MessageType::kUnmask:
      return "Unmask";
  }
  return "unknown";
}

Bytes SignedPart(const Advert& message) {
  CanonicalWriter writer = Begin(MessageType::kAdvert);
  writer.Put(message.ctx0).Blob(message.site.value()).Fixed(message.channel_key).Fixed(message.mask_key);
  writer.Put(message.self_mask_commitment).U8(message.models_checked ? 1 : 0).Blob(message.certificate);
  return writer.Take();
}

Bytes SignedPart(const ShareRoot& message) {
  return CanonicalWriter()
      .Put(message.ctx1)
      .Blob(message.site.value())
      .Put(message.root)
      .Put(message.check_part)
      .Take();
}

Bytes SignedPart(const MaskedCommit& message) {
  CanonicalWriter writer = Begin(MessageType::kMaskedCommit);
  writer.Put(message.ctx2).Blob(message.site.value()).U32(static_cast<uint32_t>(message.vectors.size()));
  for (const VectorCommit& vector : message.vectors) writer.Put(vector.digest).U64(vector.length);
  return writer.U64(message.tag).Take();
}

Bytes SignedPart(const Consistency& message) {
  CanonicalWriter writer = Begin(MessageType::kConsistency);
  writer.Put(message.ctx2).Blob(message.site.value()).Put(message.survivors);
  return writer.Take();
}

Bytes SignedPart(const Unmask& message) {
  CanonicalWriter writer = Begin(MessageType::kUnmask);
  writer.Put(message.ctx2).Put(message.survivors).Blob(message.site.value());
  writer.U32(static_cast<uint32_t>(message.reveals.size()));
  for (const Reveal& reveal : message.reveals) {
    writer.Blob(reveal.owner.value());
    if (const auto* self_mask = std::get_if<SelfMaskShare>(&reveal.share)) {
      writer.U8(static_cast<uint8_t>(RevealKind::kSelfMask)).Fixed(self_mask->share.ToBytes().view());
    } else {
      const ShamirShare& key = std::get<KeyShare>(reveal.share).share;
      writer.U8(static_cast<uint8_t>(RevealKind::kKey)).Fixed(key.ToBytes().view());
    }
  }
  return writer.Take();
}

Bytes Encode(const Advert& message) {
  return SignedPart(message) + message.signature;
}
Bytes Encode(const ShareRoot& message) {
  return SignedPart(message) + message.signature;
}
Bytes Encode(const MaskedCommit& message) {
  return SignedPart(message) + message.signature;
}
Bytes Encode(const Consistency& message) {
  return SignedPart(message) + message.signature;
}
Bytes Encode(const Unmask& message) {
  return SignedPart(message) + message.signature;
}

Bytes Encode(const Roster& message) {
  CanonicalWriter writer = Begin(MessageType::kRoster);
  PutList(writer, message.adverts);
  return writer.Take();
}

Bytes Encode(const Shares& message) {
  CanonicalWriter writer = Begin(MessageType::kShares);
  writer.Blob(message.root).U32(static_cast<uint32_t>(message.entries.size()));
  for (const SealedShare& share : message.entries) PutShare(writer, share);
  return writer.Blob(message.check_envelopes).Take();
}

Bytes Encode(const ShareDelivery& message) {
  CanonicalWriter writer = Begin(MessageType::kShareDelivery);
  writer.Put(message.ctx1);
  PutList(writer, message.roots);
  writer.U32(static_cast<uint32_t>(message.inbox.size()));
  for (const InboxEntry& entry : message.inbox) {
    writer.Blob(entry.owner.value());
    PutShare(writer, entry.share);
    writer.U32(static_cast<uint32_t>(entry.path.size()));
    for (const Digest& digest : entry.path) writer.Put(digest);
  }
  return writer.Blob(message.check_envelopes).Take();
}

Bytes Encode(const SurvivorList& message) {
  CanonicalWriter writer = Begin(MessageType::kSurvivorList);
  writer.Put(message.ctx2);
  PutList(writer, message.commits);
  return writer.Take();
}

Bytes Encode(const SignatureSet& message) {
  CanonicalWriter writer = Begin(MessageType::kSignatureSet);
  writer.Put(message.ctx2);
  PutList(writer, message.consistencies);
  return writer.Take();
}

}  // namespace cloister::secagg
