// SPDX-License-Identifier: Apache-2.0
#include "protocols/secagg/graph_seed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "protocols/crypto/hash.h"
#include "protocols/secagg/graph.h"

namespace cloister::secagg {
namespace {

SiteId Site(const std::string& name) {
  return SiteId::Parse(name).value();
}

JobId Job(const std::string& name) {
  return JobId::Parse(name).value();
}

const std::vector<std::string> kNames = {"basel", "lyon", "torino", "utrecht"};

std::vector<SiteId> Sites() {
  std::vector<SiteId> sites;
  for (const std::string& name : kNames) sites.push_back(Site(name));
  return sites;
}

Bytes RevealOf(const std::string& name) {
  return Bytes(crypto::Sha256(name).view());
}

GraphSeedAgreement Agreement() {
  return GraphSeedAgreement::Create(Job("job-1"), Sites()).value();
}

// What everybody says when everybody is honest.
struct Said {
  std::map<SiteId, Digest> commits;
  std::map<SiteId, Bytes> reveals;

  void Say(const GraphSeedAgreement& agreement, const std::string& name, const Bytes& reveal) {
    commits[Site(name)] = agreement.Commit(Site(name), crypto::SecretBytes::CopyOf(reveal)).value();
    reveals[Site(name)] = reveal;
  }
};

Said Honest(const GraphSeedAgreement& agreement) {
  Said said;
  for (const std::string& name : kNames) said.Say(agreement, name, RevealOf(name));
  return said;
}

void ExpectAbortNaming(const absl::StatusOr<Digest>& seed, const std::string& name) {
  EXPECT_EQ(seed.status().code(), absl::StatusCode::kAborted);
  EXPECT_NE(seed.status().message().find(name), std::string::npos) << seed.status();
}

TEST(GraphSeedTest, EverybodyComputesTheSameSeed) {
  const Said said = Honest(Agreement());
  EXPECT_TRUE(Agreement().CheckCommits(said.commits).ok());
  const Digest seed = Agreement().Combine(said.commits, said.reveals).value();
  std::vector<SiteId> reversed = Sites();
  std::reverse(reversed.begin(), reversed.end());
  const GraphSeedAgreement other = GraphSeedAgreement::Create(Job("job-1"), reversed).value();
  EXPECT_EQ(other.Combine(said.commits, said.reveals).value(), seed);
  // Known answers, also computed by an implementation in another language.
  EXPECT_EQ(said.commits.at(Site("basel")).hex(), "19100a5f3672e2fa8e8eda09e05bfa0c4e21cf2152eceedd8666140c6d428234");
  EXPECT_EQ(seed.hex(), "480815171e4e552393b428d43bacd446b2dd9472c676d12def8a0228cba19ba7");
  EXPECT_EQ(RoundGraphSeed(seed, Job("job-1"), 3, 1).hex(),
            "d3aecd84394f8720a20b747fd7c8a6816774e8ba95fc1a89d150b5c398cd36c4");
}

TEST(GraphSeedTest, EverySiteHasItsSay) {
  const Digest seed = Agreement().Combine(Honest(Agreement()).commits, Honest(Agreement()).reveals).value();
  for (const std::string& name : kNames) {
    Said said = Honest(Agreement());
    for (size_t bit = 0; bit < 8 * kGraphRevealBytes; ++bit) {
      Bytes reveal = RevealOf(name);
      reveal[bit / 8] = static_cast<char>(reveal[bit / 8] ^ (1 << (bit % 8)));
      said.Say(Agreement(), name, reveal);
      EXPECT_NE(Agreement().Combine(said.commits, said.reveals).value(), seed) << name << " " << bit;
    }
  }
}

TEST(GraphSeedTest, ASiteThatSawAllOtherRevealsCannotChangeTheSeed) {
  const GraphSeedAgreement agreement = Agreement();
  Said said = Honest(agreement);
  const Digest seed = agreement.Combine(said.commits, said.reveals).value();
  // torino has committed, and now searches for a reveal under which its ring neighbours would be others.
  const Bytes committed = said.reveals.at(Site("torino"));
  std::set<Bytes> wanted;
  for (uint32_t attempt = 0; attempt < 2000; ++attempt) {
    const Bytes better(crypto::Sha256(CanonicalWriter().U32(attempt).bytes()).view());
    Said without_commitment = said;
    without_commitment.Say(agreement, "torino", better);
    const Digest other = agreement.Combine(without_commitment.commits, without_commitment.reveals).value();
    // Without commitments the search would succeed: in about a third of the draws, basel sits opposite.
    if (Graph::PermutedHarary(4, 2, other).value().PositionOf(2, 0).has_value()) continue;
    wanted.insert(better);
    said.reveals[Site("torino")] = better;
    ExpectAbortNaming(agreement.Combine(said.commits, said.reveals), "torino");
  }
  // Binomial with p = 1/3: mean 667, standard deviation 21; five of them.
  EXPECT_NEAR(static_cast<double>(wanted.size()), 2000 / 3.0, 5 * 21);
  // What it is left with: nothing, or what it committed to before it saw anything.
  said.reveals.erase(Site("torino"));
  ExpectAbortNaming(agreement.Combine(said.commits, said.reveals), "torino");
  said.reveals[Site("torino")] = committed;
  EXPECT_EQ(agreement.Combine(said.commits, said.reveals).value(), seed);
}

TEST(GraphSeedTest, ACopiedCommitmentIsNoCommitment) {
  const GraphSeedAgreement agreement = Agreement();
  Said said = Honest(agreement);
  said.commits[Site("utrecht")] = said.commits.at(Site("lyon"));
  said.reveals[Site("utrecht")] = said.reveals.at(Site("lyon"));
  ExpectAbortNaming(agreement.Combine(said.commits, said.reveals), "utrecht");
}

TEST(GraphSeedTest, CommitmentsOfAnotherJobOrListDoNotHold) {
  const Said said = Honest(Agreement());
  ExpectAbortNaming(GraphSeedAgreement::Create(Job("job-2"), Sites())->Combine(said.commits, said.reveals), "basel");
  // The same people, one of whom is now called otherwise.
  std::vector<SiteId> sites = Sites();
  sites.back() = Site("zurich");
  Said renamed = said;
  renamed.commits.erase(Site("utrecht"));
  renamed.reveals.erase(Site("utrecht"));
  const GraphSeedAgreement other = GraphSeedAgreement::Create(Job("job-1"), sites).value();
  renamed.Say(other, "zurich", RevealOf("utrecht"));
  ExpectAbortNaming(other.Combine(renamed.commits, renamed.reveals), "basel");
}

TEST(GraphSeedTest, NobodyRevealsBeforeEverybodyCommitted) {
  for (const std::string& name : kNames) {
    Said said = Honest(Agreement());
    said.commits.erase(Site(name));
    const absl::Status status = Agreement().CheckCommits(said.commits);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(status.message().find(name), std::string::npos);
    EXPECT_EQ(Agreement().Combine(said.commits, said.reveals).status(), status);
  }
}

TEST(GraphSeedTest, AMissingWrongOrMisshapenRevealNamesItsSite) {
  for (const std::string& name : kNames) {
    const Said honest = Honest(Agreement());
    Said said = honest;
    said.reveals.erase(Site(name));
    ExpectAbortNaming(Agreement().Combine(said.commits, said.reveals), name);
    for (const Bytes& wrong : {Bytes(), Bytes("x"), Bytes(32, '\0'), RevealOf(name) + "x", RevealOf(name).substr(1)}) {
      said.reveals[Site(name)] = wrong;
      ExpectAbortNaming(Agreement().Combine(said.commits, said.reveals), name);
    }
    said = honest;
    said.commits[Site(name)] = Digest();
    ExpectAbortNaming(Agreement().Combine(said.commits, said.reveals), name);
  }
}

TEST(GraphSeedTest, StrangersAreRefused) {
  Said said = Honest(Agreement());
  said.commits[Site("nowhere")] = Digest();
  EXPECT_EQ(Agreement().CheckCommits(said.commits).code(), absl::StatusCode::kInvalidArgument);
  said = Honest(Agreement());
  said.reveals[Site("nowhere")] = RevealOf("nowhere");
  EXPECT_EQ(Agreement().Combine(said.commits, said.reveals).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Agreement().Commit(Site("nowhere"), crypto::SecretBytes(32)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(GraphSeedTest, MalformedAgreementsAreRefused) {
  const std::vector<std::vector<SiteId>> malformed = {{},
                                                      {Site("basel")},
                                                      {Site("basel"), Site("lyon")},
                                                      {Site("basel"), Site("lyon"), Site("basel")},
                                                      {Site("basel"), Site("lyon"), Site("torino"), Site("torino")},
                                                      {Site("basel"), Site("lyon"), SiteId()}};
  for (const std::vector<SiteId>& participants : malformed) {
    EXPECT_EQ(GraphSeedAgreement::Create(Job("job-1"), participants).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(GraphSeedAgreement::Create(JobId(), Sites()).status().code(), absl::StatusCode::kInvalidArgument);
  for (const size_t size : {0u, 16u, 31u, 33u}) {
    EXPECT_EQ(Agreement().Commit(Site("basel"), crypto::SecretBytes(size)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(GraphSeedTest, EveryRoundAndAttemptHasItsOwnSeed) {
  std::set<Digest> seeds;
  for (const char* experiment : {"a", "b"}) {
    for (const char* job : {"job-1", "job-2"}) {
      for (uint32_t round = 0; round < 20; ++round) {
        for (uint32_t attempt = 0; attempt < 20; ++attempt) {
          seeds.insert(RoundGraphSeed(crypto::Sha256(experiment), Job(job), round, attempt));
        }
      }
    }
  }
  EXPECT_EQ(seeds.size(), 2u * 2 * 20 * 20);
}

}  // namespace
}  // namespace cloister::secagg
