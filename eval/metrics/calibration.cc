// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/calibration.h"

#include <algorithm>
#include <cmath>

namespace cloister::eval {
namespace {

void Put(const Case& one, CalibrationBin& bin) {
  ++bin.n;
  bin.positives += one.label ? 1 : 0;
  bin.mean_score += one.score;  // a sum until FinishMeans
}

void FinishMeans(std::vector<CalibrationBin>& bins) {
  for (CalibrationBin& bin : bins) {
    bin.mean_score = bin.n == 0 ? 0 : bin.mean_score / static_cast<double>(bin.n);
  }
}

}  // namespace

Estimable<double> Brier(CaseSpan cases) {
  if (cases.empty()) {
    return Reason::kNoCases;
  }
  double sum = 0;
  for (const Case& one : cases) {
    const double error = one.score - (one.label ? 1 : 0);
    sum += error * error;
  }
  return sum / static_cast<double>(cases.size());
}

Estimable<double> LogLoss(CaseSpan cases) {
  if (cases.empty()) {
    return Reason::kNoCases;
  }
  constexpr double kLeast = 1e-15;
  double sum = 0;
  for (const Case& one : cases) {
    const double score = std::clamp(one.score, kLeast, 1 - kLeast);
    sum -= one.label ? std::log(score) : std::log1p(-score);
  }
  return sum / static_cast<double>(cases.size());
}

std::vector<CalibrationBin> EqualWidthBins(CaseSpan cases, int bins) {
  std::vector<CalibrationBin> result(static_cast<size_t>(bins));
  for (const Case& one : cases) {
    Put(one, result[std::min(static_cast<size_t>(one.score * bins), result.size() - 1)]);
  }
  FinishMeans(result);
  return result;
}

std::vector<CalibrationBin> EqualMassBins(CaseSpan cases, int bins) {
  Cases sorted(cases.begin(), cases.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const Case& a, const Case& b) { return a.score < b.score; });
  std::vector<CalibrationBin> result;
  size_t next = 0;
  for (int bin = 1; bin <= bins && next < sorted.size(); ++bin) {
    size_t end = sorted.size() * static_cast<size_t>(bin) / static_cast<size_t>(bins);
    if (end <= next) {
      continue;
    }
    while (end < sorted.size() && sorted[end].score == sorted[end - 1].score) {
      ++end;
    }
    result.emplace_back();
    for (; next < end; ++next) {
      Put(sorted[next], result.back());
    }
  }
  FinishMeans(result);
  return result;
}

Estimable<double> ExpectedCalibrationError(const std::vector<CalibrationBin>& bins) {
  double total = 0;
  double sum = 0;
  for (const CalibrationBin& bin : bins) {
    total += static_cast<double>(bin.n);
    sum += static_cast<double>(bin.n) * std::abs(bin.observed() - bin.mean_score);
  }
  if (total == 0) {
    return Reason::kNoCases;
  }
  return sum / total;
}

}  // namespace cloister::eval
