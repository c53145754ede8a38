#pragma once
// SPDX-License-Identifier: Apache-2.0
// Findings marked in scans: the FROC curve and the competition performance metric by LUNA16's rules (Setio et al.
// 2017). A candidate hits a nodule if its centre lies within the nodule's radius. Of several candidates on a nodule the
// one with the highest score counts and the others are neither hits nor false alarms. A candidate on several nodules
// hits all.

#include <array>
#include <vector>

#include "eval/metrics/estimate.h"
#include "eval/metrics/weighted.h"

namespace cloister::eval {

struct Finding {
  std::array<double, 3> centre_mm = {0, 0, 0};
  double radius_mm = 0;
};

struct Candidate {
  std::array<double, 3> centre_mm = {0, 0, 0};
  double score = 0;
};

struct Scan {
  std::vector<Finding> findings;
  std::vector<Candidate> candidates;
};

inline constexpr std::array<double, 7> kCpmRates = {0.125, 0.25, 0.5, 1, 2, 4, 8};  // false alarms a scan

// What happens as the threshold falls. Immutable; safe from several threads.
class Froc {
 public:
  explicit Froc(const std::vector<Scan>& scans);

  struct Point {
    double threshold = 0;
    double false_alarms_per_scan = 0;
    double sensitivity = 0;
  };
  // With each scan taken `weights[scan]` times. Empty: no scan, or no finding in any.
  std::vector<Point> Points(Weights weights) const;

  // Sensitivity at `rate` false alarms a scan, linear between points; the last point's beyond them. kNoCases: no scan;
  // kNoPositives: no finding.
  Estimable<double> SensitivityAt(double rate, Weights weights) const;
  // Its mean over kCpmRates.
  Estimable<double> Cpm(Weights weights) const;

 private:
  struct Event {
    double score;
    uint32_t scan;
    uint32_t hits;  // nodules found by it
    uint32_t alarms;
  };
  std::vector<Event> events_;       // by falling score
  std::vector<uint32_t> findings_;  // of each scan
};

}  // namespace cloister::eval
