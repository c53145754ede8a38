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

Bytes RevealOf(const std::string& name) {
  return Bytes(crypto::Sha256(name).view());
}

Digest CommitmentOf(const std::string& name, const Bytes& reveal, const std::string& job = "job-1") {
  return GraphCommitment(Job(job), Site(name), reveal);
}

// What everybody says when everybody is honest.
struct Said {
  GraphCommits commits;
  GraphReveals reveals;

  void Say(const std::string& name, const Bytes& reveal) {
    commits[Site(name)] = CommitmentOf(name, reveal);
    reveals[Site(name)] = reveal;
  }
  absl::StatusOr<Digest> Seed(const std::string& job = "job-1") const {
    return CombineGraphReveals(Job(job), commits, reveals);
  }
};

Said Honest() {
  Said said;
  for (const std::string& name : kNames) said.Say(name, RevealOf(name));
  return said;
}

void ExpectAbortNaming(const absl::StatusOr<Digest>& seed, const std::string& name) {
  EXPECT_EQ(seed.status().code(), absl::StatusCode::kAborted);
  EXPECT_NE(seed.status().message().find(name), std::string::npos) << seed.status();
}

TEST(GraphSeedTest, EverybodyComputesTheSameSeed) {
  const Digest seed = Honest().Seed().value();
  EXPECT_EQ(Honest().Seed().value(), seed);
  // Known answers, also computed by an implementation in another language.
  EXPECT_EQ(CommitmentOf("basel", RevealOf("basel")).hex(),
            "86e7a8b903cdf0efb50c01da3283f05efda4de682f20faad3ea2ec072807e5c2");
  EXPECT_EQ(seed.hex(), "b3dfccd9521a155e1ed29be778915d5e7eb9af632941dbc1769d56a2e07eb3f7");
  EXPECT_EQ(RoundGraphSeed(seed, Job("job-1"), 3, 1).hex(),
            "701dbb65bc6095455d822c9ee4417f0b990b54cd7939334786adf863d9b129c6");
}

TEST(GraphSeedTest, TheRevealFollowsFromTheJobSecret) {
  const auto secret = crypto::SecretBytes::CopyOf(RevealOf("secret"));
  const auto reveal = [&](const char* job, const char* site) {
    return Bytes(GraphReveal(Job(job), Site(site), secret).view());
  };
  EXPECT_EQ(reveal("job-1", "basel").size(), kGraphRevealBytes);
  EXPECT_EQ(reveal("job-1", "basel"), reveal("job-1", "basel"));
  const std::set<Bytes> different = {reveal("job-1", "basel"), reveal("job-2", "basel"), reveal("job-1", "lyon"),
                                     Bytes(secret.view())};
  EXPECT_EQ(different.size(), 4u);
}

TEST(GraphSeedTest, EverySiteHasItsSay) {
  const Digest seed = Honest().Seed().value();
  for (const std::string& name : kNames) {
    Said said = Honest();
    for (size_t bit = 0; bit < 8 * kGraphRevealBytes; ++bit) {
      Bytes reveal = RevealOf(name);
      reveal[bit / 8] = static_cast<char>(reveal[bit / 8] ^ (1 << (bit % 8)));
      said.Say(name, reveal);
      EXPECT_NE(said.Seed().value(), seed) << name << " " << bit;
    }
  }
}

TEST(GraphSeedTest, ASiteThatSawAllOtherRevealsCannotChangeTheSeed) {
  Said said = Honest();
  const Digest seed = said.Seed().value();
  // torino has committed, and now searches for a reveal under which its ring neighbours would be others.
  const Bytes committed = said.reveals.at(Site("torino"));
  std::set<Bytes> wanted;
  for (uint32_t attempt = 0; attempt < 2000; ++attempt) {
    const Bytes better(crypto::Sha256(CanonicalWriter().U32(attempt).bytes()).view());
    Said without_commitment = said;
    without_commitment.Say("torino", better);
    const Digest other = without_commitment.Seed().value();
    // Without commitments the search would succeed: in about a third of the draws, basel sits opposite.
    if (Graph::PermutedHarary(4, 2, other).value().PositionOf(2, 0).has_value()) continue;
    wanted.insert(better);
    said.reveals[Site("torino")] = better;
    ExpectAbortNaming(said.Seed(), "torino");
  }
  // Binomial with p = 1/3: mean 667, standard deviation 21; five of them.
  EXPECT_NEAR(static_cast<double>(wanted.size()), 2000 / 3.0, 5 * 21);
  // What it is left with: nothing, or what it committed to before it saw anything.
  said.reveals.erase(Site("torino"));
  ExpectAbortNaming(said.Seed(), "torino");
  said.reveals[Site("torino")] = committed;
  EXPECT_EQ(said.Seed().value(), seed);
}

