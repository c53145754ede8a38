// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/recalibration.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "eval/stats/normal.h"

namespace cloister::eval {
namespace {

double Logit(double score) {
  constexpr double kLeast = 1e-15;
  const double clipped = std::clamp(score, kLeast, 1 - kLeast);
  return std::log(clipped) - std::log1p(-clipped);
}

// A symmetric 2 x 2 matrix; with `fixed` slope only its first entry counts.
struct Matrix {
  double aa = 0;
  double ab = 0;
  double bb = 0;
};

Matrix Inverse(const Matrix& m, bool fixed) {
  if (fixed) {
    return {1 / m.aa, 0, 0};
  }
  const double determinant = m.aa * m.bb - m.ab * m.ab;
  return {m.bb / determinant, -m.ab / determinant, m.aa / determinant};
}

struct Row {
  uint32_t patient;
  double x;  // logit of the score
  double y;
};

struct Fit {
  double a = 0;
  double b = 1;
  Matrix covariance;
};

// One pass: the score vector and the information at (a, b).
struct Pass {
  double ga = 0;
  double gb = 0;
  double log_likelihood = 0;
  Matrix information;
};

Pass At(const std::vector<Row>& rows, double a, double b) {
  Pass pass;
  for (const Row& row : rows) {
    const double eta = a + b * row.x;
    const double p = 1 / (1 + std::exp(-eta));
    const double w = p * (1 - p);
    pass.ga += row.y - p;
    pass.gb += (row.y - p) * row.x;
    pass.information.aa += w;
    pass.information.ab += w * row.x;
    pass.information.bb += w * row.x * row.x;
    pass.log_likelihood -= std::log1p(std::exp(-std::abs(eta))) + std::max(0.0, row.y > 0 ? -eta : eta);
  }
  return pass;
}

// Sums of squares of what each patient adds to the score vector. Rows are in order of patients.
Matrix Clustered(const std::vector<Row>& rows, double a, double b, int parameters) {
  Matrix meat;
  double groups = 0;
  for (size_t i = 0; i < rows.size();) {
    double ga = 0;
    double gb = 0;
    size_t end = i;
    for (; end < rows.size() && rows[end].patient == rows[i].patient; ++end) {
      const double rest = rows[end].y - 1 / (1 + std::exp(-(a + b * rows[end].x)));
      ga += rest;
      gb += rest * rows[end].x;
    }
    meat.aa += ga * ga;
    meat.ab += ga * gb;
    meat.bb += gb * gb;
    groups += 1;
    i = end;
  }
  const double n = static_cast<double>(rows.size());
  const double correction = groups / (groups - 1) * (n - 1) / (n - parameters);
  return {correction * meat.aa, correction * meat.ab, correction * meat.bb};
}

Matrix Sandwich(const Matrix& bread, const Matrix& meat) {
  const double aa = bread.aa * meat.aa + bread.ab * meat.ab;
  const double ab = bread.aa * meat.ab + bread.ab * meat.bb;
  const double ba = bread.ab * meat.aa + bread.bb * meat.ab;
  const double bb = bread.ab * meat.ab + bread.bb * meat.bb;
  return {aa * bread.aa + ab * bread.ab, aa * bread.ab + ab * bread.bb, ba * bread.ab + bb * bread.bb};
}

// Newton's steps, halved while they make the likelihood worse; the likelihood is concave.
Fit Solve(const std::vector<Row>& rows, bool fixed_slope, bool clustered) {
  Fit fit;
  Pass pass = At(rows, fit.a, fit.b);
  for (int i = 0; i < 100; ++i) {
    const Matrix inverse = Inverse(pass.information, fixed_slope);
    double da = inverse.aa * pass.ga + inverse.ab * pass.gb;
    double db = fixed_slope ? 0 : inverse.ab * pass.ga + inverse.bb * pass.gb;
    Pass next = At(rows, fit.a + da, fit.b + db);
    // Less than its own rounding is not worse: near the top a step changes the parameters and not the likelihood.
    const double worse = pass.log_likelihood - 1e-12 * std::abs(pass.log_likelihood);
    for (int halvings = 0; !(next.log_likelihood >= worse) && halvings < 60; ++halvings) {
      da *= 0.5;
      db *= 0.5;
      next = At(rows, fit.a + da, fit.b + db);
    }
    fit.a += da;
    fit.b += db;
    pass = next;
    if (std::abs(da) + std::abs(db) < 1e-14 * (1 + std::abs(fit.a) + std::abs(fit.b))) {
      break;
    }
  }
  fit.covariance = Inverse(pass.information, fixed_slope);
  if (clustered) {
    fit.covariance = Sandwich(fit.covariance, Clustered(rows, fit.a, fit.b, fixed_slope ? 1 : 2));
  }
  return fit;
}

bool Separated(const std::vector<Row>& rows) {
  double lowest[2] = {INFINITY, INFINITY};
  double highest[2] = {-INFINITY, -INFINITY};
  for (const Row& row : rows) {
    const int label = row.y > 0 ? 1 : 0;
    lowest[label] = std::min(lowest[label], row.x);
    highest[label] = std::max(highest[label], row.x);
  }
  return highest[0] <= lowest[1] || highest[1] <= lowest[0];
}

}  // namespace

Estimable<Recalibration> Recalibrate(CaseSpan cases, double level) {
  if (cases.empty()) {
    return Reason::kNoCases;
  }
  std::vector<Row> rows;
  rows.reserve(cases.size());
  uint64_t positives = 0;
  for (const Case& one : cases) {
    rows.push_back({one.patient, Logit(one.score), one.label ? 1.0 : 0.0});
    positives += one.label ? 1 : 0;
  }
  if (positives == 0 || positives == cases.size()) {
    return Reason::kOneClass;
  }
  // In order of patients, and of scores within, so that the order of cases changes no rounding.
  std::sort(rows.begin(), rows.end(), [](const Row& one, const Row& other) {
    return std::tie(one.patient, one.x, one.y) < std::tie(other.patient, other.x, other.y);
  });
  const auto [least, most] =
      std::minmax_element(rows.begin(), rows.end(), [](const Row& one, const Row& other) { return one.x < other.x; });
  if (least->x == most->x) {
    return Reason::kNoVariation;
  }
  if (Separated(rows)) {
    return Reason::kSeparated;
  }
  const uint64_t patients = CountPatients(cases);
  const bool clustered = patients != cases.size();
  const Fit both = Solve(rows, false, clustered);
  const Fit offset = Solve(rows, true, clustered);
  auto around = [&](double value, double variance) {
    const double half = TwoSidedQuantile(level) * std::sqrt(variance);
    return Estimate{value, value - half, value + half, level, patients, clustered ? "logistic_clustered" : "logistic"};
  };
  return Recalibration{around(both.b, both.covariance.bb), around(offset.a, offset.covariance.aa)};
}

}  // namespace cloister::eval
