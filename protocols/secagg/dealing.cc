// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/dealing.h"

#include <fmt/format.h>

#include <algorithm>

#include <utility>

#include "protocols/crypto/aead.h"
#include "protocols/crypto/hkdf.h"
#include "protocols/secagg/check_tag.h"
#include "protocols/secagg/transcript.h"

namespace cloister::secagg {
namespace {

// A channel key seals one message in one direction, so its nonce may be fixed.
const Bytes kChannelNonce(crypto::kAeadNonceBytes, '\0');

crypto::SecretBytes DeriveOne(const Digest& ctx0, const crypto::SecretBytes& root, ByteView what) {
  return crypto::Hkdf(ctx0.view(), root, CanonicalWriter().Blob(what).bytes(), 32);
}

crypto::X25519KeyPair DeriveKeyPair(const Digest& ctx0, const crypto::SecretBytes& root, ByteView what) {
  return crypto::X25519KeyPair::FromSeed(DeriveOne(ctx0, root, what)).value();  // 32 bytes always are a key
}

absl::StatusOr<crypto::SecretBytes> ChannelKey(const crypto::X25519KeyPair& mine, const Member& peer,
                                               const Digest& ctx1, const SiteId& from, const SiteId& to) {
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes shared, mine.Derive(peer.channel_key));
  const Bytes info = CanonicalWriter().Blob("CSA1/chan").Blob(from.value()).Blob(to.value()).Take();
  return crypto::Hkdf(ctx1.view(), shared, info, crypto::kAeadKeyBytes);
}

Bytes ChannelContext(const Digest& ctx1, const SiteId& from, const SiteId& to) {
  return CanonicalWriter().Put(ctx1).Blob(from.value()).Blob(to.value()).Take();
}

crypto::SecretBytes Join(const SharePair& pair, const crypto::SecretBytes& check_part) {
  crypto::SecretBytes joined(2 * kShamirShareBytes + kCheckPartBytes);
  const crypto::SecretBytes self_mask = pair.self_mask.ToBytes();
  const crypto::SecretBytes key = pair.key.ToBytes();
  std::copy(self_mask.data(), self_mask.data() + kShamirShareBytes, joined.data());
  std::copy(key.data(), key.data() + kShamirShareBytes, joined.data() + kShamirShareBytes);
  std::copy(check_part.data(), check_part.data() + kCheckPartBytes, joined.data() + 2 * kShamirShareBytes);
  return joined;
}

// One message, sealed from one member for another.
absl::StatusOr<Bytes> SealFor(const SiteSecrets& secrets, const VerifiedRoster& roster, size_t from, size_t to,
                              ByteView message) {
  const Digest& ctx1 = roster.ctx1();
  const SiteId& owner = roster[from].site;
  const SiteId& holder = roster[to].site;
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes key,
                            ChannelKey(secrets.channel, roster[to], ctx1, owner, holder));
  return crypto::Seal(key, kChannelNonce, ChannelContext(ctx1, owner, holder), message);
}

absl::StatusOr<crypto::SecretBytes> OpenFrom(const SiteSecrets& secrets, const VerifiedRoster& roster, size_t from,
                                             size_t to, ByteView sealed) {
  const Digest& ctx1 = roster.ctx1();
  const SiteId& owner = roster[from].site;
  const SiteId& holder = roster[to].site;
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes key,
                            ChannelKey(secrets.channel, roster[from], ctx1, owner, holder));
  return crypto::Open(key, kChannelNonce, ChannelContext(ctx1, owner, holder), sealed);
}

crypto::SeededStream Coefficients(const SiteSecrets& secrets, const Digest& ctx1, ByteView which) {
  return {secrets.root, CanonicalWriter().Blob("CSA1/coefficients").Put(ctx1).Blob(which).bytes()};
}

// Members [first, last) are no neighbours of `self`: they get its part of the check seed alone.
absl::Status SealCheckParts(const SiteSecrets& secrets, const VerifiedRoster& roster, size_t self, size_t first,
                            size_t last, Dealing& dealing) {
  for (size_t member = first; member < last; ++member) {
    CLOISTER_ASSIGN_OR_RETURN(const Bytes envelope,
                              SealFor(secrets, roster, self, member, dealing.own.check_part.view()));
    dealing.message.check_envelopes += envelope;
  }
  return absl::OkStatus();
}

}  // namespace

SiteSecrets DeriveSecrets(const Digest& ctx0, const SiteId& site, const crypto::SecretBytes& job_secret) {
  const Bytes info = CanonicalWriter().Blob("CSA1/site-root").Blob(site.value()).Take();
  crypto::SecretBytes root = crypto::Hkdf(ctx0.view(), job_secret, info, 32);
  crypto::X25519KeyPair channel = DeriveKeyPair(ctx0, root, "CSA1/channel-key");
  crypto::X25519KeyPair mask = DeriveKeyPair(ctx0, root, "CSA1/mask-key");
  crypto::SecretBytes self_mask = DeriveOne(ctx0, root, "CSA1/self-mask");
  return {std::move(root), std::move(channel), std::move(mask), std::move(self_mask)};
}

