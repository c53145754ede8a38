// SPDX-License-Identifier: Apache-2.0
#include "protocols/update/quant_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cloister::update {
namespace {

constexpr double kMinClip = 1e-30;
constexpr double kMaxClip = 1e30;

// Sums stay below this, on either side.
uint64_t RingLimit(uint32_t ring_bits) {
  return uint64_t{1} << (ring_bits == 64 ? 60 : ring_bits - 1);
}

// sites * ceil(scale * clip) + slack < limit, and no site's element too fine for a double?
bool Fits(const QuantPlan& plan) {
  const uint64_t limit = RingLimit(plan.ring_bits);
  const double largest = std::ceil(plan.scale * plan.clip);
  if (!(largest <= QuantPlan::kMostUnits) || plan.slack >= limit) return false;
  return static_cast<unsigned __int128>(plan.sites) * static_cast<uint64_t>(largest) + plan.slack < limit;
}

absl::Status CheckFields(const QuantPlan& plan) {
  if (plan.ring_bits != 16 && plan.ring_bits != 24 && plan.ring_bits != 32 && plan.ring_bits != 64) {
    return absl::InvalidArgumentError(fmt::format("a ring of {} bits; allowed are 16, 24, 32 and 64", plan.ring_bits));
  }
  if (!(plan.clip >= kMinClip && plan.clip <= kMaxClip)) {
    return absl::InvalidArgumentError(fmt::format("clip {}; it must be in [1e-30, 1e30]", plan.clip));
  }
  if (plan.sites == 0) return absl::InvalidArgumentError("a plan for no sites");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<QuantPlan> QuantPlan::Choose(uint32_t sites, double clip, uint32_t ring_bits, uint64_t slack) {
  QuantPlan plan;
  plan.ring_bits = ring_bits;
  plan.clip = clip;
  plan.sites = sites;
  plan.slack = slack;
  CLOISTER_RETURN_IF_ERROR(CheckFields(plan));
  // scale * clip <= 2^51 and clip >= 1e-30 bound the exponent from above.
  for (int exponent = 151; exponent >= -131; --exponent) {
    plan.scale = std::ldexp(1.0, exponent);
    if (plan.scale * clip < 1) break;
    if (Fits(plan)) return plan;
  }
  return absl::FailedPreconditionError(
      fmt::format("{} sites and a slack of {} need a ring of more than {} bits", sites, slack, ring_bits));
}

absl::Status QuantPlan::Check() const {
  CLOISTER_RETURN_IF_ERROR(CheckFields(*this));
  int exponent = 0;
  if (!std::isfinite(scale) || scale <= 0 || std::frexp(scale, &exponent) != 0.5) {
    return absl::InvalidArgumentError(fmt::format("scale {} is not a power of two", scale));
  }
  if (Fits(*this)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("the sum of {} sites at scale {} and clip {} with a slack of {} can leave a ring of {} bits", sites,
                  scale, clip, slack, ring_bits));
}

bool FitsPattern(std::string_view name, std::string_view pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  if (name.substr(0, star) != pattern.substr(0, star)) return false;
  // Between two stars the leftmost place is as good as any.
  name.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  for (size_t next = pattern.find('*'); next != std::string_view::npos; next = pattern.find('*')) {
    const size_t found = name.find(pattern.substr(0, next));
    if (found == std::string_view::npos) return false;
    name.remove_prefix(found + next);
    pattern.remove_prefix(next + 1);
  }
  return name.size() >= pattern.size() && name.substr(name.size() - pattern.size()) == pattern;
}

absl::StatusOr<QuantMap> QuantMap::Create(const QuantPlan& whole, absl::Span<const TensorClip> clips,
                                          const Layout& layout) {
  QuantMap map;
  std::vector<bool> used(clips.size(), false);
  for (const Tensor& tensor : layout.tensors()) {
    double clip = whole.clip;
    bool found = false;
    for (size_t i = 0; i < clips.size(); ++i) {
      if (!FitsPattern(tensor.name, clips[i].tensor)) continue;
      used[i] = true;
      if (!found) clip = clips[i].clip;
      found = true;
    }
    const absl::StatusOr<QuantPlan> plan = QuantPlan::Choose(whole.sites, clip, whole.ring_bits, whole.slack);
    if (!plan.ok()) return Annotate(plan.status(), fmt::format("tensor \"{}\", clip {}", tensor.name, clip));
    if (map.segments_.empty() || map.segments_.back().plan.clip != clip) map.segments_.push_back({0, *plan});
    map.segments_.back().end = tensor.offset + tensor.elements;
  }
  for (size_t i = 0; i < clips.size(); ++i) {
    if (!used[i]) {
      return absl::FailedPreconditionError(fmt::format("no tensor of the model is called \"{}\"", clips[i].tensor));
    }
  }
  if (map.segments_.empty()) return absl::FailedPreconditionError("a model without tensors");
  return map;
}

const QuantMap::Segment& QuantMap::At(uint64_t index) const {
  return *std::upper_bound(segments_.begin(), segments_.end(), index,
                           [](uint64_t at, const Segment& segment) { return at < segment.end; });
}

absl::Status QuantMap::Check() const {
  for (const Segment& segment : segments_) CLOISTER_RETURN_IF_ERROR(segment.plan.Check());
  return absl::OkStatus();
}

}  // namespace cloister::update
