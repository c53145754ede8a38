// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "protocols/crypto/ed25519.h"
#include "protocols/crypto/x25519.h"
#include "protocols/secagg/messages.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {
namespace {

absl::Status TakeType(CanonicalReader& reader, MessageType type) {
  CLOISTER_ASSIGN_OR_RETURN(const uint8_t found, reader.U8());
  if (found == static_cast<uint8_t>(type)) return absl::OkStatus();
  return absl::DataLossError(fmt::format("type {} where {} was expected", found, NameOf(type)));
}

absl::StatusOr<SiteId> TakeSite(CanonicalReader& reader) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, reader.Blob());
  return SiteId::Parse(text);
}

// A count of elements, none smaller than a byte: a lie about it cannot make us allocate more than the message's size.
absl::StatusOr<size_t> TakeCount(CanonicalReader& reader) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t count, reader.U32());
  if (count > static_cast<uint32_t>(kMaximumSites) || count > reader.remaining()) {
    return absl::DataLossError(fmt::format("{} elements where at most {} fit", count, kMaximumSites));
  }
  return count;
}

absl::StatusOr<std::vector<Bytes>> TakeList(CanonicalReader& reader) {
  CLOISTER_ASSIGN_OR_RETURN(const size_t count, TakeCount(reader));
  std::vector<Bytes> list(count);
  for (Bytes& element : list) {
    CLOISTER_ASSIGN_OR_RETURN(element, reader.Blob());
  }
  return list;
}

absl::StatusOr<SealedShare> TakeShare(CanonicalReader& reader) {
  SealedShare share;
  CLOISTER_ASSIGN_OR_RETURN(share.recipient, TakeSite(reader));
  CLOISTER_ASSIGN_OR_RETURN(share.self_mask_hash, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(share.key_hash, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(share.sealed, reader.Blob());
  return share;
}

absl::StatusOr<Bytes> TakeEnvelopes(CanonicalReader& reader) {
  CLOISTER_ASSIGN_OR_RETURN(Bytes envelopes, reader.Blob());
  if (envelopes.size() % kCheckEnvelopeBytes != 0 || envelopes.size() / kCheckEnvelopeBytes > size_t{kMaximumSites}) {
    return absl::DataLossError(
        fmt::format("{} bytes are not up to {} envelopes of {}", envelopes.size(), kMaximumSites, kCheckEnvelopeBytes));
  }
  return envelopes;
}

absl::StatusOr<Reveal> TakeReveal(CanonicalReader& reader) {
  Reveal reveal;
  CLOISTER_ASSIGN_OR_RETURN(reveal.owner, TakeSite(reader));
  CLOISTER_ASSIGN_OR_RETURN(const uint8_t kind, reader.U8());
  CLOISTER_ASSIGN_OR_RETURN(const Bytes bytes, reader.Fixed(kShamirShareBytes));
  CLOISTER_ASSIGN_OR_RETURN(const ShamirShare share, ShamirShare::FromBytes(bytes));
  if (kind == static_cast<uint8_t>(RevealKind::kSelfMask)) {
    reveal.share = SelfMaskShare{share};
  } else if (kind == static_cast<uint8_t>(RevealKind::kKey)) {
    reveal.share = KeyShare{share};
  } else {
    return absl::DataLossError(fmt::format("unknown kind {} of share", kind));
  }
  return reveal;
}

// A message that is one context and one list of bytes.
absl::Status TakeContextAndList(ByteView bytes, MessageType type, Digest& context, std::vector<Bytes>& list) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, type));
  CLOISTER_ASSIGN_OR_RETURN(context, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(list, TakeList(reader));
  return reader.Finish();
}

absl::Status TakeSignature(CanonicalReader& reader, Bytes& signature) {
  CLOISTER_ASSIGN_OR_RETURN(signature, reader.Fixed(crypto::kEd25519SignatureBytes));
  return reader.Finish();
}

}  // namespace

absl::StatusOr<MessageType> TypeOf(ByteView message) {
  CLOISTER_ASSIGN_OR_RETURN(const uint8_t type, CanonicalReader(message).U8());
  if (type < static_cast<uint8_t>(MessageType::kAdvert) || type > static_cast<uint8_t>(MessageType::kUnmask)) {
    return absl::DataLossError(fmt::format("unknown message type {}", type));
  }
  return static_cast<MessageType>(type);
}

absl::StatusOr<Advert> DecodeAdvert(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, MessageType::kAdvert));
  Advert message;
  CLOISTER_ASSIGN_OR_RETURN(message.ctx0, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.site, TakeSite(reader));
  CLOISTER_ASSIGN_OR_RETURN(message.channel_key, reader.Fixed(crypto::kX25519Bytes));
  CLOISTER_ASSIGN_OR_RETURN(message.mask_key, reader.Fixed(crypto::kX25519Bytes));
  CLOISTER_ASSIGN_OR_RETURN(message.self_mask_commitment, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(const uint8_t checked, reader.U8());
  if (checked > 1) return absl::DataLossError(fmt::format("an advert says {} where 0 or 1 belongs", checked));
  message.models_checked = checked == 1;
  CLOISTER_ASSIGN_OR_RETURN(message.certificate, reader.Blob());
  CLOISTER_RETURN_IF_ERROR(TakeSignature(reader, message.signature));
  return message;
}

