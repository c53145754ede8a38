#pragma once
// SPDX-License-Identifier: Apache-2.0
// How the updates of an experiment become integers: what the plan's privacy block means for the tensors of its model.
// Source: docs/quantization.md.

#include "protocols/plan/experiment.h"
#include "protocols/update/quant_plan.h"

namespace cloister::plan {

// A bound is cut into at least so many steps; fewer would leave little of an update but its signs.
inline constexpr double kLeastSteps = 64;
// The default bound is a guard against broken values and no measure of an update, so it says nothing about what step
// is fine enough: coarser than this, most weights would move by nothing but rounding.
inline constexpr double kCoarsestStep = 1.0 / 64;

// For each tensor its bound and the largest scale with which sites.maximum updates fit the ring; with differential
// privacy of sites, one bound and scale with room for the noise (site_privacy.h). FAILED_PRECONDITION:
// they do not fit, a step would be too coarse to be of use, one of privacy.tensor_clips fits no tensor, or noise would
// fall on running variances; the message has the numbers. Other codes as update::QuantMap::Create.
absl::StatusOr<update::QuantMap> QuantizerOf(const Experiment& experiment, const update::Layout& layout);

// Can updates of this experiment be summed as it says? What is asked before a plan is signed, and by the coordinator
// before it takes one. Codes as QuantizerOf and CheckSiteEpsilon; the message names privacy.
absl::Status CheckUpdates(const Experiment& experiment, const update::Layout& layout);

}  // namespace cloister::plan
