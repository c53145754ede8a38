// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/quantization.h"

#include <fmt/format.h>

#include "protocols/plan/site_privacy.h"

namespace cloister::plan {
namespace {

absl::Status CheckStep(const Privacy& privacy, const update::QuantPlan& plan) {
  const double steps = plan.clip * plan.scale;
  if (steps >= kLeastSteps && (plan.clip != privacy.clip || plan.step() <= kCoarsestStep)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("a bound of {:g} for up to {} sites leaves steps of {:g} in a ring of {} bits, {:.0f} up to the "
                  "bound; wanted are "
                  "{} steps{}: choose a wider ring, a smaller bound (clip, tensor_clips) or a smaller sites.maximum",
                  plan.clip, plan.sites, plan.step(), plan.ring_bits, steps, kLeastSteps,
                  plan.clip == privacy.clip ? fmt::format(" of at most {:g}", kCoarsestStep) : ""));
}

// Noise does not stop at zero.
absl::Status CheckNoVariances(const update::Layout& layout) {
  for (const update::Tensor& tensor : layout.tensors()) {
    if (update::FitsPattern(tensor.name, "*.running_var")) {
      return absl::FailedPreconditionError(
          fmt::format("differential privacy: noise would make variances such as \"{}\" useless; write an architecture "
                      "with group normalisation (_gn)",
                      tensor.name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<update::QuantMap> QuantizerOf(const Experiment& experiment, const update::Layout& layout) {
  if (HasSiteUnit(experiment)) {
    // Its noise, not its steps, says how much of an update gets through.
    CLOISTER_RETURN_IF_ERROR(CheckNoVariances(layout));
    CLOISTER_ASSIGN_OR_RETURN(const SiteNoise noise, SiteNoiseOf(experiment));
    return update::QuantMap(noise.quantizer);
  }
  const Privacy& privacy = experiment.privacy;
  update::QuantPlan whole;
  whole.ring_bits = static_cast<uint32_t>(privacy.ring_bits);
  whole.clip = privacy.clip;
  whole.sites = static_cast<uint32_t>(experiment.sites.maximum);
  CLOISTER_ASSIGN_OR_RETURN(update::QuantMap map, update::QuantMap::Create(whole, privacy.tensor_clips, layout));
  for (const update::QuantMap::Segment& segment : map.segments()) {
    CLOISTER_RETURN_IF_ERROR(CheckStep(privacy, segment.plan));
  }
  return map;
}

absl::Status CheckUpdates(const Experiment& experiment, const update::Layout& layout) {
  CLOISTER_RETURN_IF_ERROR(Annotate(QuantizerOf(experiment, layout).status(), "privacy"));
  return Annotate(CheckSiteEpsilon(experiment), "privacy");
}

}  // namespace cloister::plan
