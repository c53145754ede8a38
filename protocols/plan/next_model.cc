// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/next_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "protocols/crypto/hash.h"
#include "protocols/plan/quantization.h"
#include "protocols/plan/sums.h"
#include "protocols/update/aggregation.h"
#include "protocols/update/quantizer.h"
#include "protocols/update/weight.h"

namespace cloister::plan {
namespace {

constexpr size_t kChunk = size_t{1} << 16;  // parameters; what is written and hashed stays in the cache

// A variance that rounding, noise or a site brought below zero would make every prediction a NaN.
void KeepVariances(const update::Layout& layout, uint64_t first, absl::Span<float> values) {
  for (const update::Tensor& tensor : layout.tensors()) {
    if (!update::FitsPattern(tensor.name, "*.running_var")) continue;
    const uint64_t begin = std::max(tensor.offset, first);
    const uint64_t end = std::min<uint64_t>(tensor.offset + tensor.elements, first + values.size());
    for (uint64_t i = begin; i < end; ++i) values[i - first] = std::max(values[i - first], 0.0F);
  }
}

}  // namespace

absl::StatusOr<Digest> WriteNextModel(const std::filesystem::path& path, const Experiment& experiment,
                                      const update::MappedModel& global, const secagg::RingView& update,
                                      absl::Span<const uint64_t> counters,
                                      const std::map<std::string, std::string>& metadata) {
  CLOISTER_ASSIGN_OR_RETURN(const TrainCounters totals, DecodeTrainCounters({counters.begin(), counters.end()}));
  CLOISTER_ASSIGN_OR_RETURN(const update::QuantMap quantizer, QuantizerOf(experiment, global.layout()));
  CLOISTER_ASSIGN_OR_RETURN(const update::AggregationRule rule, update::FindAggregationRule(experiment.algorithm.name));
  if (global.values().size() != update.size()) {
    return absl::DataLossError(
        fmt::format("the sum has {} values, the model {}", update.size(), global.values().size()));
  }
  const double sum_of_omega = update::SumOfOmega(totals.weight);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  crypto::Sha256Stream hash;
  const auto write = [&](ByteView bytes) {
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    hash.Update(bytes);
  };
  write(update::SafetensorsPrefix(global.layout(), metadata));
  std::vector<int64_t> sum;
  std::vector<float> chunk;
  for (size_t at = 0; at < update.size() && file; at += chunk.size()) {
    chunk.resize(std::min<size_t>(kChunk, update.size() - at));
    sum.resize(chunk.size());
    update.ReadSigned(at, absl::MakeSpan(sum));
    CLOISTER_RETURN_IF_ERROR(update::DequantizeMean(quantizer, at, sum, sum_of_omega, absl::MakeSpan(chunk)));
    CLOISTER_RETURN_IF_ERROR(rule(global.values().subspan(at, chunk.size()), absl::MakeSpan(chunk)));
    KeepVariances(global.layout(), at, absl::MakeSpan(chunk));
    write({reinterpret_cast<const char*>(chunk.data()), 4 * chunk.size()});
  }
  file.close();
  if (!file) return absl::ResourceExhaustedError("cannot write " + path.string() + ": is the disk full?");
  return hash.Finish();
}

}  // namespace cloister::plan
