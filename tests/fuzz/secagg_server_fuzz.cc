// SPDX-License-Identifier: Apache-2.0
// The coordinator's session: in a sum that goes well until then, one site sends something else, signed anew if asked
// for. What is refused changes nothing: the sum ends as if it had not been sent.
#include "protocols/crypto/hash.h"
#include "protocols/secagg/transcript.h"
#include "tests/fuzz/honest_sum.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

constexpr size_t kShares = 1;  // the phase whose message carries the signature within

// Signs what can still be read of Shares, so that their Merkle root and its signature hold.
Bytes SharesSignedAgain(int number, ByteView message) {
  absl::StatusOr<secagg::Shares> shares = secagg::DecodeShares(message);
  if (!shares.ok()) return Bytes(message);
  absl::StatusOr<secagg::ShareRoot> root = secagg::DecodeShareRoot(shares->root);
  if (!root.ok() || shares->entries.empty()) return Bytes(message);
  std::vector<Digest> leaves;
  for (const secagg::SealedShare& share : shares->entries) leaves.push_back(secagg::ShareLeaf(share));
  root->root = crypto::MerkleRootOf(leaves);
  shares->root = SignedAgain(number, secagg::kShareRootDomain, Encode(*root));
  return Encode(*shares);
}

Bytes AnswerSignedAgain(size_t phase, int number, ByteView message) {
  constexpr secagg::MessageType kTypes[kPhases] = {secagg::MessageType::kAdvert, secagg::MessageType::kShares,
                                                   secagg::MessageType::kMaskedCommit,
                                                   secagg::MessageType::kConsistency, secagg::MessageType::kUnmask};
  if (phase == kShares) return SharesSignedAgain(number, message);
  return SignedAgain(number, secagg::DomainOf(kTypes[phase]), message);
}

}  // namespace

// [phase | site | sign again? | patch of its answer]
void FuzzOne(ByteView input) {
  const size_t phase = TakeChoice(input, kPhases);
  const int number = 1 + static_cast<int>(TakeChoice(input, static_cast<size_t>(AnswersIn(static_cast<int>(phase)))));
  const bool sign_again = TakeChoice(input, 2) == 1;
  Bytes answer = Patched(TheSum().answers[phase][static_cast<size_t>(number - 1)], input);
  if (sign_again) answer = AnswerSignedAgain(phase, number, answer);

  secagg::ServerSession server = NewServer();
  bool refused = false;
  for (size_t now = 0; now < kPhases; ++now) {
    if (now == phase) refused = !server.Handle(SiteNumber(number), answer).ok();
    for (size_t i = 0; i < TheSum().answers[now].size(); ++i) {
      const absl::Status taken = server.Handle(SiteNumber(static_cast<int>(i) + 1), TheSum().answers[now][i]);
      if (now < phase || refused) Require(taken.ok(), "what is refused leaves room for the honest answer");
    }
    const absl::Status closed = server.Close();
    if (now < phase || refused) Require(closed.ok(), "and does not keep the phase open");
    if (!closed.ok()) return;
  }
  Require(server.unmasker().ok() && server.published().ok(), "a sum whose phases are closed is done");
}

std::vector<Bytes> Seeds() {
  std::vector<Bytes> seeds;
  for (size_t phase = 0; phase < kPhases; ++phase) {
    for (size_t sign_again : {0, 1}) {
      const Bytes choices = WithChoice(phase, WithChoice(0, WithChoice(sign_again, "")));
      seeds.push_back(choices);
      for (char offset : {'\x01', '\x21', '\x28', '\x48', '\x68', '\x70'}) {
        seeds.push_back(choices + Bytes({offset, 0, 1}) + Bytes(1, '\x01'));
      }
    }
  }
  return seeds;
}

}  // namespace cloister::fuzz
