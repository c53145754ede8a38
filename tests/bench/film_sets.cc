// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/film_sets.h"

#include <fmt/format.h>

#include <map>
#include <opencv2/imgcodecs.hpp>

#include "deploy/phantoms/film.h"
#include "models/preprocess/preprocess.h"
#include "tests/support/shared_data.h"

namespace cloister::bench {
namespace {

absl::Status Add(const cv::Mat& grey, bool positive, int side, Films& films) {
  models::GrayImage image;
  image.rows = grey.rows;
  image.columns = grey.cols;
  cv::Mat floats;
  grey.convertTo(floats, CV_32F);
  image.pixels.assign(floats.begin<float>(), floats.end<float>());
  models::PreprocessConfig config;
  config.rows = side;
  config.columns = side;
  CLOISTER_ASSIGN_OR_RETURN(std::vector<uint8_t> pixels, models::Preprocess(image, config));
  films.pixels.push_back(std::move(pixels));
  films.labels.push_back(positive ? 1.0F : 0.0F);
  return absl::OkStatus();
}

template <typename Images>
Images Views(const Films& films, int side) {
  Images images;
  images.rows = side;
  images.columns = side;
  for (const std::vector<uint8_t>& pixels : films.pixels) images.images.push_back(pixels.data());
  return images;
}

}  // namespace

models::TrainingSet Films::TrainingSet(int side) const {
  auto set = Views<models::TrainingSet>(*this, side);
  set.labels = labels;
  return set;
}

models::ImageBatch Films::Batch(int side) const {
  return Views<models::ImageBatch>(*this, side);
}

absl::StatusOr<std::vector<FilmSite>> PhantomSites(const FilmOptions& options) {
  std::vector<FilmSite> sites;
  for (const phantoms::Hospital& hospital : phantoms::BuiltInHospitals()) {
    FilmSite site;
    site.name = hospital.name;
    phantoms::Random random(1, "quantization bench of " + hospital.name);
    for (int i = 0; i < options.train + options.test; ++i) {
      const phantoms::Anatomy anatomy = phantoms::DrawAnatomy(random);
      const bool positive = i % 2 == 0;
      const phantoms::Film film =
          phantoms::DrawFilm(hospital, anatomy, positive, random.Chance(hospital.anteroposterior), random);
      CLOISTER_RETURN_IF_ERROR(Add(film.grey, positive, options.side, i < options.train ? site.train : site.test));
    }
    sites.push_back(std::move(site));
  }
  return sites;
}

absl::StatusOr<std::vector<FilmSite>> ChestXraySites(const std::filesystem::path& folder, const FilmOptions& options) {
  constexpr int kParts = 3;
  std::map<std::string, FilmSite> sites;
  std::map<std::string, int> dealt;
  for (const auto& row : testing::ReadTable(folder / "labels.csv")) {
    const std::string group = row.at("site_group");
    if (group != "nih" && group != "guangzhou") continue;
    const std::string label = row.at("label");
    const bool for_training = row.at("split") == "train";
    const std::string name =
        fmt::format("{}-{}", group, dealt[group + label + (for_training ? "1" : "0")]++ % kParts + 1);
    FilmSite& site = sites[name];
    site.name = name;
    Films& films = for_training ? site.train : site.test;
    const auto most = static_cast<size_t>((for_training ? options.train : options.test) / 2);
    size_t of_this_label = 0;
    for (const float known : films.labels) of_this_label += (known > 0) == (label == "pneumonia") ? 1 : 0;
    if (of_this_label >= most) continue;
    const cv::Mat grey = cv::imread((folder / row.at("image")).string(), cv::IMREAD_GRAYSCALE);
    if (grey.empty()) return absl::NotFoundError("cannot read " + (folder / row.at("image")).string());
    CLOISTER_RETURN_IF_ERROR(Add(grey, label == "pneumonia", options.side, films));
  }
  std::vector<FilmSite> list;
  for (auto& [name, site] : sites) {
    if (site.train.labels.size() < 8 || site.test.labels.size() < 8) {
      return absl::FailedPreconditionError(fmt::format("site {} has {} training and {} test images", name,
                                                       site.train.labels.size(), site.test.labels.size()));
    }
    list.push_back(std::move(site));
  }
  if (list.empty()) return absl::FailedPreconditionError("no images of these sources in " + folder.string());
  return list;
}

}  // namespace cloister::bench
