// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/agreement.h"

#include <algorithm>
#include <cmath>

#include "eval/stats/normal.h"
#include "eval/stats/student.h"

namespace cloister::eval {
namespace {

struct KappaParts {
  double kappa = 0;
  double variance = 0;
  uint64_t n = 0;
};

double WeightOf(size_t i, size_t j, size_t categories, KappaWeights weights) {
  const double apart =
      std::abs(static_cast<double>(i) - static_cast<double>(j)) / std::max(1.0, static_cast<double>(categories - 1));
  return weights == KappaWeights::kNone     ? (i == j ? 1 : 0)
         : weights == KappaWeights::kLinear ? 1 - apart
                                            : 1 - apart * apart;
}

Estimable<KappaParts> ComputeKappa(const CategoryCounts& counts, KappaWeights weights) {
  const size_t k = counts.size();
  std::vector<double> row(k);
  std::vector<double> column(k);
  KappaParts parts;
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < k; ++j) {
      parts.n += counts[i][j];
      row[i] += static_cast<double>(counts[i][j]);
      column[j] += static_cast<double>(counts[i][j]);
    }
  }
  if (parts.n == 0) {
    return Reason::kNoCases;
  }
  const double n = static_cast<double>(parts.n);
  double observed = 0;
  double expected = 0;
  std::vector<double> row_weight(k);
  std::vector<double> column_weight(k);
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < k; ++j) {
      const double weight = WeightOf(i, j, k, weights);
      observed += weight * static_cast<double>(counts[i][j]) / n;
      expected += weight * (row[i] / n) * (column[j] / n);
      row_weight[i] += weight * column[j] / n;
      column_weight[j] += weight * row[i] / n;
    }
  }
  if (1 - expected < 1e-12) {
    return Reason::kNoVariation;
  }
  parts.kappa = (observed - expected) / (1 - expected);
  double sum = 0;
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = 0; j < k; ++j) {
      const double weight = WeightOf(i, j, k, weights);
      const double term = weight * (1 - expected) - (row_weight[i] + column_weight[j]) * (1 - observed);
      sum += static_cast<double>(counts[i][j]) / n * term * term;
    }
  }
  const double centre = observed * expected - 2 * expected + observed;
  parts.variance = std::max(0.0, (sum - centre * centre) / (n * std::pow(1 - expected, 4)));
  return parts;
}

double Mean(absl::Span<const double> values) {
  double sum = 0;
  for (double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

// Sum of (a - mean a) (b - mean b).
double Products(absl::Span<const double> a, absl::Span<const double> b) {
  const double mean_a = Mean(a);
  const double mean_b = Mean(b);
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += (a[i] - mean_a) * (b[i] - mean_b);
  }
  return sum;
}

Estimate Around(double value, double half, double level, uint64_t n, const char* method) {
  return Estimate{value, value - half, value + half, level, n, method};
}

Estimable<Estimate> SlopeOf(absl::Span<const double> y, absl::Span<const double> x, double level) {
  const double xx = Products(x, x);
  if (!(xx > 0)) {
    return Reason::kNoVariation;
  }
  const double slope = Products(x, y) / xx;
  const double df = static_cast<double>(x.size()) - 2;
  const double residual = std::max(0.0, Products(y, y) - slope * Products(x, y));
  const double half = TwoSidedStudentQuantile(level, df) * std::sqrt(residual / df / xx);
  return Around(slope, half, level, x.size(), "student");
}

}  // namespace

Estimable<double> Kappa(const CategoryCounts& counts, KappaWeights weights) {
  const Estimable<KappaParts> parts = ComputeKappa(counts, weights);
  return parts.ok() ? Estimable<double>(parts->kappa) : parts.reason();
}

Estimable<Estimate> KappaInterval(const CategoryCounts& counts, KappaWeights weights, double level) {
  const Estimable<KappaParts> parts = ComputeKappa(counts, weights);
  if (!parts.ok()) {
    return parts.reason();
  }
  const double half = TwoSidedQuantile(level) * std::sqrt(parts->variance);
  return Estimate{
      parts->kappa,  std::max(-1.0, parts->kappa - half), std::min(1.0, parts->kappa + half), level, parts->n,
      "kappa_normal"};
}

