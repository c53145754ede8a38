// SPDX-License-Identifier: Apache-2.0
// cloister-bench: what Cloister costs on this machine, beside the physical bound measured in the same run.

#include <CLI/CLI.hpp>

#include "tests/bench/federation_bench.h"
#include "tests/bench/large_bench.h"
#include "tests/bench/quantization_bench.h"
#include "tests/bench/round_bench.h"
#include "tests/bench/secagg_bench.h"

int main(int argc, char** argv) {
  CLI::App app("What Cloister costs on this machine, beside the bound measured in the same run.");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  cloister-bench secagg\n  cloister-bench secagg --parameters 1e7 --repetitions 3\n  cloister-bench "
      "round --sites 4 --parameters 1e3\n  cloister-bench federation --sites 60 --parameters 1e5 --dropouts 0.1");

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
  cloister::bench::FederationOptions federation;
  double federation_parameters = static_cast<double>(federation.parameters);
  CLI::App* federations = app.add_subcommand(
      "federation", "One coordinator and hundreds of light sites: time by phase, memory, totals against plain sums");
  federations->add_option("--sites", federation.sites, "Light sites")
      ->check(CLI::Range(3, 4096))
      ->capture_default_str();
  federations->add_option("--parameters", federation_parameters, "Of the model")
      ->check(CLI::Range(1.0, 2e9))
      ->capture_default_str();
  federations->add_option("--dropouts", federation.dropouts, "Share of the sites that is lost in each round")
      ->check(CLI::Range(0.0, 0.3))
      ->capture_default_str();
  federations->add_option("--rounds", federation.rounds, "The last one is shown by phase")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  federations->add_option("--threads", federation.threads, "Of all light sites together")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  cloister::bench::LargeOptions large;
  double large_parameters = static_cast<double>(large.parameters);
  CLI::App* larges = app.add_subcommand(
      "large", "A secure sum of three sites past 2^32 bytes, and a blob of 4 GiB; needs 16 bytes of disk a parameter");
  larges->add_option("--parameters", large_parameters, "Of the model")
      ->check(CLI::Range(1.0, 1.7e10))
      ->capture_default_str();
#ifdef CLOISTER_BENCH_TRAINS
  cloister::bench::QuantizationOptions quantization;
  CLI::App* training = app.add_subcommand(
      "quantization", "Federated training with updates averaged as floats and as integers: models and AUC by round");
  training->add_option("--chest-xray", quantization.chest_xray, "Folder with labels.csv and images/; else phantoms")
      ->check(CLI::ExistingDirectory);
  training->add_option("--out", quantization.out, "Folder for the CSV and the SVG file")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  training->add_option("--rounds", quantization.rounds, "Of federated training")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  training->add_option("--epochs", quantization.epochs, "Of a round, at each site")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  training->add_option("--side", quantization.side, "Of an image, in pixels")
      ->check(CLI::Range(32, 512))
      ->capture_default_str();
  training->add_option("--images", quantization.images, "For training, of each site")
      ->check(CLI::Range(8, 10'000))
      ->capture_default_str();
  training->add_option("--threads", quantization.threads, "Of the training")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
#endif
  CLI11_PARSE(app, argc, argv);
  if (larges->parsed()) {
    large.parameters = static_cast<uint64_t>(large_parameters);
    return cloister::bench::RunLarge(large);
  }
  if (federations->parsed()) {
    federation.parameters = static_cast<uint64_t>(federation_parameters);
    return cloister::bench::RunFederation(federation);
  }
#ifdef CLOISTER_BENCH_TRAINS
  if (training->parsed()) {
    return cloister::bench::RunQuantization(quantization);
  }
#endif
  if (rounds->parsed()) {
    round.parameters = static_cast<uint64_t>(round_parameters);
    return cloister::bench::RunRounds(round);
  }

  secagg.parameters = static_cast<uint64_t>(parameters);
  cloister::bench::RunSecagg(secagg);
  return 0;
}
