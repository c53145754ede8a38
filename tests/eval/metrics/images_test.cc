// SPDX-License-Identifier: Apache-2.0
// Masks and findings against hand-worked values and brute force.

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "eval/metrics/detection.h"
#include "eval/metrics/segmentation.h"

namespace cloister::eval {
namespace {

Mask Empty(uint32_t x, uint32_t y, uint32_t z, std::array<double, 3> spacing = {1, 1, 1}) {
  return {{x, y, z}, spacing, std::vector<uint8_t>(x * y * z)};
}

void Fill(Mask& mask, std::array<uint32_t, 3> from, std::array<uint32_t, 3> to) {
  for (uint32_t z = from[2]; z < to[2]; ++z) {
    for (uint32_t y = from[1]; y < to[1]; ++y) {
      for (uint32_t x = from[0]; x < to[0]; ++x) {
        mask.voxels[(z * mask.size[1] + y) * mask.size[0] + x] = 1;
      }
    }
  }
}

TEST(SegmentationTest, AShiftedSquareByHand) {
  // 4 x 4 against the same two pixels to the right, 0.5 mm wide: 8 of 16 in both. Every pixel of the left columns is
  // 1 mm from the other's edge or nearer.
  Mask reference = Empty(10, 6, 1, {0.5, 2, 1});
  Mask predicted = reference;
  Fill(reference, {1, 1, 0}, {5, 5, 1});
  Fill(predicted, {3, 1, 0}, {7, 5, 1});
  const Overlap overlap = *CompareMasks(reference, predicted, 0.5);
  EXPECT_DOUBLE_EQ(overlap.dice, 0.5);
  EXPECT_DOUBLE_EQ(overlap.hd95_mm, 1);
  // Each ring of 12 pixels: its far column (4) is 1 mm away, the next column's two 0.5; of the near column the ends are
  // on the other's ring and the middle two 0.5 mm from it (the ring's nearest pixel is beside them); the rest lie on
  // it.
  EXPECT_DOUBLE_EQ(overlap.surface_dice, 16.0 / 24);
}

TEST(SegmentationTest, EmptyMasksFollowTheStatedPolicy) {
  const Mask empty = Empty(4, 5, 3, {1, 1, 2});
  Mask full = empty;
  Fill(full, {1, 1, 1}, {2, 2, 2});
  const Overlap both = *CompareMasks(empty, empty, 1);
  EXPECT_EQ(both.dice, 1);
  EXPECT_EQ(both.hd95_mm, 0);
  EXPECT_EQ(both.surface_dice, 1);
  for (const Overlap& one : {*CompareMasks(full, empty, 1), *CompareMasks(empty, full, 1)}) {
    EXPECT_EQ(one.dice, 0);
    EXPECT_EQ(one.surface_dice, 0);
    EXPECT_DOUBLE_EQ(one.hd95_mm, std::sqrt(9 + 16 + 16));
  }
  EXPECT_FALSE(CompareMasks(full, Empty(4, 5, 2, {1, 1, 2}), 1).ok());
  EXPECT_FALSE(CompareMasks(full, Empty(4, 5, 3), 1).ok());
}

TEST(SegmentationTest, DistancesAreThoseOfBruteForce) {
  std::mt19937_64 random(6);
  for (int round = 0; round < 30; ++round) {
    Mask seeds = Empty(1 + random() % 9, 1 + random() % 7, 1 + random() % 5,
                       {0.3 + static_cast<double>(random() % 10), 0.7, 2.5});
    for (uint8_t& voxel : seeds.voxels) {
      voxel = random() % 12 == 0;
    }
    const std::vector<double> distances = SquaredDistances(seeds);
    for (size_t i = 0; i < seeds.voxels.size(); ++i) {
      double nearest = INFINITY;
      for (size_t j = 0; j < seeds.voxels.size(); ++j) {
        if (seeds.voxels[j] != 0) {
          auto along = [&](size_t axis, size_t step) {
            const double apart =
                static_cast<double>(i / step % seeds.size[axis]) - static_cast<double>(j / step % seeds.size[axis]);
            return apart * seeds.spacing_mm[axis];
          };
          const double x = along(0, 1);
          const double y = along(1, seeds.size[0]);
          const double z = along(2, size_t{seeds.size[0]} * seeds.size[1]);
          nearest = std::min(nearest, x * x + y * y + z * z);
        }
      }
      if (std::isinf(nearest)) {
        EXPECT_TRUE(std::isinf(distances[i]));
      } else {
        EXPECT_NEAR(distances[i], nearest, 1e-9);
      }
    }
  }
}

TEST(DetectionTest, CountsByLunasRules) {
  // Scan 0: a nodule at 0 of radius 3 with two candidates on it (the better one counts, the other is ignored), one
  // false alarm. Scan 1: two nodules, one found; a false alarm with the highest score. Scan 2: nothing but a false
  // alarm.
  const std::vector<Scan> scans = {{{{{0, 0, 0}, 3}}, {{{0, 0, 2.9}, 0.6}, {{0, 1, 0}, 0.9}, {{0, 0, 3.1}, 0.5}}},
                                   {{{{10, 0, 0}, 2}, {{50, 0, 0}, 2}}, {{{10, 2, 0}, 0.7}, {{30, 0, 0}, 0.95}}},
                                   {{}, {{{1, 1, 1}, 0.7}}}};
  const Froc froc(scans);
  const std::vector<Weight> once = {1, 1, 1};
  const std::vector<Froc::Point> points = froc.Points(once);
  ASSERT_EQ(points.size(), 5u);  // infinity, 0.95, 0.9, 0.7, 0.5
  EXPECT_DOUBLE_EQ(points[1].false_alarms_per_scan, 1.0 / 3);
  EXPECT_DOUBLE_EQ(points[1].sensitivity, 0);
  EXPECT_DOUBLE_EQ(points[2].sensitivity, 1.0 / 3);
  EXPECT_DOUBLE_EQ(points[3].sensitivity, 2.0 / 3);
  EXPECT_DOUBLE_EQ(points[3].false_alarms_per_scan, 2.0 / 3);
  EXPECT_DOUBLE_EQ(points[4].false_alarms_per_scan, 1);
  EXPECT_DOUBLE_EQ(*froc.SensitivityAt(0.5, once), 0.5);  // halfway between the points at 1/3 and 2/3
  // 1/8 and 1/4: between nothing and 1/3 with 0 found. 1/2: 0.5. From 1 on: 2/3.
  EXPECT_NEAR(*froc.Cpm(once), (0 + 0 + 0.5 + 4 * 2.0 / 3) / 7, 1e-15);
  EXPECT_EQ(froc.Cpm({0, 0, 2}).reason(), Reason::kNoPositives);
  EXPECT_EQ(Froc({}).Cpm({}).reason(), Reason::kNoCases);
}

TEST(DetectionTest, AWeightIsThatManyScans) {
  std::mt19937_64 random(3);
  std::vector<Scan> scans(6);
  std::vector<Scan> copies;
  std::vector<Weight> weights;
  for (Scan& scan : scans) {
    for (uint64_t i = random() % 3; i > 0; --i) {
      scan.findings.push_back({{static_cast<double>(random() % 20), 0, 0}, 2});
    }
    for (uint64_t i = random() % 8; i > 0; --i) {
      scan.candidates.push_back({{static_cast<double>(random() % 20), 0, 0}, static_cast<double>(random() % 5)});
    }
    weights.push_back(static_cast<Weight>(random() % 3));
    copies.insert(copies.end(), weights.back(), scan);
  }
  EXPECT_NEAR(*Froc(scans).Cpm(weights), *Froc(copies).Cpm(std::vector<Weight>(copies.size(), 1)), 1e-14);
}

}  // namespace
}  // namespace cloister::eval
