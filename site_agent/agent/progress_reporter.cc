// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/progress_reporter.h"

#include <fmt/format.h>

#include "protocols/base/log.h"

namespace cloister::site {
namespace {

constexpr absl::Duration kBetweenLines = absl::Seconds(5);
constexpr absl::Duration kBetweenRows = absl::Milliseconds(700);

}  // namespace

ProgressReporter::ProgressReporter(ProgressTable* table, const Clock* clock, std::string job, std::string step,
                                   int round, int rounds)
    : table_(table), clock_(clock) {
  row_.job = std::move(job);
  row_.step = std::move(step);
  row_.round = round;
  row_.rounds = rounds;
}

void ProgressReporter::operator()(const WorkerProgress& progress) {
  const absl::Time now = clock_->Now();
  row_.phase = progress.phase;
  row_.epoch = progress.epoch;
  row_.epochs = progress.epochs;
  row_.batch = progress.batch;
  row_.batches = progress.batches;
  row_.loss = progress.loss;
  row_.images_per_second = progress.images_per_second;
  row_.eta_seconds = progress.eta_seconds;
  row_.updated_unix_ms = absl::ToUnixMillis(now);
  const bool last = progress.batches > 0 && progress.batch >= progress.batches && progress.epoch >= progress.epochs;
  if (last || now - stored_ >= kBetweenRows) {
    stored_ = now;
    (void)table_->Put(row_);  // what people watch is not worth failing for
  }
  if (last || now - logged_ >= kBetweenLines) {
    logged_ = now;
    Log()->info("{}", ProgressText(row_));
  }
}

std::string ProgressText(const ProgressRow& row) {
  std::string text = row.step;
  if (row.round > 0) {
    text += fmt::format(" {}/{}", row.round, row.rounds);
  }
  if (!row.phase.empty() && row.phase != "train") {
    text += " " + row.phase;
  }
  if (row.epochs > 0) {
    text += fmt::format(" epoch {}/{}", row.epoch, row.epochs);
  }
  if (row.batches > 0) {
    text += fmt::format(" batch {}/{}", row.batch, row.batches);
  }
  if (row.phase == "train") {
    text += fmt::format(" loss {:.2f}", row.loss);
  }
  if (row.images_per_second > 0) {
    text += fmt::format(" {:.0f} images/s", row.images_per_second);
  }
  if (row.eta_seconds > 0) {
    text += fmt::format(" ETA {:.0f} s", row.eta_seconds);
  }
  return text;
}

}  // namespace cloister::site
