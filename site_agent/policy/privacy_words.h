#pragma once
// SPDX-License-Identifier: Apache-2.0
// The privacy of an experiment in words, for whoever decides about it: command line and portal say the same.

#include <optional>
#include <string>

#include "protocols/plan/experiment.h"
#include "site_agent/policy/policy.h"

namespace cloister::site {

struct PrivacyOffer {
  std::optional<plan::DifferentialPrivacy> planned;  // nothing: the plan has none
  std::optional<double> epsilon;  // of the whole experiment here; nothing: not computed yet, so the plan's bound counts
  int training_patients = 0;      // that it was computed for; 0: it does not depend on them
  double spent = 0;               // epsilon, by this site's other experiments
  double promised = 0;            // to them, and not spent yet
  std::optional<PrivacyLimit> limit;
};

// Two or three sentences.
std::string PrivacyInWords(const PrivacyOffer& offer);
std::string PrivacyInChinese(const PrivacyOffer& offer);

}  // namespace cloister::site
