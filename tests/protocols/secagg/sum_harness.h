#pragma once
// SPDX-License-Identifier: Apache-2.0
// One secure sum in memory: sites that can be killed and replayed at any step, a coordinator's session, an integer
// oracle.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocols/crypto/hash.h"
#include "protocols/crypto/random.h"
#include "protocols/secagg/client_session.h"
#include "protocols/secagg/server_session.h"
#include "protocols/secagg/transcript.h"
#include "tests/support/test_consortium.h"

namespace cloister::secagg {

using ::cloister::testing::kTestNow;
using ::cloister::testing::TestConsortium;

inline TestConsortium& SharedConsortium() {
  static TestConsortium consortium;
  return consortium;
}

inline SiteId SiteNumber(int number) {
  return TestConsortium::SiteName(number);
}

inline SumParams TestParams(int n_min = kCohortFloor, uint64_t length = 37) {
  SumParams params;
  params.plan = crypto::Sha256("plan");
  params.job = JobId::Parse("job-1").value();
  params.round = 7;
  params.kind = "training";
  params.model_root = crypto::Sha256("model");
  params.n_min = n_min;
  params.vectors = {{"update", length, 32}, {"counters", 3, 64}};
  return params;
}

template <typename T>
Bytes BytesOf(const std::vector<T>& values) {
  return Bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

struct SiteVectors {
  std::vector<uint32_t> update;
  std::vector<uint64_t> counters;

  friend bool operator==(const SiteVectors& a, const SiteVectors& b) {
    return a.update == b.update && a.counters == b.counters;
  }
  SiteVectors& operator+=(const SiteVectors& other) {
    for (size_t i = 0; i < update.size(); ++i) update[i] += other.update[i];
    for (size_t i = 0; i < counters.size(); ++i) counters[i] += other.counters[i];
    return *this;
  }
};

inline SiteVectors Zeros(const SumParams& params) {
  return {std::vector<uint32_t>(params.vectors[0].length), std::vector<uint64_t>(params.vectors[1].length)};
}

inline SiteVectors RandomVectors(const SumParams& params, uint64_t seed) {
  std::mt19937_64 random(seed);
  SiteVectors vectors = Zeros(params);
  for (uint32_t& value : vectors.update) value = static_cast<uint32_t>(random());
  for (uint64_t& value : vectors.counters) value = random();
  return vectors;
}

// What passed between the coordinator and one process of a site.
struct Conversation {
  SumParams params;
  std::vector<Bytes> told;
  std::vector<Bytes> said;
  SiteVectors uploaded;  // the masked vectors, once the site committed to them
};

inline uint64_t TagOf(const crypto::SecretBytes& seed, const SumParams& params, const SiteVectors& vectors) {
  CheckTag tag(seed, params.vectors);
  tag.Add(0, 0, absl::Span<const uint32_t>(vectors.update));
  tag.Add(1, 0, absl::Span<const uint64_t>(vectors.counters));
  return tag.value();
}

// A site with its disk: job secret, vectors, stored facts. The driver's duties (facts before replies) are done here.
class TestSite {
 public:
  TestSite(int number, SumParams params)
      : params_(std::move(params)),
        signer_(SharedConsortium().site(number)),
        job_secret_(crypto::SecretBytes::CopyOf(crypto::Sha256("job secret " + std::to_string(number)).view())),
        plain_(RandomVectors(params_, static_cast<uint64_t>(number))) {
    Start();
  }

  SiteId id() const { return SiteId::Parse(signer_.id()).value(); }
  const SiteVectors& plain() const { return plain_; }
  const SiteVectors& masked() const { return masked_; }
  const Facts& facts() const { return facts_; }
  ClientSession& session() { return *session_; }
  SumParams& params() { return params_; }
  const std::vector<Conversation>& conversations() const { return conversations_; }
  void set_models_checked(bool checked) { models_checked_ = checked; }
  void set_plain(SiteVectors plain) { plain_ = std::move(plain); }
  void forget_facts() { facts_.clear(); }

  ClientInputs Inputs() const {
    return {params_, signer_, SharedConsortium().ca(), kTestNow, job_secret_.Clone(), facts_, models_checked_};
  }
  // A new process: only the disk is left.
  void Start() {
    session_.emplace(ClientSession::Create(Inputs()).value());
    conversations_.push_back({params_, {}, {}, {}});
  }

  Bytes Advertise() {
    conversations_.back().said.push_back(Store(session_->Advertise()).value().value());
    return conversations_.back().said.back();
  }

  // The reply, if any; after a ShareDelivery the vectors are masked and the reply is the commit.
  absl::StatusOr<std::optional<Bytes>> Deliver(const Bytes& message) {
    conversations_.back().told.push_back(message);
    absl::StatusOr<std::optional<Bytes>> reply = Store(session_->Handle(message));
    if (reply.ok() && reply->has_value()) conversations_.back().said.push_back(**reply);
    if (!reply.ok() || reply->has_value()) return reply;
    if (session_->phase() == ClientPhase::kMasking) {
      CLOISTER_ASSIGN_OR_RETURN(commit_, MaskAndCommit());
      conversations_.back().said.push_back(*commit_);
      conversations_.back().uploaded = masked_;
    }
    return commit_;  // also to a ShareDelivery that was heard before
  }
  Bytes MustDeliver(const Bytes& message) {
    absl::StatusOr<std::optional<Bytes>> reply = Deliver(message);
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->value_or("") : "";
  }

  absl::StatusOr<std::optional<Bytes>> MaskAndCommit() {
    masked_ = plain_;
    // In two chunks, the second first: the order does not matter.
    const size_t half = masked_.update.size() / 2;
    absl::Span<uint32_t> update(masked_.update);
    CLOISTER_RETURN_IF_ERROR(session_->Mask(0, half, update.subspan(half)));
    CLOISTER_RETURN_IF_ERROR(session_->Mask(0, 0, update.subspan(0, half)));
    CLOISTER_RETURN_IF_ERROR(session_->Mask(1, 0, absl::Span<uint64_t>(masked_.counters)));
    return Store(session_->Commit(CommitsTo(masked_)));
  }
  static std::vector<VectorCommit> CommitsTo(const SiteVectors& masked) {
    return {{crypto::Sha256(BytesOf(masked.update)), masked.update.size()},
            {crypto::Sha256(BytesOf(masked.counters)), masked.counters.size()}};
  }

 private:
  absl::StatusOr<std::optional<Bytes>> Store(absl::StatusOr<ClientStep> step) {
    if (!step.ok()) return step.status();
    for (const Fact& fact : step->facts) {
      const auto [stored, is_new] = facts_.emplace(fact.key, fact.value);
      EXPECT_EQ(stored->second, fact.value) << "a session must never hand out a fact that contradicts the store";
    }
    return step->reply;
  }

  SumParams params_;
  crypto::Signer signer_;
  crypto::SecretBytes job_secret_;
  SiteVectors plain_;
  SiteVectors masked_;
  std::optional<Bytes> commit_;
  std::vector<Conversation> conversations_;
  Facts facts_;
  bool models_checked_ = true;
  std::optional<ClientSession> session_;
};

// What sites of these numbers say first.
inline std::vector<Bytes> AdvertsOf(const std::vector<int>& numbers, const SumParams& params = TestParams()) {
  std::vector<Bytes> adverts;
  for (const int i : numbers) adverts.push_back(TestSite(i, params).Advertise());
  return adverts;
}

// `advert` as `signer` would say it.
inline Bytes SignedAdvert(Advert advert, const crypto::Signer& signer) {
  advert.certificate = signer.certificate().der();
  advert.signature = signer.Sign(DomainOf(MessageType::kAdvert), SignedPart(advert));
  return Encode(advert);
}

// `shares` of site `number` after a change, signed again.
inline Bytes ResignedShares(Shares shares, int number, const std::function<void(Shares&, ShareRoot&)>& change) {
  ShareRoot root = DecodeShareRoot(shares.root).value();
  change(shares, root);
  std::vector<Digest> leaves;
  for (const SealedShare& share : shares.entries) leaves.push_back(ShareLeaf(share));
  root.root = crypto::MerkleRootOf(leaves);
  root.signature = SharedConsortium().site(number).Sign(kShareRootDomain, SignedPart(root));
  shares.root = Encode(root);
  return Encode(shares);
}

inline std::vector<SiteId> SitesUpTo(int n) {
  std::vector<SiteId> sites;
  for (int i = 1; i <= n; ++i) sites.push_back(SiteNumber(i));
  return sites;
}

// A sum of all of n participants' sites on a sparse graph.
inline SumParams SparseParams(int n, int colluders = 0, uint64_t length = 37) {
  SumParams params = TestParams(kDefaultMinimum, length);
  params.colluders = colluders;
  params.participants = SitesUpTo(n);
  params.graph = SparseGraph{crypto::Sha256("the experiment's seed"), 90};
  return params;
}

inline ServerSession MakeServer(const SumParams& params, int n) {
  return ServerSession::Create({params, SharedConsortium().ca(), SitesUpTo(n), kTestNow}).value();
}

// Who answers in each phase, by roster position of the n asked sites. Subsets of one another as far as they have to be.
struct Attendance {
  std::set<int> advertise, share, masked_input, consistency, unmask;

  static Attendance Everybody(int n) {
    std::set<int> all;
    for (int i = 1; i <= n; ++i) all.insert(i);
    return {all, all, all, all, all};
  }
};

// A whole sum of n sites. Sites are asked in every phase that they take part in.
class TestSum {
 public:
  explicit TestSum(int n, SumParams params = TestParams())
      : n_(n), params_(std::move(params)), server_(MakeServer(params_, n)) {
    for (int i = 1; i <= n; ++i) sites_.emplace(i, TestSite(i, params_));
  }

  int n() const { return n_; }
  const SumParams& params() const { return params_; }
  ServerSession& server() { return server_; }
  TestSite& site(int number) { return sites_.at(number); }

  // Brings `who` through the current phase; the answers go to the server.
  void Answer(const std::set<int>& who) {
    for (const int i : who) {
      const Bytes reply = ReplyOf(i);
      const absl::Status taken = server_.Handle(SiteNumber(i), reply);
      ASSERT_TRUE(taken.ok()) << taken;
    }
  }
  // What site `i` says in the current phase.
  Bytes ReplyOf(int i) {
    if (server_.phase() == ServerPhase::kAdvertise) return site(i).Advertise();
    Bytes reply;
    for (const Bytes& message : server_.MessagesFor(SiteNumber(i))) reply = site(i).MustDeliver(message);
    return reply;
  }
  void Run(const Attendance& attendance) {
    for (const std::set<int>* who : {&attendance.advertise, &attendance.share, &attendance.masked_input,
                                     &attendance.consistency, &attendance.unmask}) {
      Answer(*who);
      if (::testing::Test::HasFatalFailure()) return;
      const absl::Status closed = server_.Close();
      ASSERT_TRUE(closed.ok()) << closed;
    }
  }

  // Sum of the masked vectors of the survivors, unmasked in chunks.
  SiteVectors Result() {
    SiteVectors sum = Zeros(params_);
    for (const SiteId& survivor : server_.survivors()) sum += SiteOf(survivor).masked();
    const Unmasker& unmasker = *server_.unmasker().value();
    absl::Span<uint32_t> update(sum.update);
    const size_t third = update.size() / 3;
    EXPECT_TRUE(unmasker.Apply(0, third, update.subspan(third)).ok());
    EXPECT_TRUE(unmasker.Apply(0, 0, update.subspan(0, third)).ok());
    EXPECT_TRUE(unmasker.Apply(1, 0, absl::Span<uint64_t>(sum.counters)).ok());
    return sum;
  }
  // The integer oracle.
  SiteVectors Oracle() {
    SiteVectors sum = Zeros(params_);
    for (const SiteId& survivor : server_.survivors()) sum += SiteOf(survivor).plain();
    return sum;
  }
  TestSite& SiteOf(const SiteId& id) {
    for (auto& [number, site] : sites_) {
      if (site.id() == id) return site;
    }
    ADD_FAILURE() << "no site " << id.value();
    return sites_.begin()->second;
  }

 private:
  int n_;
  SumParams params_;
  ServerSession server_;
  std::map<int, TestSite> sites_;
};

}  // namespace cloister::secagg
