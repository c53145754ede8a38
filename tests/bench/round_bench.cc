// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/round_bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "protocols/base/log.h"
#include "tests/bench/bench_consortium.h"
#include "tests/bench/bench_folder.h"
#include "tests/bench/bench_site.h"
#include "tests/bench/bench_table.h"
#include "tests/bench/child_process.h"
#include "tests/bench/transfer_bound.h"

namespace cloister::bench {
namespace {

struct Measured {
  std::vector<double> rounds;  // wall seconds
  double cpu = 0;              // of all processes, a round
  uint64_t coordinator_peak = 0;
  uint64_t agent_peak = 0;  // the largest
};

absl::StatusOr<Measured> Run(const RoundOptions& options, const std::filesystem::path& folder,
                             const std::filesystem::path& worker) {
  const Identities identities(folder / "identities");
  CLOISTER_ASSIGN_OR_RETURN(const auto coordinator_identity,
                            identities.Make("coordinator", crypto::Role::kCoordinator));
  CLOISTER_ASSIGN_OR_RETURN(const auto operator_identity, identities.Make("operator", crypto::Role::kOperator));
  std::vector<BenchSite> sites;
  for (int i = 1; i <= options.sites; ++i) {
    BenchSite site;
    site.id = SiteName(i);
    site.folder = folder / site.id;
    CLOISTER_ASSIGN_OR_RETURN(site.certificates, identities.Make(site.id, crypto::Role::kSite));
    site.worker = worker;
    sites.push_back(std::move(site));
  }
  // All processes before the first thread and the first use of gRPC.
  ChildProcess coordinator = ChildProcess::Start(
      [&](ChildProcess& self) { return ServeCoordinator(self, folder / "coordinator", coordinator_identity); });
  std::vector<ChildProcess> agents;
  for (BenchSite& site : sites) {
    agents.push_back(ChildProcess::Start([&site](ChildProcess& self) {
      site.coordinator_port = std::stoi(self.Hear());
      const absl::Status status = RunBenchSite(site);
      if (!status.ok()) fmt::print(stderr, "{}: {}\n", site.id, std::string(status.message()));
      return status.ok() ? 0 : 1;
    }));
  }
  const std::string port = coordinator.Hear();
  if (port.empty()) return absl::InternalError("the coordinator did not start");
  for (ChildProcess& agent : agents) agent.Tell(port);

  const auto cpu = [&] {
    double seconds = coordinator.CpuSeconds();
    for (const ChildProcess& agent : agents) seconds += agent.CpuSeconds();
    return seconds;
  };
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(Operator study, Operator::Create(operator_identity, std::stoi(port), &clock));
  CLOISTER_ASSIGN_OR_RETURN(const std::string job,
                            study.Submit({options.sites, 3, options.parameters, options.rounds}));
  Measured measured;
  double cpu_before = 0;
  int64_t started_ms = 0;
  int counted = 0;
  CLOISTER_RETURN_IF_ERROR(study.Watch(job, [&](int64_t time_ms, const std::string& text) {
    int round = 0;
    char verb[16] = "";
    if (std::sscanf(text.c_str(), "training round %d %15[a-z]", &round, verb) != 2) return false;
    if (std::string(verb) == "starts") {
      started_ms = time_ms;
      if (round == 2) cpu_before = cpu();
      return false;
    }
    if (std::string(verb) != "done") return false;
    const double wall = static_cast<double>(time_ms - started_ms) / 1000;
    fmt::print(stderr, "  round {}: {}{}\n", round, Duration(wall), round == 1 ? " (not counted)" : "");
    if (round > 1) {
      measured.rounds.push_back(wall);
      ++counted;
    }
    return round == options.rounds;
  }));
  measured.cpu = (cpu() - cpu_before) / counted;
  measured.coordinator_peak = coordinator.PeakBytes();
  for (const ChildProcess& agent : agents) measured.agent_peak = std::max(measured.agent_peak, agent.PeakBytes());
  std::sort(measured.rounds.begin(), measured.rounds.end());
  return measured;
}

absl::Status RunIn(const RoundOptions& options, const std::filesystem::path& folder) {
  const std::filesystem::path worker = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "fake-worker";
  fmt::print(stderr, "{} sites, {} parameters, {} rounds ...\n", options.sites, options.parameters, options.rounds);
  CLOISTER_ASSIGN_OR_RETURN(const Measured measured, Run(options, folder, worker));
  const uint64_t bytes = 4 * options.parameters;
  CLOISTER_ASSIGN_OR_RETURN(const TransferCost bound,
                            MeasureTransfers(folder / "identities" / "coordinator", folder / "identities" / SiteName(1),
                                             options.sites, bytes));
  const double wall = measured.rounds[measured.rounds.size() / 2];
  fmt::print(
      "\nA training round with {} agents and {:.3g} parameters, training nothing; every part a process of its own\n\n",
      options.sites, static_cast<double>(options.parameters));
  fmt::print("{:<34} {:>10} {:>28} {:>7}\n", "", "ours", "bare gRPC, mTLS, same bytes", "ratio");
  fmt::print("{:<34} {:>10} {:>28} {:>7.2f}\n", "wall, median", Duration(wall), Duration(bound.wall_seconds),
             wall / bound.wall_seconds);
  fmt::print("{:<34} {:>10} {:>28} {:>7.2f}\n", "CPU of all processes", Duration(measured.cpu),
             Duration(bound.cpu_seconds), measured.cpu / bound.cpu_seconds);
  fmt::print("{:<34} {:>6} MiB\n", "coordinator's peak memory", measured.coordinator_peak >> 20);
  fmt::print("{:<34} {:>6} MiB\n", "an agent's peak memory", measured.agent_peak >> 20);
  fmt::print("\nEach site sends and fetches {:.1f} MB. The time includes a worker process that copies the model.\n",
             static_cast<double>(bytes) / 1e6);
  return absl::OkStatus();
}

}  // namespace

int RunRounds(const RoundOptions& options) {
  SetUpLogging("bench", "error");
  return RunInTemporaryFolder([&](const std::filesystem::path& folder) { return RunIn(options, folder); });
}

}  // namespace cloister::bench
