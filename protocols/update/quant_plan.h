#pragma once
// SPDX-License-Identifier: Apache-2.0
// What all sites of a round agree on before they turn weight changes into integers: clip, scale and room in the ring,
// for one tensor or for all. Source: secure aggregation design, section 6; docs/quantization.md.

#include <absl/types/span.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/update/layout.h"

namespace cloister::update {

// The sum of `sites` vectors cannot leave the ring:
//   sites * ceil(scale * clip) + slack < 2^(ring_bits - 1), and < 2^60 in a ring of 64 bits,
// of which the check tag (protocols/secagg/check_tag.h) tells no more apart.
struct QuantPlan {
  uint32_t ring_bits = 32;  // 16, 24, 32 or 64
  double clip = 0;          // C: every element of delta is clipped to [-C, C]
  double scale = 0;         // s: a power of two, so scaling is exact
  uint32_t sites = 0;       // the most that are ever added
  uint64_t slack = 0;       // room for noise: 8 sigma of the summed noise, in ring units

  // What one site adds is at most so many units: more than a double can tell apart would be none.
  static constexpr double kMostUnits = 0x1p51;

  // The largest scale that keeps the rule. INVALID_ARGUMENT: a clip outside [1e-30, 1e30], no site, another ring width;
  // FAILED_PRECONDITION: not even scale * clip >= 1 fits ("40000 sites need more than 16 bits").
  static absl::StatusOr<QuantPlan> Choose(uint32_t sites, double clip, uint32_t ring_bits = 32, uint64_t slack = 0);

  // INVALID_ARGUMENT: a field is out of range; FAILED_PRECONDITION: the rule is broken. For plans that came by wire.
  absl::Status Check() const;

  double step() const { return 1 / scale; }
};

// A bound of its own for the tensors whose name fits `tensor`, in which * stands for any characters or none.
struct TensorClip {
  std::string tensor;
  double clip = 0;
};
bool FitsPattern(std::string_view name, std::string_view pattern);

// Which plan holds for which elements of the flat vector. Immutable.
class QuantMap {
 public:
  struct Segment {
    uint64_t end = 0;  // the element after the last
    QuantPlan plan;
  };

  // One plan for all elements of any vector.
  QuantMap(const QuantPlan& plan) : segments_{{~uint64_t{0}, plan}} {}  // NOLINT: wherever a map is wanted

  // Of each tensor the bound of the first clip that fits its name, else `whole.clip`; and the largest scale for it.
  // `whole` says sites, ring and slack. FAILED_PRECONDITION: a clip that fits no tensor; also as QuantPlan::Choose,
  // with the tensor named.
  static absl::StatusOr<QuantMap> Create(const QuantPlan& whole, absl::Span<const TensorClip> clips,
                                         const Layout& layout);

  // Of rising ends; all of the same ring, sites and slack.
  const std::vector<Segment>& segments() const { return segments_; }
  uint32_t ring_bits() const { return segments_.front().plan.ring_bits; }
  uint32_t sites() const { return segments_.front().plan.sites; }
  // The segment that element `index` lies in; there is one.
  const Segment& At(uint64_t index) const;
  // Every plan's own Check, and that there is one.
  absl::Status Check() const;

 private:
  QuantMap() = default;
  std::vector<Segment> segments_;
};

}  // namespace cloister::update
