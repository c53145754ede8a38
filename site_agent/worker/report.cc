// SPDX-License-Identifier: Apache-2.0
// JSON out.

#include "site_agent/worker/report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "protocols/base/file.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

std::string Dump(const Json& json, int indent) {
  // A message may quote bytes of a broken file.
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

void PrintLine(const Json& json) {
  const std::string line = Dump(json, -1);
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

std::string_view FailureReasonName(FailureReason reason) {
  switch (reason) {
    case FailureReason::kBadJob:
      return "bad_job";
    case FailureReason::kSandbox:
      return "sandbox";
    case FailureReason::kBadModel:
      return "bad_model";
    case FailureReason::kBadData:
      return "bad_data";
    case FailureReason::kDiverged:
      return "diverged";
    case FailureReason::kOutOfMemory:
      return "out_of_memory";
    case FailureReason::kInputOutput:
      return "input_output";
    case FailureReason::kInternal:
      break;
  }
  return "internal";
}

Failure Classify(const absl::Status& status, FailureReason usual) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:  // a full disk says so too
      return {std::string(status.message()).find("out of memory") != std::string::npos ? FailureReason::kOutOfMemory
                                                                                       : FailureReason::kInputOutput,
              status};
    case absl::StatusCode::kOutOfRange:
      return {FailureReason::kDiverged, status};
    case absl::StatusCode::kUnavailable:
      return {FailureReason::kInputOutput, status};
    case absl::StatusCode::kInternal:
      return {FailureReason::kInternal, status};
    default:
      return {usual, status};
  }
}

bool ProgressWriter::Due(bool last) {
  const auto now = std::chrono::steady_clock::now();
  if (!last && now < next_) {
    return false;
  }
  next_ = now + std::chrono::milliseconds(250);
  return true;
}

void ProgressWriter::Train(const models::TrainProgress& progress) {
  if (!Due(progress.batch == progress.batches)) {
    return;
  }
  PrintLine({{"progress",
              {{"phase", "train"},
               {"epoch", progress.epoch},
               {"epochs", progress.epochs},
               {"batch", progress.batch},
               {"batches", progress.batches},
               {"loss", progress.loss},
               {"images_per_second", progress.images_per_second},
               {"eta_seconds", progress.eta_seconds}}}});
}

void ProgressWriter::Count(std::string_view phase, int64_t done, int64_t total) {
  if (Due(done == total)) {
    PrintLine({{"progress", {{"phase", std::string(phase)}, {"batch", done}, {"batches", total}}}});
  }
}

absl::Status WriteResult(const std::filesystem::path& job_folder, const Json& result) {
  return WriteFileAtomically(job_folder / "result.json", Dump(result, 1), 0600);
}

absl::Status WriteFailure(const std::filesystem::path& job_folder, const Failure& failure) {
  return WriteResult(job_folder, {{"error",
                                   {{"code", absl::StatusCodeToString(failure.status.code())},
                                    {"reason", std::string(FailureReasonName(failure.reason))},
                                    {"message", std::string(failure.status.message())}}}});
}

}  // namespace cloister::site
