// SPDX-License-Identifier: Apache-2.0
// The messages of a secure sum: one message has one encoding. A second one would give the same words two digests.
#include "protocols/secagg/messages.h"

#include "protocols/secagg/graph_seed.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

using namespace secagg;  // its decoders are all of what this file is about

template <typename Message>
void ReadAndWrite(absl::StatusOr<Message> (*decode)(ByteView), ByteView input) {
  const absl::StatusOr<Message> message = decode(input);
  if (message.ok()) RequireSame(Encode(*message), input, "a message has one encoding");
}

void ReadAndWriteShare(ByteView input) {
  const absl::StatusOr<ShamirShare> share = ShamirShare::FromBytes(input);
  if (share.ok()) RequireSame(share->ToBytes().view(), input, "a share has one encoding");
}

constexpr void (*kDecoders[])(ByteView) = {
    [](ByteView input) { ReadAndWrite(DecodeAdvert, input); },
    [](ByteView input) { ReadAndWrite(DecodeRoster, input); },
    [](ByteView input) { ReadAndWrite(DecodeShareRoot, input); },
    [](ByteView input) { ReadAndWrite(DecodeShares, input); },
    [](ByteView input) { ReadAndWrite(DecodeShareDelivery, input); },
    [](ByteView input) { ReadAndWrite(DecodeMaskedCommit, input); },
    [](ByteView input) { ReadAndWrite(DecodeSurvivorList, input); },
    [](ByteView input) { ReadAndWrite(DecodeConsistency, input); },
    [](ByteView input) { ReadAndWrite(DecodeSignatureSet, input); },
    [](ByteView input) { ReadAndWrite(DecodeUnmask, input); },
    ReadAndWriteShare,
    [](ByteView input) {
      const absl::StatusOr<GraphCommits> commits = DecodeGraphCommits(input);
      if (commits.ok()) RequireSame(EncodeGraphCommits(*commits), input, "commitments have one encoding");
    },
    [](ByteView input) {
      const absl::StatusOr<GraphReveals> reveals = DecodeGraphReveals(input);
      if (reveals.ok()) RequireSame(EncodeGraphReveals(*reveals), input, "reveals have one encoding");
    },
};

}  // namespace

void FuzzOne(ByteView input) {
  const size_t choice = TakeChoice(input, std::size(kDecoders));
  kDecoders[choice](input);
  static_cast<void>(TypeOf(input));
}

std::vector<Bytes> Seeds() {
  const SiteId site = *SiteId::Parse("site-01");
  const Bytes key(32, 'k');
  const Bytes signature(64, 's');
  const SealedShare share{site, {}, {}, "sealed"};
  return {
      WithChoice(0, Encode(Advert{{}, site, key, key, {}, true, "certificate", signature})),
      WithChoice(1, Encode(Roster{{"advert 1", "advert 2"}})),
      WithChoice(2, Encode(ShareRoot{{}, site, {}, {}, signature})),
      WithChoice(3, Encode(Shares{"root", {share, share}, Bytes(2 * kCheckEnvelopeBytes, 'e')})),
      WithChoice(4, Encode(ShareDelivery{
                        {}, {"root"}, {{site, share, {Digest(), Digest()}}}, Bytes(kCheckEnvelopeBytes, 'e')})),
      WithChoice(5, Encode(MaskedCommit{{}, site, {{{}, 37}}, 1, signature})),
      WithChoice(6, Encode(SurvivorList{{}, {"commit"}})),
      WithChoice(7, Encode(Consistency{{}, site, {}, signature})),
      WithChoice(8, Encode(SignatureSet{{}, {"consistency"}})),
      WithChoice(9, Encode(Unmask{{}, {}, site, {{site, SelfMaskShare{}}, {site, KeyShare{}}}, signature})),
      WithChoice(10, Bytes(kShamirShareBytes, '\x01')),
      WithChoice(11, EncodeGraphCommits({{site, Digest()}})),
      WithChoice(12, EncodeGraphReveals({{site, key}})),
  };
}

}  // namespace cloister::fuzz
