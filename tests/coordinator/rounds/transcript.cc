// SPDX-License-Identifier: Apache-2.0
#include "tests/coordinator/rounds/transcript.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "coordinator/rounds/machine.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1760000000);

std::string Describe(const std::optional<Action>& action) {
  if (!action) {
    return "";
  }
  struct Visitor {
    std::string operator()(const ClosePhase& a) {
      return fmt::format("! close {} of {}\n", wire::NameOf(a.phase), NameOf(a.sum));
    }
    std::string operator()(const FinishSum& a) { return fmt::format("! finish {}\n", NameOf(a.sum)); }
    std::string operator()(const DecideGates&) { return "! decide gates\n"; }
    std::string operator()(const PublishRelease&) { return "! publish release\n"; }
  };
  return std::visit(Visitor{}, *action);
}

std::string Describe(const SiteWork& work) {
  struct Visitor {
    std::string operator()(std::monostate) { return "nothing"; }
    std::string operator()(const OfferWork&) { return "offer"; }
    std::string operator()(const SeedWork&) { return "graph seed"; }
    std::string operator()(const BaselineWork&) { return "baseline"; }
    std::string operator()(const SumWork& w) { return fmt::format("{} of {}", wire::NameOf(w.phase), NameOf(w.sum)); }
    std::string operator()(const ReleaseWork& w) { return "release " + w.release.value(); }
    std::string operator()(const ClosedWork& w) { return fmt::format("closed, {}: {}", w.phase, w.reason); }
  };
  return std::visit(Visitor{}, work);
}

class Runner {
 public:
  explicit Runner(const plan::Experiment& experiment) : experiment_(experiment), machine_(experiment, kStart) {}

  std::string Run(const std::string& command) {
    std::istringstream words(command);
    std::string verb;
    words >> verb;
    std::vector<std::string> args;
    for (std::string word; words >> word;) {
      args.push_back(word);
    }
    const std::string rest = command.size() > verb.size() ? command.substr(verb.size() + 1) : "";
    if (verb == "work") {
      std::string out;
      for (const std::string& site : args) {
        out += fmt::format("{}: {} ({})\n", site, Describe(machine_.WorkFor(Site(site))), machine_.StateOf(Site(site)));
      }
      return out;
    }
    std::string out;
    if (verb == "answer") {
      for (const std::string& site : args) {
        out += Send(SumAnswered{machine_.sum()->key, machine_.sum()->phase, Site(site), false});
      }
    } else if (verb == "wait") {
      absl::Duration by;
      EXPECT_TRUE(absl::ParseDuration(args.at(0), &by)) << command;
      now_ += by;
      out += Send(Tick{});
    } else {
      out += Send(EventOf(verb, args, rest));
    }
    return out + Describe(machine_.Pending()) + "= " + machine_.Message() + "\n";
  }

 private:
  static SiteId Site(const std::string& text) { return *SiteId::Parse(text); }

  Event EventOf(const std::string& verb, const std::vector<std::string>& args, const std::string& rest) {
    const SumKey sum = machine_.sum() != nullptr ? machine_.sum()->key : SumKey{};
    if (verb == "known") {
      return SiteKnown{Site(args.at(0))};
    }
    if (verb == "accept") {
      return SiteAccepted{Site(args.at(0))};
    }
    if (verb == "heard") {
      return SiteHeard{Site(args.at(0))};
    }
    if (verb == "summary") {
      return SummaryCame{Site(args.at(0))};
    }
    if (verb == "refuse") {
      return SiteRefused{Site(args.at(0)), *wire::FromName<wire::RefusalReason>(args.at(1))};
    }
    if (verb == "baseline") {
      return BaselineDone{Site(args.at(0)), args.size() < 2};
    }
    if (verb == "enough") {
      return SumAnswered{sum, machine_.sum()->phase, Site(args.at(0)), true};
    }
    if (verb == "stale") {
      return SumAnswered{{sum.kind, sum.round, sum.attempt + 7}, machine_.sum()->phase, Site(args.at(0)), false};
    }
    if (verb == "fail") {
      const std::optional<SumKey> of = machine_.sum() != nullptr ? std::optional<SumKey>(sum) : std::nullopt;
      return SiteFailed{Site(args.at(0)), of, *wire::FromName<wire::FailureReason>(args.at(1)),
                        args.size() > 2 ? std::optional<SiteId>(Site(args[2])) : std::nullopt};
    }
    if (verb == "close") {
      PhaseClosed closed{sum, machine_.sum()->phase, {}};
      for (const std::string& site : args) {
        closed.next.push_back(Site(site));
      }
      return closed;
    }
    if (verb == "broken") {
      return SumBroken{sum, rest, {}};
    }
    if (verb == "blame") {
      return SumBroken{sum, rest.substr(args.at(0).size() + 1), Site(args.at(0))};
    }
    if (verb == "finish") {
      return SumFinished{sum, rest};
    }
    if (verb == "guard") {
      return SumFinished{sum, "", RefusedAggregate{rest, Digest(), Digest()}};
    }
    if (verb == "decide") {
      return Decided{args, args.empty() ? "no candidate passed the gates" : "members chosen"};
    }
    if (verb == "publish") {
      return Published{*ReleaseId::Parse(args.at(0))};
    }
    if (verb == "release") {
      return ReleaseAnswered{Site(args.at(0)), *wire::FromName<wire::ReleaseState>(args.at(1))};
    }
    if (verb == "give-up") {
      return WorkFailed{rest};
    }
    if (verb == "abort") {
      return AbortRequested{rest};
    }
    ADD_FAILURE() << "unknown command: " << verb;
    return Tick{};
  }

  std::string Send(const Event& event) {
    absl::StatusOr<Step> step = machine_.Handle(now_, event);
    if (!step.ok()) {
      CheckReplay();
      return fmt::format("x {}: {}\n", absl::StatusCodeToString(step.status().code()),
                         std::string(step.status().message()));
    }
    std::string out;
    for (const std::string& note : step->notes) {
      out += "- " + note + "\n";
    }
    for (const Fact& fact : step->facts) {
      stored_.push_back(EncodeFact(fact));
    }
    CheckReplay();
    return out;
  }

  void CheckReplay() {
    ExperimentMachine again(experiment_, kStart);
    for (const std::string& text : stored_) {
      const absl::StatusOr<Fact> fact = DecodeFact(text);
      ASSERT_TRUE(fact.ok()) << fact.status();
      ASSERT_EQ(EncodeFact(*fact), text);
      ASSERT_TRUE(again.Handle(fact->time, fact->event).ok()) << text;
    }
    EXPECT_EQ(again.Message(), machine_.Message());
    EXPECT_EQ(Describe(again.Pending()), Describe(machine_.Pending()));
    EXPECT_EQ(again.NextDeadline(), machine_.NextDeadline());
    for (const auto& [site, unused] : machine_.sites()) {
      EXPECT_EQ(Describe(again.WorkFor(site)), Describe(machine_.WorkFor(site)));
      EXPECT_EQ(again.StateOf(site), machine_.StateOf(site));
    }
  }

  plan::Experiment experiment_;
  ExperimentMachine machine_;
  absl::Time now_ = kStart;
  std::vector<std::string> stored_;
};

}  // namespace

std::string RunTranscript(const plan::Experiment& experiment, const std::string& text) {
  Runner runner(experiment);
  std::string out = "\n";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("> ", 0) == 0) {
      out += line + "\n" + runner.Run(line.substr(2));
    } else if (line.rfind("#", 0) == 0) {
      out += line + "\n";
    }
  }
  return out;
}

}  // namespace cloister::coordinator