Estimable<Estimate> IntraclassCorrelation(const std::vector<std::vector<double>>& readings, double level) {
  if (readings.empty()) {
    return Reason::kNoCases;
  }
  const size_t readers = readings.front().size();
  if (readings.size() < 2 || readers < 2) {
    return Reason::kTooFewPatients;
  }
  const double n = static_cast<double>(readings.size());
  const double k = static_cast<double>(readers);
  double grand = 0;
  std::vector<double> reader_mean(readers);
  for (const std::vector<double>& row : readings) {
    for (size_t j = 0; j < readers; ++j) {
      grand += row[j] / (n * k);
      reader_mean[j] += row[j] / n;
    }
  }
  double between_subjects = 0;
  double between_readers = 0;
  double within = 0;
  for (const std::vector<double>& row : readings) {
    const double mean = Mean(row);
    between_subjects += k * (mean - grand) * (mean - grand);
    for (size_t j = 0; j < readers; ++j) {
      const double rest = row[j] - mean - reader_mean[j] + grand;
      within += rest * rest;
    }
  }
  for (double mean : reader_mean) {
    between_readers += n * (mean - grand) * (mean - grand);
  }
  const double subjects = between_subjects / (n - 1);
  const double columns = between_readers / (k - 1);
  const double error = within / ((n - 1) * (k - 1));
  const double all = subjects + (k - 1) * error + k * (columns - error) / n;
  if (!(all > 0)) {
    return Reason::kNoVariation;
  }
  const double icc = (subjects - error) / all;
  if (!(error > 0) && !(columns > 0)) {  // every reading alike: the interval's formula is 0 / 0
    return Estimate{icc, icc, icc, level, readings.size(), "icc_f"};
  }
  // Satterthwaite's degrees of freedom of the mean square that the F test divides by.
  const double a = k * icc / (n * (1 - icc));
  const double b = 1 + k * icc * (n - 1) / (n * (1 - icc));
  const double mixed = a * columns + b * error;
  const double df = mixed * mixed / (a * columns * a * columns / (k - 1) + b * error * b * error / ((n - 1) * (k - 1)));
  const double tail = 0.5 * (1 - level);
  const double f_lower = FisherQuantile(1 - tail, n - 1, df);
  const double f_upper = FisherQuantile(1 - tail, df, n - 1);
  const double rest = k * columns + (k * n - k - n) * error;
  return Estimate{icc,
                  n * (subjects - f_lower * error) / (f_lower * rest + n * subjects),
                  n * (f_upper * subjects - error) / (rest + n * f_upper * subjects),
                  level,
                  readings.size(),
                  "icc_f"};
}

Estimable<LimitsOfAgreement> BlandAltman(absl::Span<const double> first, absl::Span<const double> second,
                                         double level) {
  if (first.empty()) {
    return Reason::kNoCases;
  }
  if (first.size() < 3) {
    return Reason::kTooFewPatients;
  }
  std::vector<double> differences;
  std::vector<double> means;
  for (size_t i = 0; i < first.size(); ++i) {
    differences.push_back(first[i] - second[i]);
    means.push_back(0.5 * (first[i] + second[i]));
  }
  const double n = static_cast<double>(first.size());
  const double bias = Mean(differences);
  const double deviation = std::sqrt(Products(differences, differences) / (n - 1));
  const double t = TwoSidedStudentQuantile(level, n - 1);
  const double z = TwoSidedQuantile(0.95);
  const double half = t * deviation / std::sqrt(n);
  const double limit_half = t * deviation * std::sqrt(1 / n + z * z / (2 * (n - 1)));
  LimitsOfAgreement result;
  result.bias = Around(bias, half, level, first.size(), "student");
  result.lower = Around(bias - z * deviation, limit_half, level, first.size(), "bland_altman");
  result.upper = Around(bias + z * deviation, limit_half, level, first.size(), "bland_altman");
  result.slope = SlopeOf(differences, means, level);
  return result;
}

}  // namespace cloister::eval
