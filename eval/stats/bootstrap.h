#pragma once
// SPDX-License-Identifier: Apache-2.0
// Bootstrap intervals by patient, with a recorded seed: the same seed gives the same interval on every machine, with
// any number of threads, and in whatever order the cases came.

#include <cstdint>
#include <vector>

#include "eval/metrics/case.h"
#include "eval/metrics/estimate.h"
#include "eval/metrics/weighted.h"

namespace cloister::eval {

struct BootstrapOptions {
  int replicates = 2000;
  uint64_t seed = 1;
  double level = 0.95;
  bool bca =
      false;  // bias-corrected and accelerated (Davison and Hinkley 1997, 5.3.2), a pass per patient; else percentile
  int threads = 1;  // changes the time only
};

// Draws whole patients with replacement. Immutable.
class PatientSampler {
 public:
  // Within strata: patients with cases of the condition only, without it only, with both.
  static PatientSampler ByClass(const SortedCases& sorted);
  // From all patients alike: for what depends on how many have the condition. `patients[i]`: whose row i is.
  static PatientSampler FromAll(absl::Span<const uint32_t> patients);
  static PatientSampler FromAll(const SortedCases& sorted);

  uint64_t patients() const { return patients_; }
  uint64_t rows() const { return rows_; }

  // How often each row is in replicate `index` of `seed`. `weights` has rows() places.
  void Draw(uint64_t seed, uint64_t index, absl::Span<Weight> weights) const;

 private:
  friend class Jackknife;
  // Its patients' rows one after the other; patient p's begin at begins[p].
  struct Stratum {
    std::vector<uint32_t> rows;
    std::vector<uint32_t> begins;
    uint64_t patients() const { return begins.size() - 1; }
  };
  PatientSampler(absl::Span<const uint32_t> patients, absl::Span<const uint32_t> keys, bool by_class);

  std::vector<Stratum> strata_;
  uint64_t patients_ = 0;
  uint64_t rows_ = 0;
};

// The interval of `statistic`, a number of the sampler's rows. Replicates in which it is not estimable are left out.
// n: patients. method: bootstrap_percentile or bootstrap_bca. The statistic's own reason when it is not estimable on
// the data; kTooFewPatients: on fewer than half of the replicates.
Estimable<Estimate> Bootstrap(const PatientSampler& sampler, const WeightedStatistic& statistic,
                              const BootstrapOptions& options);

}  // namespace cloister::eval
