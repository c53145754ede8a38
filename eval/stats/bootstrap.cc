// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/bootstrap.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <optional>
#include <thread>

#include "eval/stats/normal.h"

namespace cloister::eval {
namespace {

// SplitMix64 (Steele, Lea and Flood 2014): a stream per replicate, so that any thread can draw any replicate.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t index) : state_(Mix(Mix(seed + kStep) ^ Mix(index + 0x632be59bd9b4e019))) {}

  // Uniform on [0, bound) by Lemire's method, bound in [1, 2^32). The library's distributions differ between
  // implementations.
  uint32_t Below(uint32_t bound) {
    uint64_t product = uint64_t{Bits()} * bound;
    if (static_cast<uint32_t>(product) < bound) {
      const uint32_t reject_below = (0 - bound) % bound;
      while (static_cast<uint32_t>(product) < reject_below) {
        product = uint64_t{Bits()} * bound;
      }
    }
    return static_cast<uint32_t>(product >> 32);
  }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
  static uint64_t Mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  uint32_t Bits() {
    state_ += kStep;
    return static_cast<uint32_t>(Mix(state_) >> 32);
  }

  uint64_t state_;
};

// Quantile of sorted values, linear between order statistics (type 7 of Hyndman and Fan, R's default).
double Quantile(const std::vector<double>& sorted, double p) {
  const double place = std::clamp(p, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// The statistic in each replicate, in the order of replicates; those without a value are left out.
std::vector<double> Replicates(const PatientSampler& sampler, const WeightedStatistic& statistic,
                               const BootstrapOptions& options) {
  std::vector<std::optional<double>> values(static_cast<size_t>(options.replicates));
  std::atomic<size_t> next{0};
  auto work = [&] {
    std::vector<Weight> weights(sampler.rows());
    for (size_t i = next++; i < values.size(); i = next++) {
      sampler.Draw(options.seed, i, absl::MakeSpan(weights));
      if (const Estimable<double> value = statistic(weights); value.ok()) {
        values[i] = *value;
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < options.threads; ++i) {
    others.emplace_back(work);
  }
  work();
  for (std::thread& other : others) {
    other.join();
  }
  std::vector<double> known;
  for (const std::optional<double>& value : values) {
    if (value) {
      known.push_back(*value);
    }
  }
  return known;
}

}  // namespace

// Davison and Hinkley's acceleration for several samples, from leaving out one patient at a time.
class Jackknife {
 public:
  static double Acceleration(const PatientSampler& sampler, const WeightedStatistic& statistic) {
    double cubes = 0;
    double squares = 0;
    std::vector<Weight> weights(sampler.rows(), 1);
    for (const PatientSampler::Stratum& stratum : sampler.strata_) {
      const double size = static_cast<double>(stratum.patients());
      const std::vector<double> values = WithoutEach(stratum, statistic, weights);
      const double mean =
          std::accumulate(values.begin(), values.end(), 0.0) / std::max(1.0, static_cast<double>(values.size()));
      for (double value : values) {
        // The influence of a patient, (size - 1) * (mean - value), over the stratum's size.
        const double influence = (mean - value) * (size - 1) / size;
        squares += influence * influence;
        cubes += influence * influence * influence;
      }
    }
    return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
  }

 private:
  static std::vector<double> WithoutEach(const PatientSampler::Stratum& stratum, const WeightedStatistic& statistic,
                                         std::vector<Weight>& weights) {
    std::vector<double> values;
    for (size_t patient = 0; patient < stratum.patients(); ++patient) {
      auto set = [&](Weight weight) {
        for (uint32_t at = stratum.begins[patient]; at < stratum.begins[patient + 1]; ++at) {
          weights[stratum.rows[at]] = weight;
        }
      };
      set(0);
      if (const Estimable<double> value = statistic(weights); value.ok()) {
        values.push_back(*value);
      }
      set(1);
    }
    return values;
  }
};

// `keys[i]`: what row i is worth, equal for rows that cannot be told apart. Patients are put in the order of their
// rows' keys, so that the order in which cases came does not matter.
PatientSampler::PatientSampler(absl::Span<const uint32_t> patients, absl::Span<const uint32_t> keys, bool by_class)
    : strata_(by_class ? 3 : 1), rows_(patients.size()) {
  std::vector<uint32_t> by_patient(rows_);
  std::iota(by_patient.begin(), by_patient.end(), uint32_t{0});
  std::stable_sort(by_patient.begin(), by_patient.end(),
                   [&](uint32_t a, uint32_t b) { return patients[a] < patients[b]; });
  std::vector<absl::Span<const uint32_t>> groups;
  for (size_t begin = 0; begin < rows_;) {
    size_t end = begin;
    while (end < rows_ && patients[by_patient[end]] == patients[by_patient[begin]]) {
      ++end;
    }
    groups.push_back(absl::MakeConstSpan(by_patient).subspan(begin, end - begin));
    begin = end;
  }
  std::sort(groups.begin(), groups.end(), [&](absl::Span<const uint32_t> a, absl::Span<const uint32_t> b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                        [&](uint32_t one, uint32_t other) { return keys[one] < keys[other]; });
  });
  patients_ = groups.size();
  for (absl::Span<const uint32_t> group : groups) {
    size_t positives = 0;
    for (uint32_t row : group) {
      positives += keys[row] & 1;
    }
    Stratum& stratum = strata_[!by_class || positives == 0 ? 0 : positives == group.size() ? 1 : 2];
    stratum.begins.push_back(static_cast<uint32_t>(stratum.rows.size()));
    stratum.rows.insert(stratum.rows.end(), group.begin(), group.end());
  }
  for (Stratum& stratum : strata_) {
    stratum.begins.push_back(static_cast<uint32_t>(stratum.rows.size()));
  }
}

namespace {

// The rank of each score among the distinct ones, doubled, plus one for a positive case.
std::vector<uint32_t> KeysOf(const SortedCases& sorted) {
  std::vector<uint32_t> keys;
  uint32_t rank = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    keys.push_back(2 * rank + (sorted.cases()[i].label ? 1 : 0));
    rank += sorted.EndsTie(i) ? 1 : 0;
  }
  return keys;
}

std::vector<uint32_t> PatientsOf(const SortedCases& sorted) {
  std::vector<uint32_t> patients;
  for (const Case& one : sorted.cases()) {
    patients.push_back(one.patient);
  }
  return patients;
}

}  // namespace

PatientSampler PatientSampler::ByClass(const SortedCases& sorted) {
  return PatientSampler(PatientsOf(sorted), KeysOf(sorted), true);
}

PatientSampler PatientSampler::FromAll(const SortedCases& sorted) {
  return PatientSampler(PatientsOf(sorted), KeysOf(sorted), false);
}

PatientSampler PatientSampler::FromAll(absl::Span<const uint32_t> patients) {
  std::vector<uint32_t> keys(patients.size());
  std::iota(keys.begin(), keys.end(), uint32_t{0});
  return PatientSampler(patients, keys, false);
}

void PatientSampler::Draw(uint64_t seed, uint64_t index, absl::Span<Weight> weights) const {
  RandomStream random(seed, index);
  thread_local std::vector<Weight> drawn;
  for (const Stratum& stratum : strata_) {
    const auto patients = static_cast<uint32_t>(stratum.patients());
    drawn.assign(patients, 0);
    for (uint32_t i = 0; i < patients; ++i) {
      ++drawn[random.Below(patients)];
    }
    if (stratum.rows.size() == patients) {
      for (uint32_t patient = 0; patient < patients; ++patient) {
        weights[stratum.rows[patient]] = drawn[patient];
      }
      continue;
    }
    for (uint32_t patient = 0; patient < patients; ++patient) {
      for (uint32_t at = stratum.begins[patient]; at < stratum.begins[patient + 1]; ++at) {
        weights[stratum.rows[at]] = drawn[patient];
      }
    }
  }
}

Estimable<Estimate> Bootstrap(const PatientSampler& sampler, const WeightedStatistic& statistic,
                              const BootstrapOptions& options) {
  const Estimable<double> observed = statistic(std::vector<Weight>(sampler.rows(), 1));
  if (!observed.ok()) {
    return observed.reason();
  }
  std::vector<double> values = Replicates(sampler, statistic, options);
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
    const double acceleration = Jackknife::Acceleration(sampler, statistic);
    auto corrected = [&](double p) {
      const double shifted = bias + NormalQuantile(p);
      return NormalCdf(bias + shifted / (1 - acceleration * shifted));
    };
    low = corrected(low);
    high = corrected(high);
  }
  // A percentile interval can miss its own estimate; it is widened to hold it.
  return Estimate{*observed,
                  std::min(Quantile(values, low), *observed),
                  std::max(Quantile(values, high), *observed),
                  options.level,
                  sampler.patients(),
                  options.bca ? "bootstrap_bca" : "bootstrap_percentile"};
}

}  // namespace cloister::eval
