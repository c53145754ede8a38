#pragma once
// SPDX-License-Identifier: Apache-2.0
// A chest film that never was: body, lungs, ribs, heart, vessels, and on a positive one opacities whose places are
// known. Plausible to a small network, not to a radiologist.

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

#include "deploy/phantoms/hospital.h"
#include "deploy/phantoms/random.h"

namespace cloister::phantoms {

struct Opacity {
  double x = 0;         // of the width
  double y = 0;         // of the height
  double radius = 0;    // of the width
  double contrast = 0;  // of the value range
};

struct Film {
  cv::Mat grey;  // float32 [rows, columns], 0 black to 1 white
  std::vector<Opacity> opacities;
};

// The anatomy of one patient: the same in all of their films.
struct Anatomy {
  double width = 1;      // of the chest
  double lung_tone = 0;  // added to the lungs
  double heart = 1;      // size
  double tilt_deg = 0;
  double shift_x = 0;
  double shift_y = 0;
  double density = 1;  // of soft tissue
  int ribs = 9;
};
Anatomy DrawAnatomy(Random& random);

Film DrawFilm(const Hospital& hospital, const Anatomy& anatomy, bool positive, bool anteroposterior, Random& random);

// Stored values as the hospital's detector writes them.
std::vector<uint16_t> Digitise(const Hospital& hospital, const cv::Mat& grey);

}  // namespace cloister::phantoms
