// SPDX-License-Identifier: Apache-2.0
// ResNet-18 training speed through the door of models/, data loading and augmentation included. Prints images per
// second and per CPU second: on a machine that does other things too, only the second is comparable.
//
//   train_bench [threads] [side] [batch] [images] [epochs]

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "models/random.h"
#include "models/trainer.h"

namespace {

double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int Argument(int argc, char** argv, int index, int otherwise) {
  return argc > index ? std::atoi(argv[index]) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace cloister::models;
  const int threads = Argument(argc, argv, 1, 2);
  const int side = Argument(argc, argv, 2, 128);
  const int images = Argument(argc, argv, 4, 160);
  TrainOptions options;
  options.batch_size = Argument(argc, argv, 3, 16);
  options.epochs = Argument(argc, argv, 5, 2);
  options.augment = true;
  SetComputeThreads(threads);

  Random random({1});
  std::vector<std::vector<uint8_t>> pixels(static_cast<size_t>(images));
  TrainingSet set{1, side, side, {}, {}, {}};
  for (auto& image : pixels) {
    for (int i = 0; i < side * side; ++i) {
      image.push_back(static_cast<uint8_t>(random.Bits()));
    }
    set.images.push_back(image.data());
    set.labels.push_back(random.Flip() ? 1 : 0);
  }
  ModelSpec spec;
  const auto initial = MakeInitialModel(spec);
  if (!initial.ok()) {
    std::fprintf(stderr, "%s\n", initial.status().ToString().c_str());
    return 1;
  }
  for (const OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    options.optimizer.kind = kind;
    options.optimizer.lr = 1e-4;
    const double before = CpuSeconds();
    const auto result = Train(spec, initial->model, set, options);
    const double cpu = CpuSeconds() - before;
    if (!result.ok()) {
      std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
      return 1;
    }
    std::printf("resnet18 1x%dx%d batch %d, %d threads, %s: %.1f images/s, %.1f per CPU second\n", side, side,
                options.batch_size, threads, kind == OptimizerKind::kSgd ? "sgd" : "adamw", result->images_per_second,
                images * options.epochs / cpu);
  }
  return 0;
}