absl::StatusOr<Roster> DecodeRoster(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, MessageType::kRoster));
  Roster message;
  CLOISTER_ASSIGN_OR_RETURN(message.adverts, TakeList(reader));
  CLOISTER_RETURN_IF_ERROR(reader.Finish());
  return message;
}

absl::StatusOr<ShareRoot> DecodeShareRoot(ByteView bytes) {
  CanonicalReader reader(bytes);
  ShareRoot message;
  CLOISTER_ASSIGN_OR_RETURN(message.ctx1, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.site, TakeSite(reader));
  CLOISTER_ASSIGN_OR_RETURN(message.root, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.check_part, reader.TakeDigest());
  CLOISTER_RETURN_IF_ERROR(TakeSignature(reader, message.signature));
  return message;
}

absl::StatusOr<Shares> DecodeShares(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, MessageType::kShares));
  Shares message;
  CLOISTER_ASSIGN_OR_RETURN(message.root, reader.Blob());
  CLOISTER_ASSIGN_OR_RETURN(const size_t count, TakeCount(reader));
  message.entries.resize(count);
  for (SealedShare& entry : message.entries) {
    CLOISTER_ASSIGN_OR_RETURN(entry, TakeShare(reader));
  }
  CLOISTER_ASSIGN_OR_RETURN(message.check_envelopes, TakeEnvelopes(reader));
  CLOISTER_RETURN_IF_ERROR(reader.Finish());
  return message;
}

absl::StatusOr<ShareDelivery> DecodeShareDelivery(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, MessageType::kShareDelivery));
  ShareDelivery message;
  CLOISTER_ASSIGN_OR_RETURN(message.ctx1, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.roots, TakeList(reader));
  CLOISTER_ASSIGN_OR_RETURN(const size_t count, TakeCount(reader));
  message.inbox.resize(count);
  for (InboxEntry& entry : message.inbox) {
    CLOISTER_ASSIGN_OR_RETURN(entry.owner, TakeSite(reader));
    CLOISTER_ASSIGN_OR_RETURN(entry.share, TakeShare(reader));
    CLOISTER_ASSIGN_OR_RETURN(const size_t steps, TakeCount(reader));
    entry.path.resize(steps);
    for (Digest& digest : entry.path) {
      CLOISTER_ASSIGN_OR_RETURN(digest, reader.TakeDigest());
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(message.check_envelopes, TakeEnvelopes(reader));
  CLOISTER_RETURN_IF_ERROR(reader.Finish());
  return message;
}

absl::StatusOr<MaskedCommit> DecodeMaskedCommit(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, MessageType::kMaskedCommit));
  MaskedCommit message;
  CLOISTER_ASSIGN_OR_RETURN(message.ctx2, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.site, TakeSite(reader));
  CLOISTER_ASSIGN_OR_RETURN(const size_t count, TakeCount(reader));
  message.vectors.resize(count);
  for (VectorCommit& vector : message.vectors) {
    CLOISTER_ASSIGN_OR_RETURN(vector.digest, reader.TakeDigest());
    CLOISTER_ASSIGN_OR_RETURN(vector.length, reader.U64());
  }
  CLOISTER_ASSIGN_OR_RETURN(message.tag, reader.U64());
  if (message.tag >= kFieldPrime) return absl::DataLossError("a tag lies outside its field");
  CLOISTER_RETURN_IF_ERROR(TakeSignature(reader, message.signature));
  return message;
}

absl::StatusOr<SurvivorList> DecodeSurvivorList(ByteView bytes) {
  SurvivorList message;
  CLOISTER_RETURN_IF_ERROR(TakeContextAndList(bytes, MessageType::kSurvivorList, message.ctx2, message.commits));
  return message;
}

absl::StatusOr<Consistency> DecodeConsistency(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, MessageType::kConsistency));
  Consistency message;
  CLOISTER_ASSIGN_OR_RETURN(message.ctx2, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.site, TakeSite(reader));
  CLOISTER_ASSIGN_OR_RETURN(message.survivors, reader.TakeDigest());
  CLOISTER_RETURN_IF_ERROR(TakeSignature(reader, message.signature));
  return message;
}

absl::StatusOr<SignatureSet> DecodeSignatureSet(ByteView bytes) {
  SignatureSet message;
  CLOISTER_RETURN_IF_ERROR(TakeContextAndList(bytes, MessageType::kSignatureSet, message.ctx2, message.consistencies));
  return message;
}

absl::StatusOr<Unmask> DecodeUnmask(ByteView bytes) {
  CanonicalReader reader(bytes);
  CLOISTER_RETURN_IF_ERROR(TakeType(reader, MessageType::kUnmask));
  Unmask message;
  CLOISTER_ASSIGN_OR_RETURN(message.ctx2, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.survivors, reader.TakeDigest());
  CLOISTER_ASSIGN_OR_RETURN(message.site, TakeSite(reader));
  CLOISTER_ASSIGN_OR_RETURN(const size_t count, TakeCount(reader));
  message.reveals.resize(count);
  for (Reveal& reveal : message.reveals) {
    CLOISTER_ASSIGN_OR_RETURN(reveal, TakeReveal(reader));
  }
  CLOISTER_RETURN_IF_ERROR(TakeSignature(reader, message.signature));
  return message;
}

}  // namespace cloister::secagg
