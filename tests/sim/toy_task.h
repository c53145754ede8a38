#pragma once
// SPDX-License-Identifier: Apache-2.0
// Something for the toy model to learn: its numbers are the weights of a logistic regression, and every site has cases
// of the same kind. Enough to see a poisoned model score badly.

#include <absl/types/span.h>

#include <vector>

#include "eval/metrics/case.h"

namespace cloister::sim {

// Where gradient descent on the cases of a site ends up after a round, from `weights`. `flipped`: with the labels of
// somebody who wants to do harm.
std::vector<float> TrainToy(int site, absl::Span<const float> weights, bool flipped);

// The held-out cases of a site with the scores that the mean of `models` gives them.
eval::Cases ScoreToy(int site, const std::vector<std::vector<float>>& models);

}  // namespace cloister::sim
