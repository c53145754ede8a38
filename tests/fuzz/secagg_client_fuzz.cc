// SPDX-License-Identifier: Apache-2.0
// A site's session: in a sum that goes well until then, the coordinator sends something else, perhaps with words of the
// other sites that they have signed for it. The site answers once, the same to the same, or has aborted for good.
#include "protocols/secagg/transcript.h"
#include "tests/fuzz/honest_sum.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

constexpr size_t kTold = kPhases - 1;

// Patches element `index` of `list`, which site index + 1 signed.
void PatchElement(std::vector<Bytes>& list, size_t index, bool sign_again, std::string_view domain, ByteView patch) {
  if (index >= list.size()) return;
  list[index] = Patched(list[index], patch);
  if (sign_again) list[index] = SignedAgain(static_cast<int>(index) + 1, domain, list[index]);
}

// The coordinator's message after `phase` with its signed element `index` patched.
Bytes WithElementPatched(size_t phase, size_t index, bool sign_again, ByteView patch) {
  const Bytes& honest = TheSum().told[phase];
  if (phase == 0) {
    secagg::Roster roster = *secagg::DecodeRoster(honest);
    PatchElement(roster.adverts, index, sign_again, DomainOf(secagg::MessageType::kAdvert), patch);
    return Encode(roster);
  }
  if (phase == 1) {
    secagg::ShareDelivery delivery = *secagg::DecodeShareDelivery(honest);
    PatchElement(delivery.roots, index, sign_again, secagg::kShareRootDomain, patch);
    return Encode(delivery);
  }
  if (phase == 2) {
    secagg::SurvivorList list = *secagg::DecodeSurvivorList(honest);
    PatchElement(list.commits, index, sign_again, DomainOf(secagg::MessageType::kMaskedCommit), patch);
    return Encode(list);
  }
  secagg::SignatureSet set = *secagg::DecodeSignatureSet(honest);
  PatchElement(set.consistencies, index, sign_again, DomainOf(secagg::MessageType::kConsistency), patch);
  return Encode(set);
}

// Hears `message` twice. False: the session has aborted.
bool Hear(secagg::ClientSession& session, ByteView message) {
  const absl::StatusOr<secagg::ClientStep> step = session.Handle(message);
  const absl::StatusOr<secagg::ClientStep> again = session.Handle(message);
  Require(step.ok() == again.ok(), "what was taken is taken again, and what was refused is not");
  if (!step.ok()) {
    Require(session.phase() == secagg::ClientPhase::kAborted, "a session that refuses has aborted");
    return false;
  }
  Require(step->reply == again->reply && step->facts.size() == again->facts.size(), "the same message has one answer");
  if (session.phase() == secagg::ClientPhase::kMasking) MaskAndCommit(session);
  return true;
}

}  // namespace

// [phase | signed element, or all of the message | sign again? | patch]
void FuzzOne(ByteView input) {
  const size_t phase = TakeChoice(input, kTold);
  const size_t element = TakeChoice(input, FuzzConsortium::kSites + 1);
  const bool sign_again = TakeChoice(input, 2) == 1;
  const Bytes message =
      element == 0 ? Patched(TheSum().told[phase], input) : WithElementPatched(phase, element - 1, sign_again, input);

  secagg::ClientSession session = NewClient(1);
  Require(session.Advertise().ok(), "a new session advertises");
  for (size_t now = 0; now < kTold; ++now) {
    const bool hears = Hear(session, now == phase ? ByteView(message) : TheSum().told[now]);
    Require(hears || now >= phase, "honest messages are taken");
    if (!hears) {
      Require(!Hear(session, TheSum().told[phase]), "an aborted session takes nothing more");
      return;
    }
  }
  Require(session.phase() == secagg::ClientPhase::kFinished && session.check() != nullptr,
          "a site that has unmasked can check the sum");
}

std::vector<Bytes> Seeds() {
  std::vector<Bytes> seeds;
  for (size_t phase = 0; phase < kTold; ++phase) {
    for (size_t element : {0, 1, 2}) {
      const Bytes choices = WithChoice(phase, WithChoice(element, WithChoice(1, "")));
      seeds.push_back(choices);
      for (char offset : {'\x01', '\x21', '\x28', '\x48', '\x68', '\x70'}) {
        seeds.push_back(choices + Bytes({offset, 0, 1}) + Bytes(1, '\x01'));
      }
    }
  }
  return seeds;
}

}  // namespace cloister::fuzz
