// SPDX-License-Identifier: Apache-2.0
// Drawing with ellipses, lines and blurs.

#include "deploy/phantoms/film.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace cloister::phantoms {
namespace {

// A canvas addressed in fractions of its sides.
class Canvas {
 public:
  Canvas(int rows, int columns) : mat_(rows, columns, CV_32F, cv::Scalar(0)) {}

  cv::Mat& mat() { return mat_; }
  cv::Point Pixel(double x, double y) const { return {cvRound(x * mat_.cols), cvRound(y * mat_.rows)}; }
  int Length(double fraction) const { return std::max(1, cvRound(fraction * mat_.cols)); }

  // A filled ellipse of height 1 with a soft edge of `softness` (of the width).
  cv::Mat Ellipse(double x, double y, double radius_x, double radius_y, double angle_deg, double softness) const {
    cv::Mat shape(mat_.size(), CV_32F, cv::Scalar(0));
    cv::ellipse(shape, Pixel(x, y), cv::Size(Length(radius_x), std::max(1, cvRound(radius_y * mat_.rows))), angle_deg,
                0, 360, cv::Scalar(1), cv::FILLED, cv::LINE_AA);
    return Soft(shape, softness);
  }
  cv::Mat Curve(const std::vector<cv::Point>& points, int thickness, double softness) const {
    cv::Mat shape(mat_.size(), CV_32F, cv::Scalar(0));
    cv::polylines(shape, points, /*isClosed=*/false, cv::Scalar(1), thickness, cv::LINE_AA);
    return Soft(shape, softness);
  }

