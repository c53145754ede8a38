// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/honest_sum.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/crypto/hash.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

secagg::SumParams Params() {
  secagg::SumParams params;
  params.plan = crypto::Sha256("plan");
  params.job = *JobId::Parse("job-1");
  params.round = 7;
  params.kind = "training";
  params.model_root = crypto::Sha256("model");
  params.n_min = secagg::kCohortFloor;
  params.vectors = {{"update", 5, 32}, {"counters", 3, 64}};
  return params;
}

// What `session` answers to a message of the coordinator.
Bytes AnswerTo(secagg::ClientSession& session, ByteView message) {
  const absl::StatusOr<secagg::ClientStep> step = session.Handle(message);
  Require(step.ok(), "an honest message is taken");
  if (session.phase() == secagg::ClientPhase::kMasking) return *MaskAndCommit(session).reply;
  return *step->reply;
}

HonestSum Run() {
  HonestSum sum;
  secagg::ServerSession server = NewServer();
  std::vector<secagg::ClientSession> sites;
  for (int number = 1; number <= FuzzConsortium::kSites; ++number) sites.push_back(NewClient(number));
  for (size_t phase = 0; phase < kPhases; ++phase) {
    for (int number = 1; number <= AnswersIn(static_cast<int>(phase)); ++number) {
      secagg::ClientSession& site = sites[static_cast<size_t>(number - 1)];
      const Bytes answer =
          phase == 0 ? *site.Advertise()->reply : AnswerTo(site, server.MessagesFor(SiteNumber(number)).back());
      Require(server.Handle(SiteNumber(number), answer).ok(), "an honest answer is taken");
      sum.answers[phase].push_back(answer);
    }
    Require(server.Close().ok(), "a phase in which enough have answered can be closed");
    if (phase < sum.told.size()) sum.told[phase] = server.MessagesFor(SiteNumber(1)).back();
  }
  return sum;
}

}  // namespace

const HonestSum& TheSum() {
  static const HonestSum sum = Run();
  return sum;
}

SiteId SiteNumber(int number) {
  return *SiteId::Parse(fmt::format("site-{:02}", number));
}

secagg::ServerSession NewServer() {
  std::vector<SiteId> expected;
  for (int number = 1; number <= FuzzConsortium::kSites; ++number) expected.push_back(SiteNumber(number));
  return *secagg::ServerSession::Create({Params(), Consortium().ca(), expected, kNow});
}

secagg::ClientSession NewClient(int number) {
  const crypto::Signer& signer = Consortium().site(number);
  crypto::SecretBytes secret = crypto::SecretBytes::CopyOf(crypto::Sha256(signer.id()).view());
  return *secagg::ClientSession::Create({Params(), signer, Consortium().ca(), kNow, std::move(secret), {}, true});
}

secagg::ClientStep MaskAndCommit(secagg::ClientSession& session) {
  std::vector<uint32_t> update(session.params().vectors[0].length);
  std::vector<uint64_t> counters(session.params().vectors[1].length);
  Require(session.Mask(0, 0, absl::MakeSpan(update)).ok() && session.Mask(1, 0, absl::MakeSpan(counters)).ok(),
          "a site in Masking can mask");
  const absl::StatusOr<secagg::ClientStep> step =
      session.Commit({{crypto::Sha256("update"), update.size()}, {crypto::Sha256("counters"), counters.size()}});
  Require(step.ok(), "and commit");
  return *step;
}

Bytes Patched(ByteView honest, ByteView patch) {
  if (patch.size() < 3) return Bytes(honest);
  const auto byte = [&](size_t at) { return static_cast<size_t>(static_cast<unsigned char>(patch[at])); };
  const size_t offset = (byte(0) | byte(1) << 8) % (honest.size() + 1);
  const size_t cut = std::min(byte(2), honest.size() - offset);
  return Bytes(honest.substr(0, offset)).append(patch.substr(3)).append(honest.substr(offset + cut));
}

Bytes SignedAgain(int number, std::string_view domain, ByteView message) {
  if (message.size() < crypto::kEd25519SignatureBytes) return Bytes(message);
  Bytes part(message.substr(0, message.size() - crypto::kEd25519SignatureBytes));
  return part + Consortium().site(number).Sign(domain, part);
}

}  // namespace cloister::fuzz