// The coordinator chooses who of those that committed takes part; each list has a seed of its own, which nobody knows
// before the last of the list has revealed.
TEST(GraphSeedTest, EveryListOfParticipantsHasItsOwnSeed) {
  std::set<Digest> seeds = {Honest().Seed().value()};
  for (const std::string& name : kNames) {
    Said said = Honest();
    said.commits.erase(Site(name));
    EXPECT_EQ(said.Seed().status().code(), absl::StatusCode::kInvalidArgument) << "a reveal of nobody";
    said.reveals.erase(Site(name));
    EXPECT_TRUE(seeds.insert(said.Seed().value()).second);
  }
}

TEST(GraphSeedTest, ACopiedCommitmentIsNoCommitment) {
  Said said = Honest();
  said.commits[Site("utrecht")] = said.commits.at(Site("lyon"));
  said.reveals[Site("utrecht")] = said.reveals.at(Site("lyon"));
  ExpectAbortNaming(said.Seed(), "utrecht");
}

TEST(GraphSeedTest, CommitmentsOfAnotherJobDoNotHold) {
  ExpectAbortNaming(Honest().Seed("job-2"), "basel");
}

TEST(GraphSeedTest, AMissingWrongOrMisshapenRevealNamesItsSite) {
  for (const std::string& name : kNames) {
    Said said = Honest();
    said.reveals.erase(Site(name));
    ExpectAbortNaming(said.Seed(), name);
    for (const Bytes& wrong : {Bytes(), Bytes("x"), Bytes(32, '\0'), RevealOf(name) + "x", RevealOf(name).substr(1)}) {
      said.reveals[Site(name)] = wrong;
      ExpectAbortNaming(said.Seed(), name);
    }
    said = Honest();
    said.commits[Site(name)] = Digest();
    ExpectAbortNaming(said.Seed(), name);
  }
}

TEST(GraphSeedTest, StrangersAndTooFewAreRefused) {
  Said said = Honest();
  said.reveals[Site("nowhere")] = RevealOf("nowhere");
  EXPECT_EQ(said.Seed().status().code(), absl::StatusCode::kInvalidArgument);
  Said two;
  two.Say("basel", RevealOf("basel"));
  two.Say("lyon", RevealOf("lyon"));
  EXPECT_EQ(two.Seed().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CombineGraphReveals(JobId(), Honest().commits, Honest().reveals).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(GraphSeedTest, CommitsAndRevealsHaveOneEncoding) {
  const Said said = Honest();
  const Bytes commits = EncodeGraphCommits(said.commits);
  const Bytes reveals = EncodeGraphReveals(said.reveals);
  EXPECT_EQ(DecodeGraphCommits(commits).value(), said.commits);
  EXPECT_EQ(DecodeGraphReveals(reveals).value(), said.reveals);
  for (size_t size = 0; size < reveals.size(); ++size) {
    EXPECT_FALSE(DecodeGraphReveals(reveals.substr(0, size)).ok()) << size;
    EXPECT_FALSE(DecodeGraphCommits(commits.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeGraphReveals(reveals + "x").ok());
  const Bytes one = CanonicalWriter().Blob("lyon").Fixed(RevealOf("lyon")).Take();
  const Bytes before = CanonicalWriter().Blob("basel").Fixed(RevealOf("basel")).Take();
  EXPECT_TRUE(DecodeGraphReveals(CanonicalWriter().U32(2).Take() + before + one).ok());
  EXPECT_FALSE(DecodeGraphReveals(CanonicalWriter().U32(2).Take() + one + one).ok());
  EXPECT_FALSE(DecodeGraphReveals(CanonicalWriter().U32(2).Take() + one + before).ok());
  EXPECT_FALSE(DecodeGraphReveals(CanonicalWriter().U32(4'000'000'000).Take() + one).ok());
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
