// SPDX-License-Identifier: Apache-2.0
#include "eval/stats/pool_metric.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "eval/metrics/confusion.h"
#include "eval/metrics/metric.h"
#include "eval/stats/delong.h"
#include "eval/stats/interval.h"

namespace cloister::eval {
namespace {

std::optional<SiteEffect> LogitOfShare(uint64_t right, uint64_t all) {
  if (all == 0) {
    return std::nullopt;
  }
  const double add = right == 0 || right == all ? 0.5 : 0;
  const double hits = static_cast<double>(right) + add;
  const double misses = static_cast<double>(all - right) + add;
  return SiteEffect{std::log(hits / misses), 1 / hits + 1 / misses};
}

std::optional<SiteEffect> EffectOf(std::string_view metric, const Cases& cases, double threshold) {
  if (metric == "auc") {
    const Estimable<AucVariance> delong = DeLong(cases);
    return delong.ok() && delong->variance > 0 ? std::optional<SiteEffect>({delong->auc, delong->variance})
                                               : std::nullopt;
  }
  const Confusion table = CountConfusion(cases, threshold);
  return metric == "sensitivity" ? LogitOfShare(table.true_positives, table.positives())
                                 : LogitOfShare(table.true_negatives, table.negatives());
}

double Logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

PooledMetric PoolMetric(std::string_view metric, CaseSpan cases, const std::vector<std::string>& site_of_case,
                        double threshold, const BootstrapOptions& bootstrap) {
  PooledMetric result;
  result.metric = std::string(metric);
  result.logit = metric != "auc";
  std::map<std::string, Cases> by_site;
  for (size_t i = 0; i < cases.size(); ++i) {
    by_site[site_of_case[i]].push_back(cases[i]);
  }
  std::vector<SiteEffect> effects;
  for (const auto& [site, here] : by_site) {
    result.sites.emplace_back(site, EstimateMetric(*FindMetric(metric), here, threshold, bootstrap));
    if (const std::optional<SiteEffect> effect = EffectOf(metric, here, threshold)) {
      effects.push_back(*effect);
    }
  }
  if (result.logit && !OneCasePerPatient(cases)) {
    return result;
  }
  result.pooled = PoolSites(effects, bootstrap.level);
  if (result.pooled.ok()) {
    RandomEffects back = *result.pooled;
    for (double* value :
         {&back.mean.value, &back.mean.lower, &back.mean.upper, &back.prediction_lower, &back.prediction_upper}) {
      *value = result.logit ? Logistic(*value) : std::clamp(*value, 0.0, 1.0);
    }
    result.pooled = back;
  }
  return result;
}

}  // namespace cloister::eval
