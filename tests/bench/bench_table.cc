// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bench_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace cloister::bench {
namespace {

// Says on the terminal what is being measured and remembers every repetition.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration) {
        const std::string name = run.run_name.function_name;
        seconds_[name].push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
        fmt::print(stderr, "  {:<44} {:>10}\n", name, Duration(seconds_[name].back()));
      }
    }
  }
  std::map<std::string, double> Medians() {
    std::map<std::string, double> medians;
    for (auto& [name, all] : seconds_) {
      std::sort(all.begin(), all.end());
      medians[name] = all[all.size() / 2];
    }
    return medians;
  }

 private:
  std::map<std::string, std::vector<double>> seconds_;
};

}  // namespace

std::map<std::string, double> RunAll(int repetitions) {
  std::string program = "cloister-bench";
  std::string repeat = fmt::format("--benchmark_repetitions={}", repetitions);
  std::string interleave = "--benchmark_enable_random_interleaving=true";  // bound and cost meet the same noise
  std::vector<char*> arguments = {program.data(), repeat.data(), interleave.data()};
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector);
  return collector.Medians();
}

void Print(const std::string& title, const std::vector<Row>& rows) {
  fmt::print("\n{}\n\n{:<52} {:>10} {:>10} {:>7}  {:<16} {}\n", title, "work, one core", "ours", "bound", "ratio",
             "target", "others, measured elsewhere");
  for (const Row& row : rows) {
    const std::string ratio = row.bound > 0 ? fmt::format("{:.2f}", row.seconds / row.bound) : "";
    fmt::print("{:<52} {:>10} {:>10} {:>7}  {:<16} {}\n", row.work, Duration(row.seconds),
               row.bound > 0 ? Duration(row.bound) : "", ratio, row.target, row.others);
  }
}

std::string Duration(double seconds) {
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.2f} ms", seconds * 1e3);
  if (seconds >= 1e-6) return fmt::format("{:.2f} us", seconds * 1e6);
  return fmt::format("{:.2f} ns", seconds * 1e9);
}

}  // namespace cloister::bench