 private:
  cv::Mat Soft(const cv::Mat& shape, double softness) const {
    cv::Mat soft;
    cv::GaussianBlur(shape, soft, cv::Size(0, 0), std::max(0.4, softness * mat_.cols));
    return soft;
  }
  cv::Mat mat_;
};

struct Lung {
  double x, y, radius_x, radius_y, angle_deg;
};

std::vector<Lung> Lungs(const Anatomy& anatomy) {
  const double w = anatomy.width;
  return {{0.5 - 0.20 * w, 0.47, 0.135 * w, 0.31, 6}, {0.5 + 0.20 * w, 0.46, 0.125 * w, 0.30, -6}};
}

void AddRibs(const Anatomy& anatomy, const cv::Mat& lungs, Canvas& canvas) {
  for (int i = 0; i < anatomy.ribs; ++i) {
    const double y = 0.14 + 0.075 * i;
    for (const double side : {-1.0, 1.0}) {
      std::vector<cv::Point> rib;
      for (double t = 0; t <= 1.001; t += 0.1) {  // from the spine outwards and down
        const double x = 0.5 + side * anatomy.width * (0.03 + 0.34 * std::sin(t * 1.45));
        rib.push_back(canvas.Pixel(x, y - 0.035 * std::sin(t * 3.1) + 0.12 * t * t));
      }
      cv::Mat drawn = canvas.Curve(rib, canvas.Length(0.022), 0.006);
      canvas.mat() += drawn.mul(0.045 + 0.05 * lungs);
    }
  }
  for (const double side : {-1.0, 1.0}) {  // collar bones
    const std::vector<cv::Point> bone = {canvas.Pixel(0.5 + side * 0.04, 0.16), canvas.Pixel(0.5 + side * 0.2, 0.12),
                                         canvas.Pixel(0.5 + side * 0.36 * anatomy.width, 0.10)};
    canvas.mat() += 0.11 * canvas.Curve(bone, canvas.Length(0.025), 0.006);
  }
}

void AddVessels(const Anatomy& anatomy, Random& random, Canvas& canvas) {
  cv::Mat all(canvas.mat().size(), CV_32F, cv::Scalar(0));
  for (const double side : {-1.0, 1.0}) {
    for (int i = 0; i < 14; ++i) {  // random walks away from the hilum, thinner as they go
      double x = 0.5 + side * 0.09 * anatomy.width;
      double y = 0.44 + random.Uniform(-0.03, 0.03);
      double direction = random.Uniform(-1.3, 1.3);
      std::vector<cv::Point> vessel = {canvas.Pixel(x, y)};
      for (int step = 0; step < 7; ++step) {
        direction += random.Uniform(-0.35, 0.35);
        x += side * 0.026 * std::cos(direction);
        y += 0.03 * std::sin(direction);
        vessel.push_back(canvas.Pixel(x, y));
      }
      cv::max(all, random.Uniform(0.06, 0.12) * canvas.Curve(vessel, canvas.Length(0.008), 0.004), all);
    }
  }
  canvas.mat() += all;
}

cv::Mat LowFrequencyTexture(cv::Size size, int cells, Random& random) {
  cv::Mat coarse(cells, cells, CV_32F);
  for (float& value : cv::Mat_<float>(coarse)) {
    value = static_cast<float>(random.Normal());
  }
  cv::Mat texture;
  cv::resize(coarse, texture, size, 0, 0, cv::INTER_CUBIC);
  return texture;
}

// Consolidations: blotchy, soft, anywhere in a lung but more often low.
std::vector<Opacity> AddOpacities(const Anatomy& anatomy, const cv::Mat& lungs, Random& random, Canvas& canvas) {
  std::vector<Opacity> opacities;
  const std::vector<Lung> places = Lungs(anatomy);
  const int count = random.Integer(1, 3);
  for (int i = 0; i < count; ++i) {
    const Lung& lung = places[static_cast<size_t>(random.Integer(0, 1))];
    Opacity opacity;
    opacity.x = lung.x + random.Uniform(-0.6, 0.6) * lung.radius_x;
    opacity.y = lung.y + random.Uniform(-0.45, 0.75) * lung.radius_y;
    opacity.radius = random.Uniform(0.05, 0.10);
    opacity.contrast = random.Uniform(0.17, 0.36);
    cv::Mat blob = canvas.Ellipse(opacity.x, opacity.y, opacity.radius, opacity.radius * random.Uniform(0.7, 1.2),
                                  random.Uniform(0, 180), opacity.radius * 0.45);
    const cv::Mat blotches = 1 + 0.25 * LowFrequencyTexture(canvas.mat().size(), 24, random);
    blob = blob.mul(blotches).mul(0.25 + 0.75 * lungs);
    canvas.mat() += opacity.contrast * blob;
    opacities.push_back(opacity);
  }
  return opacities;
}

// What a film shows that is not disease: nipples, skin folds, a wire.
void AddDistractions(const Anatomy& anatomy, Random& random, Canvas& canvas) {
  if (random.Chance(0.4)) {
    for (const double side : {-1.0, 1.0}) {
      canvas.mat() +=
          random.Uniform(0.03, 0.07) * canvas.Ellipse(0.5 + side * 0.2 * anatomy.width, 0.66, 0.017, 0.015, 0, 0.006);
    }
  }
  if (random.Chance(0.25)) {
    const double x = random.Uniform(0.15, 0.85);
    canvas.mat() += 0.05 * canvas.Curve({canvas.Pixel(x, 0.05), canvas.Pixel(x + random.Uniform(-0.1, 0.1), 0.5),
                                         canvas.Pixel(x + random.Uniform(-0.2, 0.2), 0.95)},
                                        canvas.Length(0.02), 0.02);
  }
  if (random.Chance(0.3)) {
    const double x = random.Uniform(0.3, 0.7);
    canvas.mat() +=
        0.25 * canvas.Curve({canvas.Pixel(x, 0.0), canvas.Pixel(x + 0.05, 0.3), canvas.Pixel(0.6, 0.55)}, 1, 0.002);
  }
}

void Collimate(Random& random, Canvas& canvas) {
  cv::Mat field(canvas.mat().size(), CV_32F, cv::Scalar(0.02));
  field(cv::Rect(canvas.Pixel(random.Uniform(0.01, 0.05), random.Uniform(0.01, 0.05)),
                 canvas.Pixel(random.Uniform(0.95, 0.99), random.Uniform(0.95, 0.99)))) = 1;
  canvas.mat() = canvas.mat().mul(field);
}

}  // namespace

Anatomy DrawAnatomy(Random& random) {
  Anatomy anatomy;
  anatomy.width = random.Uniform(0.88, 1.1);
  anatomy.lung_tone = random.Uniform(-0.04, 0.06);
  anatomy.heart = random.Uniform(0.85, 1.15);
  anatomy.tilt_deg = random.Uniform(-3, 3);
  anatomy.shift_x = random.Uniform(-0.03, 0.03);
  anatomy.shift_y = random.Uniform(-0.03, 0.03);
  anatomy.density = random.Uniform(0.9, 1.12);
  anatomy.ribs = random.Integer(8, 10);
  return anatomy;
}

