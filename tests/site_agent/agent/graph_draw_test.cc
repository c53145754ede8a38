// SPDX-License-Identifier: Apache-2.0
// A site reveals its part of the graph seed once, for one list of participants, whatever the coordinator tries.
#include "site_agent/agent/graph_draw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocols/crypto/hash.h"
#include "protocols/secagg/graph_seed.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_consortium.h"

namespace cloister::site {
namespace {

using ::cloister::testing::kTestNow;
using ::testing::HasSubstr;

constexpr int kSites = 65;

SiteId Name(int number) {
  return testing::TestConsortium::SiteName(number);
}

testing::TestConsortium& Consortium() {
  static testing::TestConsortium consortium;
  return consortium;
}

// What site `number` keeps for the job.
crypto::SecretBytes SecretOf(int number, const std::string& which = "") {
  return crypto::SecretBytes::CopyOf(crypto::Sha256(which + std::to_string(number)).view());
}

// Site 1 of a job of 65.
class GraphDrawTest : public ::testing::Test {
 protected:
  GraphDrawTest() : clock_(kTestNow), ca_(Consortium().ca()) {
    config_.site = Name(1);
    plan_.sites.minimum = 5;
    plan_.sites.maximum = 70;
    plan_.privacy.colluders = 1;
    plan_.algorithm.rounds = 3;
    Restart();
  }

  // A new process: only the disk is left.
  void Restart() {
    experiment_.reset();
    store_.reset();
    store_ = SiteStore::Open(folder_.path()).value();
    site_.config = &config_;
    site_.store = store_.get();
    site_.ca = &ca_;
    site_.clock = &clock_;
    experiment_.reset(new AcceptedExperiment{
        Job(), plan_, PlanDigest(), {}, SecretOf(1), crypto::X25519KeyPair::FromSeed(SecretOf(1, "key")).value()});
  }

  static JobId Job() { return JobId::Parse("job-1").value(); }
  static Digest PlanDigest() { return crypto::Sha256("plan"); }

  static Bytes RevealOf(int number) { return Bytes(secagg::GraphReveal(Job(), Name(number), SecretOf(number)).view()); }
  static wire::SignedDocument Signed(const plan::Acceptance& acceptance, int signer) {
    wire::SignedDocument document;
    document.document = plan::AcceptanceDocument(acceptance);
    document.signature = Consortium().site(signer).Sign(plan::kAcceptanceDomain, document.document);
    document.certificate = Consortium().site(signer).certificate().der();
    return document;
  }
  static plan::Acceptance AcceptanceOf(int number) {
    return {PlanDigest(), Name(number), Bytes(32, 'k'), secagg::GraphCommitment(Job(), Name(number), RevealOf(number))};
  }
  static std::vector<wire::SignedDocument> Acceptances(int sites = kSites) {
    std::vector<wire::SignedDocument> acceptances;
    for (int i = 1; i <= sites; ++i) {
      acceptances.push_back(Signed(AcceptanceOf(i), i));
    }
    return acceptances;
  }
  static secagg::GraphReveals Reveals(int sites = kSites) {
    secagg::GraphReveals reveals;
    for (int i = 1; i <= sites; ++i) {
      reveals[Name(i)] = RevealOf(i);
    }
    return reveals;
  }

  absl::StatusOr<Digest> Reveal(const std::vector<wire::SignedDocument>& acceptances) {
    return RevealGraphSeed(site_, *experiment_, acceptances);
  }
  absl::StatusOr<std::optional<DrawnGraph>> Draw(const secagg::GraphReveals& reveals) {
    return DrawGraph(site_, Job(), secagg::EncodeGraphReveals(reveals));
  }
  void ExpectNoReveal(const std::vector<wire::SignedDocument>& acceptances, absl::StatusCode code,
                      const std::string& evidence) {
    const absl::StatusOr<Digest> reveal = Reveal(acceptances);
    EXPECT_EQ(reveal.status().code(), code) << reveal.status();
    EXPECT_THAT(std::string(reveal.status().message()), HasSubstr(evidence));
  }

