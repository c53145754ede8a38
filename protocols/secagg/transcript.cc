// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {

Digest RosterContext(const Digest& ctx0, const std::vector<Bytes>& adverts, int threshold,
                     const std::optional<Neighbourhoods::Terms>& graph) {
  CanonicalWriter writer;
  writer.Blob("CSA1/ctx1").Put(ctx0).U32(static_cast<uint32_t>(threshold)).U64(adverts.size());
  for (const Bytes& advert : adverts) writer.Blob(advert);
  if (graph.has_value()) {
    writer.Put(graph->seed);
    writer.U32(static_cast<uint32_t>(graph->parameters.degree));
    writer.U32(static_cast<uint32_t>(graph->parameters.threshold));
  }
  return crypto::Sha256(writer.bytes());
}

Digest SharersContext(const Digest& ctx1, size_t roster_size, const std::vector<size_t>& sharers,
                      const std::vector<Bytes>& share_roots) {
  Bytes bitmap((roster_size + 7) / 8, '\0');
  for (const size_t i : sharers) bitmap[i / 8] = static_cast<char>(bitmap[i / 8] | 1 << (i % 8));
  CanonicalWriter writer;
  writer.Blob("CSA1/ctx2").Put(ctx1).Blob(bitmap).U64(share_roots.size());
  for (const Bytes& root : share_roots) writer.Blob(root);
  return crypto::Sha256(writer.bytes());
}

Digest SurvivorDigest(const Digest& ctx2, const std::vector<Bytes>& commits) {
  CanonicalWriter writer;
  writer.Blob("CSA1/survivors").Put(ctx2).U64(commits.size());
  for (const Bytes& commit : commits) writer.Blob(commit);
  return crypto::Sha256(writer.bytes());
}

Digest SelfMaskCommitment(const Digest& ctx0, const SiteId& site, const crypto::SecretBytes& self_mask) {
  const Bytes context = CanonicalWriter().Blob("CSA1/b").Put(ctx0).Blob(site.value()).Take();
  return crypto::Sha256Stream().Update(context).Update(self_mask.view()).Finish();
}

Digest ShareHash(const Digest& ctx1, const SiteId& owner, const SiteId& holder, ShareKind kind,
                 const ShamirShare& share) {
  const Bytes context = CanonicalWriter()
                            .Blob("CSA1/share")
                            .Put(ctx1)
                            .Blob(owner.value())
                            .Blob(holder.value())
                            .U8(static_cast<uint8_t>(kind))
                            .Take();
  return crypto::Sha256Stream().Update(context).Update(share.ToBytes().view()).Finish();
}

Digest ShareLeaf(const SealedShare& share) {
  return crypto::Sha256(CanonicalWriter()
                            .Blob("CSA1/leaf")
                            .Blob(share.recipient.value())
                            .Put(share.self_mask_hash)
                            .Put(share.key_hash)
                            .Put(crypto::Sha256(share.sealed))
                            .bytes());
}

std::string_view DomainOf(MessageType type) {
  switch (type) {
    case MessageType::kAdvert:
      return "CSA1/advert";
    case MessageType::kMaskedCommit:
      return "CSA1/masked-commit";
    case MessageType::kConsistency:
      return "CSA1/consistency";
    case MessageType::kUnmask:
      return "CSA1/unmask";
    case MessageType::kRoster:
    case MessageType::kShares:
    case MessageType::kShareDelivery:
    case MessageType::kSurvivorList:
    case MessageType::kSignatureSet:
      break;
  }
  return "CSA1/unsigned";
}

}  // namespace cloister::secagg
