// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/measurement.h"

#include <fmt/core.h>

#include <cmath>

#include "eval/stats/agreement.h"
#include "eval/stats/normal.h"

namespace cloister::eval {
namespace {

// Weighted sums from which every one of the numbers is made. d: difference, m: mean of both.
struct Moments {
  double n = 0;
  double d = 0;
  double dd = 0;
  double m = 0;
  double mm = 0;
  double dm = 0;
};

using FromMoments = double (*)(const Moments&);

double Bias(const Moments& sums) {
  return sums.d / sums.n;
}
double Deviation(const Moments& sums) {
  return std::sqrt(std::max(0.0, (sums.dd - sums.d * sums.d / sums.n) / (sums.n - 1)));
}
double LimitLower(const Moments& sums) {
  return Bias(sums) - TwoSidedQuantile(0.95) * Deviation(sums);
}
double LimitUpper(const Moments& sums) {
  return Bias(sums) + TwoSidedQuantile(0.95) * Deviation(sums);
}
double Slope(const Moments& sums) {
  return (sums.dm - sums.d * sums.m / sums.n) / (sums.mm - sums.m * sums.m / sums.n);
}
double RootMeanSquare(const Moments& sums) {
  return std::sqrt(sums.dd / sums.n);
}

class Comparison {
 public:
  Comparison(const Measurements& cases, const BootstrapOptions& bootstrap)
      : cases_(cases), bootstrap_(bootstrap), sampler_(PatientSampler::FromAll(cases.patients)) {
    // Around the means, so that squares of large numbers do not swallow small differences.
    double centre = 0;
    for (size_t i = 0; i < cases.predicted.size(); ++i) {
      differences_.push_back(cases.predicted[i] - cases.reference[i]);
      means_.push_back(0.5 * (cases.predicted[i] + cases.reference[i]));
      centre += means_.back() / static_cast<double>(cases.predicted.size());
    }
    for (double& mean : means_) {
      mean -= centre;
    }
  }

  Estimable<Estimate> ByBootstrap(FromMoments number) const {
    return Bootstrap(
        sampler_,
        [this, number](Weights weights) -> Estimable<double> {
          Moments sums;
          for (size_t i = 0; i < weights.size(); ++i) {
            const double w = weights[i];
            sums.n += w;
            sums.d += w * differences_[i];
            sums.dd += w * differences_[i] * differences_[i];
            sums.m += w * means_[i];
            sums.mm += w * means_[i] * means_[i];
            sums.dm += w * differences_[i] * means_[i];
          }
          const double value = number(sums);
          if (!std::isfinite(value)) {
            return Reason::kNoVariation;
          }
          return value;
        },
        bootstrap_);
  }

  Estimable<Estimate> MeanAbsolute() const {
    std::vector<double> values;
    for (double difference : differences_) {
      values.push_back(std::abs(difference));
    }
    return MeanOfCases(values, cases_.patients, bootstrap_);
  }

  Estimable<Estimate> Within(double limit) const {
    std::vector<bool> right;
    for (double difference : differences_) {
      right.push_back(std::abs(difference) <= limit);
    }
    return ShareOfCases(right, cases_.patients, bootstrap_);
  }

 private:
  const Measurements& cases_;
  BootstrapOptions bootstrap_;
  PatientSampler sampler_;
  std::vector<double> differences_;
  std::vector<double> means_;
};

}  // namespace

std::vector<Measure> CompareMeasurements(const Measurements& cases, absl::Span<const double> within,
                                         const BootstrapOptions& bootstrap) {
  const Estimable<LimitsOfAgreement> limits = BlandAltman(cases.predicted, cases.reference, bootstrap.level);
  std::vector<Measure> measures;
  if (!limits.ok()) {
    for (const char* key : {"mae", "rmse", "bias", "limit_lower", "limit_upper", "slope_on_mean", "icc"}) {
      measures.push_back({key, limits.reason()});
    }
    return measures;
  }
  const Comparison comparison(cases, bootstrap);
  const bool repeat = PatientsRepeat(cases.patients);
  auto either = [&](Estimable<Estimate> closed, FromMoments number) {
    return repeat ? comparison.ByBootstrap(number) : closed;
  };
  measures.push_back({"mae", comparison.MeanAbsolute()});
  measures.push_back({"rmse", comparison.ByBootstrap(RootMeanSquare)});
  measures.push_back({"bias", either(limits->bias, Bias)});
  measures.push_back({"limit_lower", either(limits->lower, LimitLower)});
  measures.push_back({"limit_upper", either(limits->upper, LimitUpper)});
  measures.push_back({"slope_on_mean", either(limits->slope, Slope)});
  Estimable<Estimate> icc = Reason::kNotMeasured;
  if (!repeat) {
    std::vector<std::vector<double>> readings;
    for (size_t i = 0; i < cases.predicted.size(); ++i) {
      readings.push_back({cases.predicted[i], cases.reference[i]});
    }
    icc = IntraclassCorrelation(readings, bootstrap.level);
  }
  measures.push_back({"icc", icc});
  for (double limit : within) {
    measures.push_back({fmt::format("within_{:g}", limit), comparison.Within(limit)});
  }
  return measures;
}

}  // namespace cloister::eval
