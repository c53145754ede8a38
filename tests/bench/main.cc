// SPDX-License-Identifier: Apache-2.0
// cloister-bench: what Cloister costs on this machine, beside the physical bound measured in the same run.

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "tests/bench/eval_bench.h"
#include "tests/bench/federation_bench.h"
#include "tests/bench/large_bench.h"
#include "tests/bench/quantization_bench.h"
#include "tests/bench/round_bench.h"
#include "tests/bench/secagg_bench.h"

namespace cloister::bench {
namespace {

using Run = std::function<int()>;  // of the command that was chosen

// The command's options live until it has run.
template <typename Options>
Options& OptionsOf(CLI::App* command, Run& run, int (*body)(const Options&)) {
  const auto options = std::make_shared<Options>();
  command->callback([&run, options, body] { run = [options, body] { return body(*options); }; });
  return *options;
}

// Also written 1e6.
template <typename T>
void AddCount(CLI::App* command, const std::string& name, T& value, double least, double most,
              const std::string& what) {
  command
      ->add_option_function<double>(
          name, [&value](const double& given) { value = static_cast<T>(given); }, what)
      ->check(CLI::Range(least, most))
      ->default_str(std::to_string(value));
}
void AddInt(CLI::App* command, const std::string& name, int& value, int least, int most, const std::string& what) {
  command->add_option(name, value, what)->check(CLI::Range(least, most))->capture_default_str();
}

void AddSecagg(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand("secagg", "Masking, unmasking, checking: one core");
  auto& options = OptionsOf(command, run, RunSecagg);
  AddCount(command, "--parameters", options.parameters, 1e3, 2e9, "Of the whole site pass (8 bytes of memory each)");
  AddInt(command, "--repetitions", options.repetitions, 1, 100, "Each number is the median of so many");
}

void AddRound(CLI::App& app, Run& run) {
  CLI::App* command =
      app.add_subcommand("round", "Training rounds of the real coordinator and real agents, training nothing");
  auto& options = OptionsOf(command, run, RunRounds);
  AddInt(command, "--sites", options.sites, 3, 64, "Agents");
  AddCount(command, "--parameters", options.parameters, 1, 2e9, "Of the model");
  AddInt(command, "--rounds", options.rounds, 2, 100, "The first one is not counted");
}

void AddFederation(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "federation", "One coordinator and hundreds of light sites: time by phase, memory, totals against plain sums");
  auto& options = OptionsOf(command, run, RunFederation);
  AddInt(command, "--sites", options.sites, 3, 4096, "Light sites");
  AddCount(command, "--parameters", options.parameters, 1, 2e9, "Of the model");
  command->add_option("--dropouts", options.dropouts, "Share of the sites that is lost in each round")
      ->check(CLI::Range(0.0, 0.3))
      ->capture_default_str();
  AddInt(command, "--rounds", options.rounds, 1, 100, "The last one is shown by phase");
  AddInt(command, "--threads", options.threads, 1, 256, "Of all light sites together");
}

void AddLarge(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "large", "A secure sum of three sites past 2^32 bytes, and a blob of 4 GiB; needs 16 bytes of disk a parameter");
  auto& options = OptionsOf(command, run, RunLarge);
  AddCount(command, "--parameters", options.parameters, 1, 1.7e10, "Of the model");
}

void AddEval(CLI::App& app, Run& run) {
  CLI::App* command =
      app.add_subcommand("eval", "AUC and bootstraps of many cases, beside scikit-learn and pROC where installed");
  auto& options = OptionsOf(command, run, RunEvalBench);
  AddCount(command, "--cases", options.cases, 1e2, 1e8, "One of each patient");
  AddInt(command, "--replicates", options.replicates, 1, 100'000, "Of a bootstrap");
  AddInt(command, "--threads", options.threads, 1, 256, "Of ours; the others use one");
}

#ifdef CLOISTER_BENCH_TRAINS
void AddQuantization(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "quantization", "Federated training with updates averaged as floats and as integers: models and AUC by round");
  auto& options = OptionsOf(command, run, RunQuantization);
  command->add_option("--chest-xray", options.chest_xray, "Folder with labels.csv and images/; else phantoms")
      ->check(CLI::ExistingDirectory);
  command->add_option("--out", options.out, "Folder for the CSV and the SVG file")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  AddInt(command, "--rounds", options.rounds, 1, 200, "Of federated training");
  AddInt(command, "--epochs", options.epochs, 1, 100, "Of a round, at each site");
  AddInt(command, "--side", options.side, 32, 512, "Of an image, in pixels");
  AddInt(command, "--images", options.images, 8, 10'000, "For training, of each site");
  AddInt(command, "--threads", options.threads, 1, 64, "Of the training");
}
#endif

int Main(int argc, char** argv) {
  CLI::App app("What Cloister costs on this machine, beside the bound measured in the same run.");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  cloister-bench secagg --parameters 1e7 --repetitions 3\n"
      "  cloister-bench round --sites 4 --parameters 1e3\n"
      "  cloister-bench federation --sites 60 --parameters 1e5 --dropouts 0.1\n"
      "  cloister-bench eval --cases 1e6 --threads 2");
  Run run;
  AddSecagg(app, run);
  AddRound(app, run);
  AddFederation(app, run);
  AddLarge(app, run);
  AddEval(app, run);
#ifdef CLOISTER_BENCH_TRAINS
  AddQuantization(app, run);
#endif
  CLI11_PARSE(app, argc, argv);
  return run();
}

}  // namespace
}  // namespace cloister::bench

int main(int argc, char** argv) {
  return cloister::bench::Main(argc, argv);
}
