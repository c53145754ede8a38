// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/measure.h"

#include <algorithm>
#include <cmath>

#include "eval/stats/proportion.h"

namespace cloister::eval {
namespace {

uint64_t CountDistinct(absl::Span<const uint32_t> patients) {
  std::vector<uint32_t> sorted(patients.begin(), patients.end());
  std::sort(sorted.begin(), sorted.end());
  return std::unique(sorted.begin(), sorted.end()) - sorted.begin();
}

}  // namespace

bool PatientsRepeat(absl::Span<const uint32_t> patients) {
  return CountDistinct(patients) != patients.size();
}

Estimable<Estimate> MeanOfCases(absl::Span<const double> values, absl::Span<const uint32_t> patients,
                                const BootstrapOptions& bootstrap) {
  if (values.empty()) {
    return Reason::kNoCases;
  }
  if (CountDistinct(patients) < 2) {
    return Reason::kTooFewPatients;
  }
  return Bootstrap(PatientSampler::FromAll(patients), WeightedMean({values.begin(), values.end()}), bootstrap);
}

Estimable<Estimate> ShareOfCases(const std::vector<bool>& right, absl::Span<const uint32_t> patients,
                                 const BootstrapOptions& bootstrap) {
  const uint64_t hits = std::count(right.begin(), right.end(), true);
  const uint64_t distinct = CountDistinct(patients);
  if (distinct == right.size()) {
    return Wilson(hits, right.size(), bootstrap.level);
  }
  const Estimable<Estimate> mean = MeanOfCases(std::vector<double>(right.begin(), right.end()), patients, bootstrap);
  if (mean.ok() && mean->upper - mean->lower > 1e-12) {
    return mean;
  }
  // Every patient gives the same share: Wilson's interval for that many independent patients.
  const double share = static_cast<double>(hits) / static_cast<double>(right.size());
  Estimate wilson = *Wilson(std::llround(share * static_cast<double>(distinct)), distinct, bootstrap.level);
  wilson.lower = std::min(wilson.lower, share);
  wilson.upper = std::max(wilson.upper, share);
  wilson.value = share;
  wilson.method = "wilson_patients";
  return wilson;
}

}  // namespace cloister::eval