Film DrawFilm(const Hospital& hospital, const Anatomy& anatomy, bool positive, bool anteroposterior, Random& random) {
  Canvas canvas(hospital.rows, hospital.columns);
  const double heart = anatomy.heart * (anteroposterior ? 1.18 : 1.0);

  canvas.mat() += 0.56 * anatomy.density * canvas.Ellipse(0.5, 0.62, 0.46 * anatomy.width, 0.62, 0, 0.02);
  cv::Mat lungs(canvas.mat().size(), CV_32F, cv::Scalar(0));
  for (const Lung& lung : Lungs(anatomy)) {
    lungs += canvas.Ellipse(lung.x, lung.y, lung.radius_x, lung.radius_y, lung.angle_deg, 0.018);
  }
  canvas.mat() -= (0.37 - anatomy.lung_tone) * lungs;
  canvas.mat() += 0.17 * canvas.Ellipse(0.5, 0.5, 0.055, 0.6, 0, 0.012);                      // spine
  canvas.mat() += 0.17 * canvas.Ellipse(0.545, 0.60, 0.13 * heart, 0.14 * heart, 35, 0.014);  // heart
  canvas.mat() += 0.14 * canvas.Ellipse(0.53, 0.34, 0.05, 0.07, 0, 0.014);                    // aortic arch
  canvas.mat() += 0.26 * canvas.Ellipse(0.5 - 0.2 * anatomy.width, 0.90, 0.2 * anatomy.width, 0.15, 0, 0.012);
  canvas.mat() += 0.22 * canvas.Ellipse(0.5 + 0.2 * anatomy.width, 0.93, 0.2 * anatomy.width, 0.15, 0, 0.012);
  AddRibs(anatomy, lungs, canvas);
  AddVessels(anatomy, random, canvas);
  AddDistractions(anatomy, random, canvas);
  canvas.mat() += 0.022 * LowFrequencyTexture(canvas.mat().size(), 9, random).mul(lungs);

  Film film;
  if (positive) {
    film.opacities = AddOpacities(anatomy, lungs, random, canvas);
  }

  cv::Mat turn = cv::getRotationMatrix2D(
      cv::Point2f(static_cast<float>(hospital.columns) / 2, static_cast<float>(hospital.rows) / 2),
      anatomy.tilt_deg + random.Uniform(-1.5, 1.5), random.Uniform(0.95, 1.05));
  turn.at<double>(0, 2) += (anatomy.shift_x + random.Uniform(-0.02, 0.02)) * hospital.columns;
  turn.at<double>(1, 2) += (anatomy.shift_y + random.Uniform(-0.02, 0.02)) * hospital.rows;
  cv::warpAffine(canvas.mat(), film.grey, turn, canvas.mat().size(), cv::INTER_LINEAR, cv::BORDER_REPLICATE);
  for (Opacity& opacity : film.opacities) {  // where the film shows it
    const double x = opacity.x * hospital.columns;
    const double y = opacity.y * hospital.rows;
    opacity.x = (turn.at<double>(0, 0) * x + turn.at<double>(0, 1) * y + turn.at<double>(0, 2)) / hospital.columns;
    opacity.y = (turn.at<double>(1, 0) * x + turn.at<double>(1, 1) * y + turn.at<double>(1, 2)) / hospital.rows;
  }

  cv::max(film.grey, 0, film.grey);
  cv::min(film.grey, 1, film.grey);
  cv::pow(film.grey, hospital.gamma, film.grey);
  cv::GaussianBlur(film.grey, film.grey, cv::Size(0, 0), hospital.blur_pixels);
  const double exposure = random.Uniform(0.92, 1.08);
  for (float& value : cv::Mat_<float>(film.grey)) {  // less light, more noise
    const double noise = hospital.noise * (0.6 + 0.8 * value) * random.Normal();
    value = static_cast<float>(std::clamp(value * exposure + noise, 0.0, 1.0));
  }
  if (hospital.collimated) {
    Canvas collimated(hospital.rows, hospital.columns);
    collimated.mat() = film.grey;
    Collimate(random, collimated);
    film.grey = collimated.mat();
  }
  return film;
}

std::vector<uint16_t> Digitise(const Hospital& hospital, const cv::Mat& grey) {
  const double maximum = (1 << hospital.bits_stored) - 1;
  const double low = maximum * (1 - hospital.exposure) / 2;
  std::vector<uint16_t> values;
  values.reserve(grey.total());
  for (const float value : cv::Mat_<float>(grey)) {
    const double stored = low + value * hospital.exposure * maximum;
    values.push_back(static_cast<uint16_t>(std::lround(hospital.monochrome1 ? maximum - stored : stored)));
  }
  return values;
}

}  // namespace cloister::phantoms
