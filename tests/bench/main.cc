// SPDX-License-Identifier: Apache-2.0
// cloister-bench: what Cloister costs on this machine, beside the physical bound measured in the same run.

#include <CLI/CLI.hpp>

#include "tests/bench/secagg_bench.h"

int main(int argc, char** argv) {
  CLI::App app("What Cloister costs on this machine, beside the bound measured in the same run.");
  app.require_subcommand(1);
  app.footer("Examples:\n  cloister-bench secagg\n  cloister-bench secagg --parameters 1e7 --repetitions 3");

  cloister::bench::SecaggOptions secagg;
  double parameters = static_cast<double>(secagg.parameters);
  CLI::App* command = app.add_subcommand("secagg", "Masking, unmasking, checking: one core");
  command->add_option("--parameters", parameters, "Of the whole site pass (8 bytes of memory each)")
      ->check(CLI::Range(1e3, 2e9))
      ->capture_default_str();
  command->add_option("--repetitions", secagg.repetitions, "Each number is the median of so many")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  secagg.parameters = static_cast<uint64_t>(parameters);
  cloister::bench::RunSecagg(secagg);
  return 0;
}
