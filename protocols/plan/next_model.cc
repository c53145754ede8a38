// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/next_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "protocols/plan/sums.h"
#include "protocols/update/aggregation.h"
#include "protocols/update/weight.h"

namespace cloister::plan {
namespace {

constexpr size_t kChunk = size_t{1} << 18;  // parameters

}  // namespace

absl::Status WriteNextModel(const std::filesystem::path& path, const Experiment& experiment,
                            const update::MappedModel& global, absl::Span<const uint32_t> update,
                            absl::Span<const uint64_t> counters, const std::map<std::string, std::string>& metadata) {
  CLOISTER_ASSIGN_OR_RETURN(const TrainCounters totals, DecodeTrainCounters({counters.begin(), counters.end()}));
  CLOISTER_ASSIGN_OR_RETURN(const update::QuantPlan quantizer, QuantizerOf(experiment));
  CLOISTER_ASSIGN_OR_RETURN(const update::AggregationRule rule, update::FindAggregationRule(experiment.algorithm.name));
  if (global.values().size() != update.size()) {
    return absl::DataLossError(
        fmt::format("the sum has {} values, the model {}", update.size(), global.values().size()));
  }
  const double sum_of_omega = update::SumOfOmega(totals.weight);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  const Bytes prefix = update::SafetensorsPrefix(global.layout(), metadata);
  file.write(prefix.data(), static_cast<std::streamsize>(prefix.size()));
  std::vector<float> chunk;
  for (size_t at = 0; at < update.size() && file; at += chunk.size()) {
    chunk.resize(std::min(kChunk, update.size() - at));
    CLOISTER_RETURN_IF_ERROR(
        update::DequantizeMean(quantizer, update.subspan(at, chunk.size()), sum_of_omega, absl::MakeSpan(chunk)));
    CLOISTER_RETURN_IF_ERROR(rule(global.values().subspan(at, chunk.size()), absl::MakeSpan(chunk)));
    file.write(reinterpret_cast<const char*>(chunk.data()), static_cast<std::streamsize>(4 * chunk.size()));
  }
  file.close();
  return file ? absl::OkStatus()
              : absl::ResourceExhaustedError("cannot write " + path.string() + ": is the disk full?");
}

}  // namespace cloister::plan
