// SPDX-License-Identifier: Apache-2.0
// cloister-bench: what Cloister costs on this machine, beside the physical bound measured in the same run.

#include <CLI/CLI.hpp>

#include "tests/bench/eval_bench.h"
#include "tests/bench/round_bench.h"
#include "tests/bench/secagg_bench.h"

int main(int argc, char** argv) {
  CLI::App app("What Cloister costs on this machine, beside the bound measured in the same run.");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  cloister-bench secagg\n  cloister-bench secagg --parameters 1e7 --repetitions 3\n  cloister-bench "
      "round --sites 4 --parameters 1e3\n  cloister-bench eval --cases 1e6 --threads 2");

  cloister::bench::SecaggOptions secagg;
  double parameters = static_cast<double>(secagg.parameters);
  CLI::App* command = app.add_subcommand("secagg", "Masking, unmasking, checking: one core");
  command->add_option("--parameters", parameters, "Of the whole site pass (8 bytes of memory each)")
      ->check(CLI::Range(1e3, 2e9))
      ->capture_default_str();
  command->add_option("--repetitions", secagg.repetitions, "Each number is the median of so many")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  cloister::bench::RoundOptions round;
  double round_parameters = static_cast<double>(round.parameters);
  CLI::App* rounds =
      app.add_subcommand("round", "Training rounds of the real coordinator and real agents, training nothing");
  rounds->add_option("--sites", round.sites, "Agents")->check(CLI::Range(3, 64))->capture_default_str();
  rounds->add_option("--parameters", round_parameters, "Of the model")
      ->check(CLI::Range(1.0, 2e9))
      ->capture_default_str();
  rounds->add_option("--rounds", round.rounds, "The first one is not counted")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  cloister::bench::EvalOptions eval;
  double cases = static_cast<double>(eval.cases);
  CLI::App* evals =
      app.add_subcommand("eval", "AUC and bootstraps of many cases, beside scikit-learn and pROC where installed");
  evals->add_option("--cases", cases, "One of each patient")->check(CLI::Range(1e2, 1e8))->capture_default_str();
  evals->add_option("--replicates", eval.replicates, "Of a bootstrap")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  evals->add_option("--threads", eval.threads, "Of ours; the others use one")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (evals->parsed()) {
    eval.cases = static_cast<uint32_t>(cases);
    return cloister::bench::RunEvalBench(eval);
  }
  if (rounds->parsed()) {
    round.parameters = static_cast<uint64_t>(round_parameters);
    return cloister::bench::RunRounds(round);
  }

  secagg.parameters = static_cast<uint64_t>(parameters);
  cloister::bench::RunSecagg(secagg);
  return 0;
}
