// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "eval/stats/normal.h"

namespace cloister::eval {
namespace {

using Positions = std::vector<uint32_t>;
using Stratum = std::vector<Positions>;  // the positions of each of its patients

std::vector<Stratum> Strata(CaseSpan cases) {
  std::map<uint32_t, Positions> patients;
  for (size_t i = 0; i < cases.size(); ++i) {
    patients[cases[i].patient].push_back(static_cast<uint32_t>(i));
  }
  std::vector<Stratum> strata(3);  // negative only, positive only, both
  for (auto& [patient, positions] : patients) {
    size_t positives = 0;
    for (uint32_t position : positions) {
      positives += cases[position].label ? 1 : 0;
    }
    strata[positives == 0 ? 0 : positives == positions.size() ? 1 : 2].push_back(std::move(positions));
  }
  return strata;
}

// Uniform on [0, bound): Lemire's method. The library's distributions differ between implementations.
uint64_t Below(uint64_t bound, std::mt19937_64& random) {
  const uint64_t reject_below = (0 - bound) % bound;
  while (true) {
    const auto product = static_cast<unsigned __int128>(random()) * bound;
    if (static_cast<uint64_t>(product) >= reject_below) {
      return static_cast<uint64_t>(product >> 64);
    }
  }
}

void Draw(const std::vector<Stratum>& strata, std::mt19937_64& random, Positions& sample) {
  sample.clear();
  for (const Stratum& stratum : strata) {
    for (size_t i = 0; i < stratum.size(); ++i) {
      const Positions& patient = stratum[Below(stratum.size(), random)];
      sample.insert(sample.end(), patient.begin(), patient.end());
    }
  }
}

// Quantile of sorted values, linear between order statistics (type 7 of Hyndman and Fan, R's default).
double Quantile(const std::vector<double>& sorted, double p) {
  const double place = std::clamp(p, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// Davison and Hinkley's acceleration for several samples, from leaving out one patient at a time.
double Acceleration(const std::vector<Stratum>& strata, const Statistic& statistic, size_t cases) {
  double cubes = 0;
  double squares = 0;
  for (size_t left = 0; left < strata.size(); ++left) {
    const size_t size = strata[left].size();
    std::vector<double> values;
    for (size_t out = 0; out < size; ++out) {
      Positions rest;
      rest.reserve(cases);
      for (size_t s = 0; s < strata.size(); ++s) {
        for (size_t i = 0; i < strata[s].size(); ++i) {
          if (s != left || i != out) {
            rest.insert(rest.end(), strata[s][i].begin(), strata[s][i].end());
          }
        }
      }
      if (const Estimable<double> value = statistic(rest); value.ok()) {
        values.push_back(*value);
      }
    }
    double mean = 0;
    for (double value : values) {
      mean += value / static_cast<double>(values.size());
    }
    for (double value : values) {
      // The influence of a patient, (size - 1) * (mean - value), over the stratum's size.
      const double influence = (mean - value) * static_cast<double>(size - 1) / static_cast<double>(size);
      squares += influence * influence;
      cubes += influence * influence * influence;
    }
  }
  return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
}

}  // namespace

Estimable<Estimate> Bootstrap(CaseSpan cases, const Statistic& statistic, const BootstrapOptions& options) {
  const std::vector<Stratum> strata = Strata(cases);
  Positions sample;
  for (size_t i = 0; i < cases.size(); ++i) {
    sample.push_back(static_cast<uint32_t>(i));
  }
  const Estimable<double> observed = statistic(sample);
  if (!observed.ok()) {
    return observed.reason();
  }
  std::mt19937_64 random(options.seed);
  std::vector<double> values;
  values.reserve(static_cast<size_t>(options.replicates));
  for (int i = 0; i < options.replicates; ++i) {
    Draw(strata, random, sample);
    if (const Estimable<double> value = statistic(sample); value.ok()) {
      values.push_back(*value);
    }
  }
  if (values.empty() || 2 * values.size() < static_cast<size_t>(options.replicates)) {
    return Reason::kTooFewPatients;
  }
  std::sort(values.begin(), values.end());
  double low = 0.5 * (1 - options.level);
  double high = 1 - low;
  if (options.bca) {
    // Values equal to the observed one count half, as the statistics here are discrete.
    const auto [first, last] = std::equal_range(values.begin(), values.end(), *observed);
    const double below = static_cast<double>(first - values.begin()) + 0.5 * static_cast<double>(last - first);
    const double bias = NormalQuantile(std::clamp(below, 0.5, static_cast<double>(values.size()) - 0.5) /
                                       static_cast<double>(values.size()));
    const double acceleration = Acceleration(strata, statistic, cases.size());
    auto corrected = [&](double p) {
      const double shifted = bias + NormalQuantile(p);
      return NormalCdf(bias + shifted / (1 - acceleration * shifted));
    };
    low = corrected(low);
    high = corrected(high);
  }
  uint64_t patients = 0;
  for (const Stratum& stratum : strata) {
    patients += stratum.size();
  }
  // A percentile interval can miss its own estimate; it is widened to hold it.
  return Estimate{*observed,
                  std::min(Quantile(values, low), *observed),
                  std::max(Quantile(values, high), *observed),
                  options.level,
                  patients,
                  options.bca ? "bootstrap_bca" : "bootstrap_percentile"};
}

}  // namespace cloister::eval
