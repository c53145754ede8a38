// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/watch.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "coordinator/cli/show.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
namespace {

std::string Line(const wire::ExperimentEvent& event) {
  return absl::FormatTime("%H:%M:%S  ", absl::FromUnixMillis(event.time_unix_ms), absl::LocalTimeZone()) + event.text +
         "\n";
}

int Conclude(const wire::ExperimentStatus& status, bool json, Terminal terminal) {
  if (!json) {
    if (!status.gates.empty()) {
      terminal.out << "\n" << GatesText(status.gates);
    }
    terminal.out << fmt::format("\n{}: {}{}\n", status.job.value(), wire::NameOf(status.phase),
                                status.message.empty() ? "" : ", " + status.message);
    if (status.release) {
      terminal.out << fmt::format("release {}; see: cloister release show {}\n", status.release->value(),
                                  status.release->value());
    }
  }
  switch (status.phase) {
    case wire::ExperimentPhase::kReleased:
      return 0;
    case wire::ExperimentPhase::kAborted:
      return kExitAborted;
    default:
      return kExitFailed;
  }
}

}  // namespace

absl::StatusOr<int> Watch(OperatorClient* client, const JobId& job, bool json, Terminal terminal,
                          transport::BackoffOptions backoff_options) {
  transport::Backoff backoff(backoff_options);
  uint64_t after = 0;
  bool connected = false;
  bool complained = false;
  for (;;) {
    const absl::Status status = client->WatchExperiment(job, after, [&](const wire::ExperimentEvent& event) {
      connected = true;
      complained = false;
      backoff.Reset();
      after = event.sequence;
      terminal.out << (json ? ToJson(event).dump() + "\n" : Line(event)) << std::flush;
    });
    if (status.ok()) {
      // The last event may be older than the end.
      CLOISTER_ASSIGN_OR_RETURN(const wire::ExperimentStatus end, client->GetExperiment(job));
      if (wire::HasEnded(end.phase)) {
        return Conclude(end, json, terminal);
      }
    } else if (!absl::IsUnavailable(status) || !connected) {
      return status;
    } else if (!complained) {
      terminal.err << status.message() << " (the experiment goes on; trying again)\n" << std::flush;
      complained = true;
    }
    absl::SleepFor(backoff.Next());
  }
}

}  // namespace cloister::coordinator
