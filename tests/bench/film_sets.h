#pragma once
// SPDX-License-Identifier: Apache-2.0
// Small labelled image sets by site, for benchmarks that train: invented films of the four phantom hospitals, or the
// public chest radiographs of two hospitals where they lie on this machine.

#include <filesystem>
#include <string>
#include <vector>

#include "models/predictor.h"
#include "models/trainer.h"
#include "protocols/base/status.h"

namespace cloister::bench {

// uint8 [1, side, side] each.
struct Films {
  std::vector<std::vector<uint8_t>> pixels;
  std::vector<float> labels;
  models::TrainingSet TrainingSet(int side) const;
  models::ImageBatch Batch(int side) const;
};

struct FilmSite {
  std::string name;
  Films train;
  Films test;
};

struct FilmOptions {
  int side = 48;
  int train = 48;  // images of each site, half of them positive
  int test = 40;
};

// Four sites.
absl::StatusOr<std::vector<FilmSite>> PhantomSites(const FilmOptions& options);
// `folder` has labels.csv and images/. The two sources with both classes, each dealt to three sites: six.
// FAILED_PRECONDITION: not enough images; also as for a file that cannot be read.
absl::StatusOr<std::vector<FilmSite>> ChestXraySites(const std::filesystem::path& folder, const FilmOptions& options);

}  // namespace cloister::bench
