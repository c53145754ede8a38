// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/eval_bench.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <sstream>

#include "eval/metrics/metric.h"
#include "eval/stats/bootstrap.h"
#include "eval/stats/delong.h"
#include "protocols/base/file.h"
#include "tests/bench/bench_table.h"
#include "tests/support/temp_dir.h"

namespace cloister::bench {
namespace {

using cloister::eval::Cases;

// Each prints "delong SECONDS", "auc SECONDS" and "bootstrap SECONDS of one replicate"; nothing where it is missing.
constexpr const char* kScikitLearn = R"PY(
import sys, time
try:
    import numpy as np
    from sklearn.metrics import roc_auc_score
except ImportError:
    sys.exit(0)
y, s = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, unpack=True)
n = int(sys.argv[2])
begin = time.perf_counter(); roc_auc_score(y, s); print("auc", time.perf_counter() - begin)
draw = np.random.default_rng(1)
begin = time.perf_counter()
for _ in range(n):
    i = draw.integers(0, len(y), len(y)); roc_auc_score(y[i], s[i])
print("bootstrap", (time.perf_counter() - begin) / n)
)PY";
constexpr const char* kPRoc = R"R(
if (!requireNamespace("pROC", quietly = TRUE)) quit(status = 0)
suppressPackageStartupMessages(library(pROC))
a <- commandArgs(TRUE); d <- read.csv(a[1]); n <- as.integer(a[2])
t <- function(x) as.numeric(system.time(x)["elapsed"])
cat("delong", t({r <- roc(d$label, d$score, direction = "<", quiet = TRUE); ci.auc(r, method = "delong")}), "\n")
cat("bootstrap", t(ci.auc(r, method = "bootstrap", boot.n = n, progress = "none")) / n, "\n")
)R";

Cases MakeCases(uint32_t count) {
  std::mt19937_64 random(1);
  Cases cases;
  for (uint32_t i = 0; i < count; ++i) {
    const double noise = static_cast<double>(random() >> 11) * 0x1p-53;
    const bool label = i % 5 == 0;
    cases.push_back({i, label, label ? 0.3 + 0.7 * noise : 0.8 * noise});
  }
  return cases;
}

double Seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::map<std::string, double> TimesOf(const std::string& command) {
  std::map<std::string, double> times;
  std::FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) {
    return times;
  }
  char name[64];
  double seconds = 0;
  while (std::fscanf(pipe, "%63s %lf", name, &seconds) == 2) {
    times[name] = seconds;
  }
  pclose(pipe);
  return times;
}

std::string Beside(double ours, const std::map<std::string, double>& theirs, const std::string& name, double times) {
  const auto found = theirs.find(name);
  return found == theirs.end()
             ? "not measured"
             : fmt::format("{} ({:.0f}x)", Duration(found->second * times), found->second * times / ours);
}

}  // namespace

int RunEvalBench(const EvalOptions& options) {
  const Cases cases = MakeCases(options.cases);
  const testing::TempDir folder;
  std::string csv = "label,score\n";
  for (const eval::Case& one : cases) {
    csv += fmt::format("{},{}\n", one.label ? 1 : 0, one.score);
  }
  for (const auto& [name, text] :
       {std::pair<std::string, std::string>("p.csv", csv), {"scikit_learn.py", kScikitLearn}, {"proc.R", kPRoc}}) {
    if (const absl::Status status = WriteFileAtomically(folder.path() / name, text); !status.ok()) {
      fmt::print(stderr, "{}\n", std::string(status.message()));
      return 1;
    }
  }
  const std::string file = (folder.path() / "p.csv").string();
  const std::string other = fmt::format("{} {}", file, options.other_replicates);
  fmt::print(stderr, "  scikit-learn ...\n");
  const auto sklearn =
      TimesOf(fmt::format("/usr/bin/python3 {} {}", (folder.path() / "scikit_learn.py").string(), other));
  fmt::print(stderr, "  pROC ...\n");
  const auto proc = TimesOf(fmt::format("Rscript {} {}", (folder.path() / "proc.R").string(), other));
  fmt::print(stderr, "  Cloister ...\n");

  const double delong = Seconds([&] { benchmark::DoNotOptimize(eval::DeLong(cases)); });
  fmt::print("\n{} cases, {} threads\n\n{:<44} {:>10} {:>22} {:>22}\n", options.cases, options.threads, "work", "ours",
             "scikit-learn", "pROC");
  fmt::print("{:<44} {:>10} {:>22} {:>22}\n", "AUC with DeLong's interval", Duration(delong), "has none",
             Beside(delong, proc, "delong", 1));
  const double auc = Seconds([&] { benchmark::DoNotOptimize(eval::FindMetric("auc")->compute(cases, 0)); });
  fmt::print("{:<44} {:>10} {:>22} {:>22}\n", "AUC alone", Duration(auc), Beside(auc, sklearn, "auc", 1), "");
  eval::BootstrapOptions bootstrap;
  bootstrap.replicates = options.replicates;
  bootstrap.threads = options.threads;
  for (const eval::Metric& metric : eval::AllMetrics()) {
    const double ours = Seconds([&] {
      const eval::SortedCases sorted(cases);
      benchmark::DoNotOptimize(
          eval::Bootstrap(eval::PatientSampler::ByClass(sorted), metric.of_resamples(sorted, 0.5), bootstrap));
    });
    const bool is_auc = metric.name == "auc";
    fmt::print("{:<44} {:>10} {:>22} {:>22}\n", fmt::format("{} bootstraps of {}", options.replicates, metric.name),
               Duration(ours), is_auc ? Beside(ours, sklearn, "bootstrap", options.replicates) : "",
               is_auc ? Beside(ours, proc, "bootstrap", options.replicates) : "");
  }
  fmt::print("\nOther programs' bootstraps: {} replicates measured, scaled to {}.\n", options.other_replicates,
             options.replicates);
  return 0;
}

}  // namespace cloister::bench
