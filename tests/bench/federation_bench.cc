// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/federation_bench.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "protocols/base/log.h"
#include "protocols/crypto/ctr_stream.h"
#include "protocols/crypto/random.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/neighbourhoods.h"
#include "protocols/wire/names.h"
#include "tests/bench/bench_consortium.h"
#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_table.h"
#include "tests/bench/light_sites.h"
#include "tests/bench/transfer_bound.h"

namespace cloister::bench {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// What had been used when a phase began.
struct Moment {
  uint32_t round = 0;
  wire::SumPhase phase = wire::SumPhase::kAdvertise;
  double wall = 0;  // seconds, as the next two
  double sites_cpu = 0;
  double coordinator_cpu = 0;
  Traffic traffic;
};

double OwnCpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A connection a site on either side.
void RaiseFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int MinimumOf(const FederationOptions& options) {
  return std::max(3, options.sites * 2 / 3);
}

// With how many others each site shares masks.
absl::StatusOr<double> Neighbours(const FederationOptions& options) {
  if (options.sites <= secagg::kFullGraphSites) return options.sites - 1;
  const int colluders = (MinimumOf(options) - 1) / 3;  // what a plan has unless it says something else
  const int64_t graphs = int64_t{options.rounds + 1} * plan::kMaxAttempts;
  CLOISTER_ASSIGN_OR_RETURN(const secagg::GraphParameters parameters,
                            secagg::SparseParametersOf(static_cast<size_t>(options.sites), colluders, graphs));
  return parameters.degree;
}

struct Measured {
  std::vector<Moment> moments;  // the beginning of each phase, and last the end of the last round
  double joining = 0;           // seconds from the first connection to the first round
  uint64_t coordinator_peak = 0;
  uint64_t coordinator_idle = 0;  // before the first site came
  size_t survivors = 0;
  size_t lost_masks = 0;
};

absl::StatusOr<Measured> Run(const FederationOptions& options, const std::filesystem::path& folder) {
  const Identities identities(folder / "identities");
  CLOISTER_ASSIGN_OR_RETURN(const auto coordinator_identity,
                            identities.Make("coordinator", crypto::Role::kCoordinator));
  CLOISTER_ASSIGN_OR_RETURN(const auto operator_identity, identities.Make("operator", crypto::Role::kOperator));
  // Before the first thread and the first use of gRPC.
  ChildProcess coordinator = ChildProcess::Start(
      [&](ChildProcess& self) { return ServeCoordinator(self, folder / "coordinator", coordinator_identity); });
  const std::string port = coordinator.Hear();
  if (port.empty()) return absl::InternalError("the coordinator did not start");
  const LightOptions light{options.sites, static_cast<uint32_t>(options.rounds), options.dropouts, options.threads};
  CLOISTER_ASSIGN_OR_RETURN(const std::unique_ptr<LightSites> sites, LightSites::Create(light, identities, folder));

  Measured measured;
  measured.coordinator_idle = coordinator.PeakBytes();
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(Operator study, Operator::Create(operator_identity, std::stoi(port), &clock));
  CLOISTER_RETURN_IF_ERROR(
      study.Submit({options.sites, MinimumOf(options), options.parameters, options.rounds + 1}).status());
  const double started = Now();
  sites->Start(std::stoi(port), [&](uint32_t round, wire::SumPhase phase) {
    measured.moments.push_back(
        {round, phase, Now() - started, OwnCpuSeconds(), coordinator.CpuSeconds(), sites->traffic()});
    fmt::print(stderr, "  {:>8}  round {}, {}\n", Duration(Now() - started), round, std::string(wire::NameOf(phase)));
  });
  CLOISTER_RETURN_IF_ERROR(sites->Join());
  measured.joining = measured.moments.front().wall;
  measured.coordinator_peak = coordinator.PeakBytes();
  measured.survivors = sites->survivors(static_cast<uint32_t>(options.rounds));
  measured.lost_masks = sites->lost_masks();
  return measured;
}

// Seconds that one core needs to expand one element of one mask and add it.
double KeystreamSeconds() {
  crypto::CtrStream stream = crypto::CtrStream::Create(crypto::RandomSecret(28)).value();
  std::vector<uint32_t> block(2048);
  constexpr int kRepetitions = 20'000;
  const double start = Now();
  for (int i = 0; i < kRepetitions; ++i) stream.Add(absl::MakeSpan(block));
  return (Now() - start) / (kRepetitions * static_cast<double>(block.size()));
}

void PrintPhases(const FederationOptions& options, const Measured& measured) {
  fmt::print("{:<30} {:>10} {:>14} {:>18} {:>12} {:>12}\n", "phase of the last round", "wall", "CPU, sites",
             "CPU, coordinator", "from sites", "to sites");
  const auto row = [](const std::string& name, const Moment& from, const Moment& to) {
    fmt::print("{:<30} {:>10} {:>14} {:>18} {:>9} MB {:>9} MB\n", name, Duration(to.wall - from.wall),
               Duration(to.sites_cpu - from.sites_cpu), Duration(to.coordinator_cpu - from.coordinator_cpu),
               (to.traffic.up - from.traffic.up) / 1'000'000, (to.traffic.down - from.traffic.down) / 1'000'000);
  };
  const std::vector<Moment>& moments = measured.moments;
  size_t first = moments.size() - 1;
  for (size_t i = 0; i + 1 < moments.size(); ++i) {
    if (moments[i].round != static_cast<uint32_t>(options.rounds)) continue;
    first = std::min(first, i);
    const bool last = moments[i].phase == wire::SumPhase::kUnmask;
    row(std::string(wire::NameOf(moments[i].phase)) + (last ? " and adding up" : ""), moments[i], moments[i + 1]);
  }
  row("the round", moments[first], moments.back());
}

absl::Status RunIn(const FederationOptions& options, const std::filesystem::path& folder) {
  fmt::print(stderr, "{} light sites, {} parameters, {} round(s) ...\n", options.sites, options.parameters,
             options.rounds);
  CLOISTER_ASSIGN_OR_RETURN(const Measured measured, Run(options, folder));
  const uint64_t bytes = 4 * options.parameters;
  CLOISTER_ASSIGN_OR_RETURN(const TransferCost transfers,
                            MeasureTransfers(folder / "identities" / "coordinator", folder / "identities" / SiteName(1),
                                             options.sites, bytes));
  CLOISTER_ASSIGN_OR_RETURN(const double neighbours, Neighbours(options));
  const double survivors = static_cast<double>(measured.survivors);
  const double streams = survivors * (1 + neighbours * static_cast<double>(measured.lost_masks) / options.sites);
  const double unmask = streams * static_cast<double>(options.parameters) * KeystreamSeconds() /
                        std::max(1U, std::thread::hardware_concurrency());
  const std::vector<Moment>& moments = measured.moments;
  const auto begin = std::find_if(moments.begin(), moments.end(), [&](const Moment& moment) {
    return moment.round == static_cast<uint32_t>(options.rounds);
  });
  const double wall = moments.back().wall - begin->wall;

  fmt::print(
      "\n{} light sites in one process, {:.3g} parameters, {:.0f} % of the sites lost in the five phases, {:.0f} "
      "neighbours\n\n",
      options.sites, static_cast<double>(options.parameters), 100 * options.dropouts, neighbours);
  PrintPhases(options, measured);
  fmt::print("\n{:<52} {:>10}\n", "all sites connected, accepted, baselines", Duration(measured.joining));
  fmt::print("{:<52} {:>10}\n", "bound: the same bytes over bare gRPC with mTLS", Duration(transfers.wall_seconds));
  fmt::print("{:<52} {:>10}\n", fmt::format("bound: {:.0f} keystreams to unmask, all cores", streams),
             Duration(unmask));
  fmt::print("{:<52} {:>10.2f}\n", "the round beside both bounds", wall / (transfers.wall_seconds + unmask));
  fmt::print("{:<52} {:>6} MiB (idle: {} MiB; target: {} MiB, 4 bytes a parameter and 256 MiB)\n",
             "coordinator's peak memory", measured.coordinator_peak / kMiB, measured.coordinator_idle / kMiB,
             (bytes + 256 * kMiB) / kMiB);
  fmt::print(
      "\nThe published totals of every round are the plain integer sums of the survivors' updates ({} in the "
      "last).\nA site that is lost says so; one that falls silent costs the phase its deadline.\n",
      measured.survivors);
  return absl::OkStatus();
}

}  // namespace

int RunFederation(const FederationOptions& options) {
  SetUpLogging("bench", "error");
  RaiseFileLimit();
  return RunInTemporaryFolder([&](const std::filesystem::path& folder) { return RunIn(options, folder); });
}

}  // namespace cloister::bench