  testing::TempDir folder_;
  FakeClock clock_;
  crypto::Certificate ca_;
  SiteConfig config_;
  plan::Experiment plan_;
  std::unique_ptr<SiteStore> store_;
  SiteContext site_;
  std::unique_ptr<AcceptedExperiment> experiment_;
};

TEST_F(GraphDrawTest, RevealsAndDrawsAcrossRestarts) {
  EXPECT_EQ(DrawGraph(site_, Job(), "")->has_value(), false) << "the graph is full until commitments are shown";
  const Digest reveal = Reveal(Acceptances()).value();
  EXPECT_EQ(reveal.view(), RevealOf(1));
  Restart();
  EXPECT_EQ(Reveal(Acceptances()).value(), reveal) << "killed between commitment and reveal it says the same bytes";
  EXPECT_EQ(DrawGraph(site_, Job(), "").status().code(), absl::StatusCode::kAborted) << "no seed without reveals";

  const DrawnGraph graph = Draw(Reveals())->value();
  secagg::GraphCommits commits;
  for (int i = 1; i <= kSites; ++i) {
    commits[Name(i)] = AcceptanceOf(i).graph_commitment;
  }
  EXPECT_EQ(graph.seed, secagg::CombineGraphReveals(Job(), commits, Reveals()).value());
  EXPECT_EQ(graph.participants.size(), size_t{kSites});
  Restart();
  EXPECT_EQ(DrawGraph(site_, Job(), "")->value().seed, graph.seed) << "later steps bring no reveals";
  EXPECT_EQ(Draw(Reveals())->value().seed, graph.seed) << "the first step of the next sum does";
}

// To grind for a graph, the coordinator would need a second list after a first reveal.
TEST_F(GraphDrawTest, ASecondListOfParticipantsIsRefusedForEver) {
  ASSERT_TRUE(Reveal(Acceptances()).ok());
  const std::vector<wire::SignedDocument> more = Acceptances(kSites + 1);
  ExpectNoReveal(more, absl::StatusCode::kAborted, "two different messages");
  std::vector<wire::SignedDocument> other = Acceptances();
  plan::Acceptance changed = AcceptanceOf(5);
  changed.graph_commitment = secagg::GraphCommitment(Job(), Name(5), RevealOf(6));
  other[4] = Signed(changed, 5);  // site 5 conspires and signs another one
  ExpectNoReveal(other, absl::StatusCode::kAborted, "two different messages");
  Restart();
  ExpectNoReveal(more, absl::StatusCode::kAborted, "two different messages");
  ASSERT_TRUE(store_->sums().ForgetJob(Job()).ok());  // what the job leaves behind: facts
  ExpectNoReveal(more, absl::StatusCode::kAborted, "would contradict what this site said before");
}

TEST_F(GraphDrawTest, AnyMissingOrChangedRevealNamesItsSite) {
  ASSERT_TRUE(Reveal(Acceptances()).ok());
  for (const int culprit : {1, 30, kSites}) {
    secagg::GraphReveals withheld = Reveals();
    withheld.erase(Name(culprit));
    secagg::GraphReveals changed = Reveals();
    changed[Name(culprit)] = RevealOf(culprit % kSites + 1);
    for (const secagg::GraphReveals& reveals : {withheld, changed}) {
      const absl::Status status = Draw(reveals).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
      EXPECT_THAT(std::string(status.message()), HasSubstr(Name(culprit).value()));
    }
  }
  EXPECT_FALSE(Draw(Reveals(kSites + 1)).ok()) << "somebody who has not committed";
  EXPECT_FALSE(DrawGraph(site_, Job(), "not reveals").ok());
  EXPECT_TRUE(Draw(Reveals()).ok());
}

TEST_F(GraphDrawTest, RevealsWithoutCommitmentsAreRefused) {
  const absl::Status status = Draw(Reveals()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("never shown"));
}

TEST_F(GraphDrawTest, AcceptancesAreChecked) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;
  ExpectNoReveal(Acceptances(64), kInvalid, "64 participants, wanted 65 to 70");
  ExpectNoReveal(Acceptances(71), kInvalid, "71 participants, wanted 65 to 70");
  std::vector<wire::SignedDocument> acceptances = Acceptances(kSites + 1);
  acceptances.erase(acceptances.begin());
  ExpectNoReveal(acceptances, absl::StatusCode::kAborted, "this site was left out");

  const auto changed = [](int number, const plan::Acceptance& acceptance, int signer) {
    std::vector<wire::SignedDocument> list = Acceptances();
    list[static_cast<size_t>(number - 1)] = Signed(acceptance, signer);
    return list;
  };
  plan::Acceptance own = AcceptanceOf(1);
  own.graph_commitment = crypto::Sha256("the coordinator's choice");
  ExpectNoReveal(changed(1, own, 1), absl::StatusCode::kAborted, "another commitment");
  ExpectNoReveal(changed(9, AcceptanceOf(9), 8), kUnauthenticated, "site-08");
  plan::Acceptance of_other_plan = AcceptanceOf(9);
  of_other_plan.plan = crypto::Sha256("another plan");
  ExpectNoReveal(changed(9, of_other_plan, 9), kUnauthenticated, "site-09");
  std::vector<wire::SignedDocument> forged = Acceptances();
  forged[8].signature[0] = static_cast<char>(forged[8].signature[0] ^ 1);
  EXPECT_FALSE(Reveal(forged).ok());
  ExpectNoReveal(changed(9, AcceptanceOf(8), 8), kInvalid, "site-08 is there twice");

  for (int i = 1; i <= kSites + 1; ++i) {
    if (i != 20) {
      plan_.sites.invited.push_back(Name(i).value());
    }
  }
  Restart();
  ExpectNoReveal(Acceptances(), kInvalid, "site-20 is there twice or is not invited");
  plan_.sites.invited.clear();
  plan_.privacy.colluders = 55;
  Restart();
  ExpectNoReveal(Acceptances(), absl::StatusCode::kFailedPrecondition, "no sparse graph");
  plan_.privacy.colluders = 1;
  Restart();
  EXPECT_TRUE(Reveal(Acceptances()).ok()) << "nothing of all this was stored";
}

}  // namespace
}  // namespace cloister::site