absl::StatusOr<Dealing> DealSecrets(const SiteSecrets& secrets, const crypto::Signer& signer,
                                    const VerifiedRoster& roster, size_t self) {
  const Digest& ctx1 = roster.ctx1();
  const SiteId& owner = roster[self].site;
  const Neighbourhoods& neighbourhoods = roster.neighbourhoods();
  const std::vector<Holder> holders = neighbourhoods.HoldersOf(self);
  // A polynomial has a value at the x of an absent neighbour too; nobody gets it.
  const int n = static_cast<int>(holders.back().x);
  crypto::SeededStream self_mask_stream = Coefficients(secrets, ctx1, "self-mask");
  crypto::SeededStream key_stream = Coefficients(secrets, ctx1, "key");
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ShamirShare> self_mask_shares,
                            DealShares(secrets.self_mask, neighbourhoods.threshold(), n, self_mask_stream));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ShamirShare> key_shares,
                            DealShares(secrets.mask.seed(), neighbourhoods.threshold(), n, key_stream));
  Dealing dealing;
  dealing.own.check_part = crypto::Hkdf(ctx1.view(), secrets.root, "CSA1/check-part", kCheckPartBytes);
  std::vector<Digest> leaves;
  size_t member = 0;
  for (const auto& [holder_index, x] : holders) {
    CLOISTER_RETURN_IF_ERROR(SealCheckParts(secrets, roster, self, member, holder_index, dealing));
    member = holder_index + 1;
    const SiteId& holder = roster[holder_index].site;
    const SharePair pair{self_mask_shares[x - 1], key_shares[x - 1]};
    SealedShare share;
    share.recipient = holder;
    share.self_mask_hash = ShareHash(ctx1, owner, holder, ShareKind::kSelfMask, pair.self_mask);
    share.key_hash = ShareHash(ctx1, owner, holder, ShareKind::kKey, pair.key);
    if (holder_index == self) {
      dealing.own.pair = pair;
    } else {
      CLOISTER_ASSIGN_OR_RETURN(
          share.sealed, SealFor(secrets, roster, self, holder_index, Join(pair, dealing.own.check_part).view()));
    }
    leaves.push_back(ShareLeaf(share));
    dealing.message.entries.push_back(std::move(share));
  }
  CLOISTER_RETURN_IF_ERROR(SealCheckParts(secrets, roster, self, member, roster.size(), dealing));
  ShareRoot root{
      ctx1, owner, crypto::MerkleRootOf(leaves), CheckSeedCommitment(ctx1, owner, dealing.own.check_part), {}};
  root.signature = signer.Sign(kShareRootDomain, SignedPart(root));
  dealing.message.root = Encode(root);
  return dealing;
}

absl::StatusOr<DealtShare> OpenShares(const SiteSecrets& secrets, const VerifiedRoster& roster, size_t owner,
                                      size_t self, const SealedShare& share, const ShareRoot& root) {
  const Digest& ctx1 = roster.ctx1();
  const SiteId& from = roster[owner].site;
  const SiteId& to = roster[self].site;
  CLOISTER_ASSIGN_OR_RETURN(const crypto::SecretBytes joined, OpenFrom(secrets, roster, owner, self, share.sealed));
  if (joined.size() != 2 * kShamirShareBytes + kCheckPartBytes) {
    return absl::DataLossError(fmt::format("site {} sealed {} bytes as shares", from.value(), joined.size()));
  }
  DealtShare dealt;
  CLOISTER_ASSIGN_OR_RETURN(dealt.pair.self_mask, ShamirShare::FromBytes(joined.view().substr(0, kShamirShareBytes)));
  CLOISTER_ASSIGN_OR_RETURN(dealt.pair.key,
                            ShamirShare::FromBytes(joined.view().substr(kShamirShareBytes, kShamirShareBytes)));
  dealt.check_part = joined.Slice(2 * kShamirShareBytes, kCheckPartBytes);
  if (ShareHash(ctx1, from, to, ShareKind::kSelfMask, dealt.pair.self_mask) != share.self_mask_hash ||
      ShareHash(ctx1, from, to, ShareKind::kKey, dealt.pair.key) != share.key_hash ||
      CheckSeedCommitment(ctx1, from, dealt.check_part) != root.check_part) {
    return absl::DataLossError(fmt::format("site {} sealed other shares than it signed", from.value()));
  }
  return dealt;
}

absl::StatusOr<crypto::SecretBytes> OpenCheckPart(const SiteSecrets& secrets, const VerifiedRoster& roster,
                                                  size_t owner, size_t self, ByteView envelope, const ShareRoot& root) {
  CLOISTER_ASSIGN_OR_RETURN(crypto::SecretBytes part, OpenFrom(secrets, roster, owner, self, envelope));
  const SiteId& from = roster[owner].site;
  if (CheckSeedCommitment(roster.ctx1(), from, part) != root.check_part) {
    return absl::DataLossError(
        fmt::format("site {} sealed another part of the check seed than it signed", from.value()));
  }
  return part;
}

}  // namespace cloister::secagg
