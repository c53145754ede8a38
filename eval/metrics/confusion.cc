// SPDX-License-Identifier: Apache-2.0
#include "eval/metrics/confusion.h"

namespace cloister::eval {
namespace {

Estimable<double> Share(uint64_t part, uint64_t whole, Reason if_empty) {
  if (whole == 0) {
    return if_empty;
  }
  return static_cast<double>(part) / static_cast<double>(whole);
}

bool OneClass(const Confusion& table) {
  return table.positives() == 0 || table.negatives() == 0;
}

}  // namespace

Confusion CountConfusion(CaseSpan cases, double threshold) {
  Confusion table;
  for (const Case& one : cases) {
    const bool called = one.score >= threshold;
    if (one.label) {
      ++(called ? table.true_positives : table.false_negatives);
    } else {
      ++(called ? table.false_positives : table.true_negatives);
    }
  }
  return table;
}

Estimable<double> Sensitivity(const Confusion& table) {
  return Share(table.true_positives, table.positives(), Reason::kNoPositives);
}

Estimable<double> Specificity(const Confusion& table) {
  return Share(table.true_negatives, table.negatives(), Reason::kNoNegatives);
}

Estimable<double> Ppv(const Confusion& table) {
  if (OneClass(table)) {
    return Reason::kOneClass;
  }
  return Share(table.true_positives, table.true_positives + table.false_positives, Reason::kNoCalls);
}

Estimable<double> Npv(const Confusion& table) {
  if (OneClass(table)) {
    return Reason::kOneClass;
  }
  return Share(table.true_negatives, table.true_negatives + table.false_negatives, Reason::kNoCalls);
}

Estimable<double> PpvAtPrevalence(const Confusion& table, double prevalence) {
  const Estimable<double> sensitivity = Sensitivity(table);
  const Estimable<double> specificity = Specificity(table);
  if (!sensitivity.ok() || !specificity.ok()) {
    return sensitivity.ok() ? specificity.reason() : sensitivity.reason();
  }
  const double real = prevalence * *sensitivity;
  const double alarms = real + (1 - prevalence) * (1 - *specificity);
  if (alarms <= 0) {
    return Reason::kNoCalls;
  }
  return real / alarms;
}

}  // namespace cloister::eval
