// SPDX-License-Identifier: Apache-2.0
// Windowing by histogram-free selection, fitting, area resampling.

#include "models/preprocess/preprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/preprocess/opencv_guard.h"
#include "protocols/crypto/hash.h"

namespace cloister::models {
namespace {

constexpr uint32_t kAlgorithmVersion = 1;  // counts up whenever the same configuration gives other pixels
constexpr int64_t kMaxPixels = int64_t{1} << 28;

absl::Status CheckImage(const GrayImage& image) {
  if (image.rows < 1 || image.columns < 1 || int64_t{image.rows} * image.columns > kMaxPixels) {
    return absl::InvalidArgumentError(fmt::format("image of {} x {} pixels", image.rows, image.columns));
  }
  if (image.pixels.size() != static_cast<size_t>(image.rows) * image.columns) {
    return absl::InvalidArgumentError(
        fmt::format("{} x {} image with {} values", image.rows, image.columns, image.pixels.size()));
  }
  for (float value : image.pixels) {
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError("a pixel is not finite");
    }
  }
  return absl::OkStatus();
}

// The value below which `percent` of `values` lie (nearest rank). Reorders `values`.
float Percentile(std::vector<float>& values, double percent) {
  const auto rank = static_cast<size_t>(std::llround(percent / 100 * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(rank), values.end());
  return values[rank];
}

// Low and high grey value of the window; equal when the image is blank.
std::pair<float, float> WindowOf(const GrayImage& image, const PreprocessConfig& config) {
  const auto [least, most] = std::minmax_element(image.pixels.begin(), image.pixels.end());
  if (config.window == Window::kMinMax) {
    return {*least, *most};
  }
  std::vector<float> values = image.pixels;
  const float low = Percentile(values, config.low_percentile);
  const float high = Percentile(values, config.high_percentile);
  // A film that is one grey value but for a marker still has something to show.
  return low < high ? std::make_pair(low, high) : std::make_pair(*least, *most);
}

cv::Mat CropToSquare(const cv::Mat& image, const PreprocessConfig& config) {
  const double scale =
      std::min(static_cast<double>(image.rows) / config.rows, static_cast<double>(image.cols) / config.columns);
  const int rows = std::clamp(static_cast<int>(std::lround(config.rows * scale)), 1, image.rows);
  const int columns = std::clamp(static_cast<int>(std::lround(config.columns * scale)), 1, image.cols);
  return image(cv::Rect((image.cols - columns) / 2, (image.rows - rows) / 2, columns, rows));
}

cv::Mat Resize(const cv::Mat& image, int rows, int columns) {
  cv::Mat resized;
  const bool shrinks = rows <= image.rows && columns <= image.cols;
  cv::resize(image, resized, cv::Size(columns, rows), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
  return resized;
}

cv::Mat FitTo(const cv::Mat& image, const PreprocessConfig& config) {
  if (config.fit == Fit::kStretch) {
    return Resize(image, config.rows, config.columns);
  }
  if (config.fit == Fit::kCrop) {
    return Resize(CropToSquare(image, config), config.rows, config.columns);
  }
  const double scale =
      std::min(static_cast<double>(config.rows) / image.rows, static_cast<double>(config.columns) / image.cols);
  const int rows = std::clamp(static_cast<int>(std::lround(image.rows * scale)), 1, config.rows);
  const int columns = std::clamp(static_cast<int>(std::lround(image.cols * scale)), 1, config.columns);
  cv::Mat boxed(config.rows, config.columns, image.type(), cv::Scalar(0));
  Resize(image, rows, columns)
      .copyTo(boxed(cv::Rect((config.columns - columns) / 2, (config.rows - rows) / 2, columns, rows)));
  return boxed;
}

}  // namespace

absl::Status CheckPreprocessConfig(const PreprocessConfig& config) {
  for (int side : {config.rows, config.columns}) {
    if (side < 8 || side > 4096) {
      return absl::InvalidArgumentError(fmt::format("preprocessing: side of {} pixels; allowed: 8 to 4096", side));
    }
  }
  if (config.channels != 1 && config.channels != 3) {
    return absl::InvalidArgumentError(fmt::format("preprocessing: {} channels; allowed: 1, 3", config.channels));
  }
  if (!(config.low_percentile >= 0 && config.low_percentile < config.high_percentile &&
        config.high_percentile <= 100)) {
    return absl::InvalidArgumentError(
        fmt::format("preprocessing: percentiles {} and {}; allowed: 0 <= low < high <= 100", config.low_percentile,
                    config.high_percentile));
  }
  if (!(config.clahe_clip_limit >= 0 && config.clahe_clip_limit <= 100)) {
    return absl::InvalidArgumentError(
        fmt::format("preprocessing: CLAHE clip limit {}; allowed: 0 to 100", config.clahe_clip_limit));
  }
  return absl::OkStatus();
}

Digest PreprocessDigest(const PreprocessConfig& config) {
  // Reals as text: a digest must not hang on the bits of a platform's double.
  CanonicalWriter writer;
  writer.Blob("cloister/preprocess").U32(kAlgorithmVersion);
  writer.U32(static_cast<uint32_t>(config.rows)).U32(static_cast<uint32_t>(config.columns));
  writer.U32(static_cast<uint32_t>(config.channels)).U32(static_cast<uint32_t>(config.window));
  writer.U32(static_cast<uint32_t>(config.fit));
  writer.Blob(fmt::format("{:.6f}", config.low_percentile)).Blob(fmt::format("{:.6f}", config.high_percentile));
  writer.Blob(fmt::format("{:.6f}", config.clahe_clip_limit));
  return crypto::Sha256(writer.bytes());
}

absl::StatusOr<std::vector<uint8_t>> Preprocess(const GrayImage& image, const PreprocessConfig& config) {
  CLOISTER_RETURN_IF_ERROR(CheckPreprocessConfig(config));
  CLOISTER_RETURN_IF_ERROR(CheckImage(image));
  return GuardOpenCv("preprocess", [&]() -> absl::StatusOr<std::vector<uint8_t>> {
    const auto [low, high] = WindowOf(image, config);
    if (!(low < high)) {
      return absl::InvalidArgumentError("blank: every pixel has the same value");
    }
    const cv::Mat pixels(image.rows, image.columns, CV_32F, const_cast<float*>(image.pixels.data()));
    cv::Mat gray;  // still float, 0..255: rounding comes once, after resampling
    pixels.convertTo(gray, CV_32F, 255.0 / (static_cast<double>(high) - low),
                     -low * 255.0 / (static_cast<double>(high) - low));
    cv::min(gray, 255.0, gray);
    cv::max(gray, 0.0, gray);
    if (config.clahe_clip_limit > 0) {
      cv::Mat eight_bit;
      gray.convertTo(eight_bit, CV_8U);
      cv::createCLAHE(config.clahe_clip_limit, cv::Size(8, 8))->apply(eight_bit, eight_bit);
      eight_bit.convertTo(gray, CV_32F);
    }
    cv::Mat fitted;
    FitTo(gray, config).convertTo(fitted, CV_8U);
    std::vector<uint8_t> out;
    out.reserve(fitted.total() * static_cast<size_t>(config.channels));
    for (int channel = 0; channel < config.channels; ++channel) {
      out.insert(out.end(), fitted.datastart, fitted.dataend);
    }
    return out;
  });
}

}  // namespace cloister::models
