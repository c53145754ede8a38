// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/detection.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace cloister::eval {
namespace {

bool Hits(const Candidate& candidate, const Finding& finding) {
  double squared = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const double apart = candidate.centre_mm[axis] - finding.centre_mm[axis];
    squared += apart * apart;
  }
  return squared <= finding.radius_mm * finding.radius_mm;
}

double At(const std::vector<Froc::Point>& points, double rate) {
  // The last point at or below the rate: among points of one rate that with the highest sensitivity.
  const auto above = std::partition_point(
      points.begin(), points.end(), [&](const Froc::Point& point) { return point.false_alarms_per_scan <= rate; });
  if (above == points.begin() || above == points.end()) {
    return above == points.begin() ? 0 : points.back().sensitivity;
  }
  const Froc::Point& below = *(above - 1);
  const double share =
      (rate - below.false_alarms_per_scan) / (above->false_alarms_per_scan - below.false_alarms_per_scan);
  return below.sensitivity + share * (above->sensitivity - below.sensitivity);
}

}  // namespace

Froc::Froc(const std::vector<Scan>& scans) {
  for (uint32_t scan = 0; scan < scans.size(); ++scan) {
    const Scan& one = scans[scan];
    findings_.push_back(static_cast<uint32_t>(one.findings.size()));
    std::vector<bool> on_a_nodule(one.candidates.size());
    for (const Finding& finding : one.findings) {
      std::optional<double> best;
      for (size_t i = 0; i < one.candidates.size(); ++i) {
        if (Hits(one.candidates[i], finding)) {
          on_a_nodule[i] = true;
          best = std::max(best.value_or(one.candidates[i].score), one.candidates[i].score);
        }
      }
      if (best) {
        events_.push_back({*best, scan, 1, 0});
      }
    }
    for (size_t i = 0; i < one.candidates.size(); ++i) {
      if (!on_a_nodule[i]) {
        events_.push_back({one.candidates[i].score, scan, 0, 1});
      }
    }
  }
  std::sort(events_.begin(), events_.end(), [](const Event& a, const Event& b) { return a.score > b.score; });
}

std::vector<Froc::Point> Froc::Points(Weights weights) const {
  uint64_t scans = 0;
  uint64_t findings = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    scans += weights[i];
    findings += uint64_t{weights[i]} * findings_[i];
  }
  if (scans == 0 || findings == 0) {
    return {};
  }
  std::vector<Point> points = {{INFINITY, 0, 0}};
  uint64_t hits = 0;
  uint64_t alarms = 0;
  for (size_t i = 0; i < events_.size(); ++i) {
    hits += uint64_t{weights[events_[i].scan]} * events_[i].hits;
    alarms += uint64_t{weights[events_[i].scan]} * events_[i].alarms;
    if (i + 1 == events_.size() || events_[i + 1].score != events_[i].score) {
      points.push_back({events_[i].score, static_cast<double>(alarms) / static_cast<double>(scans),
                        static_cast<double>(hits) / static_cast<double>(findings)});
    }
  }
  return points;
}

Estimable<double> Froc::SensitivityAt(double rate, Weights weights) const {
  const std::vector<Point> points = Points(weights);
  if (points.empty()) {
    return weights.empty() ? Reason::kNoCases : Reason::kNoPositives;
  }
  return At(points, rate);
}

Estimable<double> Froc::Cpm(Weights weights) const {
  const std::vector<Point> points = Points(weights);
  if (points.empty()) {
    return weights.empty() ? Reason::kNoCases : Reason::kNoPositives;
  }
  double sum = 0;
  for (double rate : kCpmRates) {
    sum += At(points, rate);
  }
  return sum / static_cast<double>(kCpmRates.size());
}

}  // namespace cloister::eval
