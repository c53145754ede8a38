// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/guards.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "protocols/plan/quantization.h"
#include "protocols/plan/sums.h"
#include "protocols/update/quantizer.h"
#include "protocols/update/safetensors.h"
#include "protocols/update/weight.h"

namespace cloister::plan {
namespace {

constexpr char kNormsKey[] = "cloister.update_norms";
constexpr char kParentKey[] = "cloister.parent";
constexpr size_t kDigits = 16;  // of a double's bits
constexpr size_t kLanes = 8;
constexpr size_t kChunk = size_t{1} << 18;  // parameters; a multiple of kLanes

std::string TextOf(const std::vector<double>& norms) {
  std::string text;
  for (const double norm : norms) {
    uint64_t bits;
    std::memcpy(&bits, &norm, sizeof bits);
    text += fmt::format("{:016x}", bits);
  }
  return text;
}

absl::StatusOr<std::vector<double>> NormsOf(const std::string& text) {
  std::vector<double> norms;
  if (text.size() % kDigits != 0 || text.size() > kDigits * Lineage::kNormsKept ||
      text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return absl::DataLossError("the model's file does not hold the norms of the rounds before");
  }
  for (size_t at = 0; at < text.size(); at += kDigits) {
    const uint64_t bits = std::stoull(text.substr(at, kDigits), nullptr, 16);
    double norm;
    std::memcpy(&norm, &bits, sizeof norm);
    if (!std::isfinite(norm) || norm < 0) {
      return absl::DataLossError("the model's file holds a norm that cannot be");
    }
    norms.push_back(norm);
  }
  return norms;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Over fixed lanes, so that the sums are the same on every processor.
struct Products {
  double mean_mean[kLanes] = {};
  double mean_last[kLanes] = {};
  double last_last[kLanes] = {};

  void Add(absl::Span<const float> mean) {
    for (size_t i = 0; i < mean.size(); ++i) {
      mean_mean[i % kLanes] += static_cast<double>(mean[i]) * static_cast<double>(mean[i]);
    }
  }
  // `last` = to - from: the aggregate of the round before.
  void AddLast(absl::Span<const float> mean, const float* to, const float* from) {
    for (size_t i = 0; i < mean.size(); ++i) {
      const double last = static_cast<double>(to[i]) - static_cast<double>(from[i]);
      mean_last[i % kLanes] += static_cast<double>(mean[i]) * last;
      last_last[i % kLanes] += last * last;
    }
  }
  static double Total(const double (&lanes)[kLanes]) {
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    return sum;
  }
};

absl::StatusOr<Products> Multiply(const Experiment& experiment, const update::MappedModel& global,
                                  const update::MappedModel* before, const secagg::RingView& update,
                                  double sum_of_omega) {
  CLOISTER_ASSIGN_OR_RETURN(const update::QuantMap quantizer, QuantizerOf(experiment, global.layout()));
  Products products;
  std::vector<int64_t> sum;
  std::vector<float> mean;
  for (size_t at = 0; at < update.size(); at += mean.size()) {
    mean.resize(std::min<size_t>(kChunk, update.size() - at));
    sum.resize(mean.size());
    update.ReadSigned(at, absl::MakeSpan(sum));
    CLOISTER_RETURN_IF_ERROR(update::DequantizeMean(quantizer, at, sum, sum_of_omega, absl::MakeSpan(mean)));
    products.Add(mean);
    if (before != nullptr) products.AddLast(mean, global.values().data() + at, before->values().data() + at);
  }
  return products;
}

// In the order of the plan: the first that is broken.
std::string BrokenGuard(const Guards& guards, const AggregateVerdict& verdict) {
  if (guards.max_update_norm > 0 && verdict.norm > guards.max_update_norm) {
    return fmt::format("max_update_norm: the update's norm is {:.4g}, allowed {:.4g}", verdict.norm,
                       guards.max_update_norm);
  }
  if (guards.max_norm_growth > 0 && verdict.median.value_or(0) > 0 &&
      verdict.norm > guards.max_norm_growth * *verdict.median) {
    return fmt::format(
        "max_norm_growth: the update's norm is {:.4g}, {:.3g} times the median {:.4g} of the rounds "
        "before; allowed {:.4g}",
        verdict.norm, verdict.norm / *verdict.median, *verdict.median, guards.max_norm_growth);
  }
  if (verdict.cosine.has_value() && *verdict.cosine < guards.min_cosine) {
    return fmt::format("min_cosine: the update's cosine to the round before is {:.3f}, allowed {:.3f} or more",
                       *verdict.cosine, guards.min_cosine);
  }
  return "";
}

}  // namespace

bool NeedsLineage(const Guards& guards) {
  return guards.max_norm_growth > 0 || guards.min_cosine > -1;
}

absl::StatusOr<Lineage> LineageOf(const update::MappedModel& global) {
  CLOISTER_ASSIGN_OR_RETURN(const update::SafetensorsHeader header, update::ParseSafetensorsHeader(global.file()));
  Lineage lineage;
  const auto norms = header.metadata.find(kNormsKey);
  const auto parent = header.metadata.find(kParentKey);
  if (norms == header.metadata.end() && parent == header.metadata.end()) return lineage;
  if (norms == header.metadata.end() || parent == header.metadata.end()) {
    return absl::DataLossError("the model's file says only half of where it comes from");
  }
  CLOISTER_ASSIGN_OR_RETURN(lineage.norms, NormsOf(norms->second));
  const absl::StatusOr<Digest> digest = Digest::FromHex(parent->second);
  if (!digest.ok()) return absl::DataLossError("the model's file does not name the model before it");
  lineage.parent = *digest;
  return lineage;
}

std::map<std::string, std::string> LineageMetadata(const Lineage& lineage) {
  if (!lineage.parent.has_value()) return {};
  return {{kNormsKey, TextOf(lineage.norms)}, {kParentKey, lineage.parent->hex()}};
}

absl::StatusOr<std::optional<Digest>> ModelBefore(const Experiment& experiment, const update::MappedModel& global) {
  if (experiment.privacy.guards.min_cosine == -1) return std::optional<Digest>();
  CLOISTER_ASSIGN_OR_RETURN(const Lineage lineage, LineageOf(global));
  return lineage.parent;
}

absl::StatusOr<AggregateVerdict> JudgeAggregate(const Experiment& experiment, const update::MappedModel& global,
                                                const update::MappedModel* before, const secagg::RingView& update,
                                                absl::Span<const uint64_t> counters) {
  const Guards& guards = experiment.privacy.guards;
  AggregateVerdict verdict;
  if (guards.max_update_norm == 0 && !NeedsLineage(guards)) return verdict;
  CLOISTER_ASSIGN_OR_RETURN(const Lineage lineage, LineageOf(global));
  if (guards.min_cosine == -1 || !lineage.parent.has_value()) {
    before = nullptr;
  } else if (before == nullptr) {
    return absl::InvalidArgumentError("min_cosine needs the model before: " + lineage.parent->short_hex());
  }
  if (update.size() != global.values().size() ||
      (before != nullptr && before->values().size() != global.values().size())) {
    return absl::DataLossError(fmt::format("the sum has {} values, the model {}, the one before it {}", update.size(),
                                           global.values().size(), before != nullptr ? before->values().size() : 0));
  }
  CLOISTER_ASSIGN_OR_RETURN(const TrainCounters totals, DecodeTrainCounters({counters.begin(), counters.end()}));
  CLOISTER_ASSIGN_OR_RETURN(const Products products,
                            Multiply(experiment, global, before, update, update::SumOfOmega(totals.weight)));
  verdict.norm = std::sqrt(Products::Total(products.mean_mean));
  const double last_norm = std::sqrt(Products::Total(products.last_last));
  if (before != nullptr && verdict.norm > 0 && last_norm > 0) {  // nothing has no direction
    verdict.cosine = Products::Total(products.mean_last) / (verdict.norm * last_norm);
  }
  if (guards.max_norm_growth > 0 && !lineage.norms.empty()) verdict.median = Median(lineage.norms);
  verdict.broken = BrokenGuard(guards, verdict);
  return verdict;
}

absl::StatusOr<std::map<std::string, std::string>> NextLineage(const Experiment& experiment,
                                                               const update::MappedModel& global,
                                                               const Digest& global_digest,
                                                               const AggregateVerdict& verdict) {
  if (!NeedsLineage(experiment.privacy.guards)) return std::map<std::string, std::string>();
  CLOISTER_ASSIGN_OR_RETURN(Lineage lineage, LineageOf(global));
  lineage.norms.push_back(verdict.norm);
  if (lineage.norms.size() > Lineage::kNormsKept) lineage.norms.erase(lineage.norms.begin());
  lineage.parent = global_digest;
  return LineageMetadata(lineage);
}

}  // namespace cloister::plan
