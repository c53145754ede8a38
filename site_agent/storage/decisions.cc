// SPDX-License-Identifier: Apache-2.0
#include "site_agent/storage/decisions.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace cloister::site {
namespace {

constexpr size_t kMostText = 500;

absl::Status CheckText(const std::string& text, const std::string& what) {
  if (text.size() > kMostText) {
    return absl::InvalidArgumentError(
        fmt::format("{} has {} bytes; at most {} are kept", what, text.size(), kMostText));
  }
  const bool control = std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return control ? absl::InvalidArgumentError(what + " is one line of text, without control characters")
                 : absl::OkStatus();
}

absl::Status CheckPerson(const std::string& person) {
  if (person.find_first_not_of(' ') == std::string::npos) {
    return absl::InvalidArgumentError("a decision needs the name of who decides");
  }
  return CheckText(person, "the name");
}

// The decision as the audit log has it: the account, and the name that was given.
absl::Status Note(SiteStore* store, const std::string& actor, const std::string& action, const std::string& subject,
                  const nlohmann::json& detail, int64_t time_unix_ms) {
  audit::Event event;
  event.time = absl::FromUnixMillis(time_unix_ms);
  event.actor = actor;
  event.action = action;
  event.subject = subject;
  event.detail = detail.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return store->audit().Append(event).status();
}

std::string WhyNot(const ReleaseRow& release, SignOffDecision decision) {
  const std::string name = release.release.value();
  switch (release.state) {
    case ReleaseState::kOffered:
      return fmt::format("release {} has not been validated here yet: wait until the agent has", name);
    case ReleaseState::kVerified:
      return fmt::format("release {} is not in use, so there is nothing to roll back: decline it instead", name);
    case ReleaseState::kGateFailed:
      return fmt::format("release {} did not pass this site's own gate ({}), so it cannot be used here", name,
                         release.detail);
    case ReleaseState::kActive:
      return fmt::format("release {} is in use{}", name,
                         decision == SignOffDecision::kDecline ? ": roll it back to stop using it" : " already");
    case ReleaseState::kInvalid:
      return fmt::format("release {} is not genuine ({}): tell the coordinator's operator", name, release.detail);
    case ReleaseState::kDeclined:
    case ReleaseState::kRolledBack:
    case ReleaseState::kSuperseded:
      return fmt::format("release {} is {} ({}): nothing more can be decided about it", name,
                         ReleaseStateName(release.state), release.detail);
  }
  return "unknown state";
}

}  // namespace

absl::Status DecideExperiment(SiteStore* store, const ApprovalRow& row, const std::string& actor) {
  CLOISTER_RETURN_IF_ERROR(CheckPerson(row.person));
  CLOISTER_RETURN_IF_ERROR(CheckText(row.comment, "the comment"));
  CLOISTER_ASSIGN_OR_RETURN(const ExperimentRow experiment, store->experiments().Get(row.job));
  if (experiment.plan_digest != row.plan_digest) {
    return absl::NotFoundError(
        fmt::format("{} was not offered here with the plan {}", row.job.value(), row.plan_digest.hex()));
  }
  const bool approved = row.decision == ApprovalDecision::kApproved;
  if (experiment.state == ExperimentState::kClosed) {
    return absl::FailedPreconditionError(
        fmt::format("{} has ended ({}): there is nothing to decide", experiment.job.value(), experiment.closed_phase));
  }
  if (experiment.state == ExperimentState::kAccepted && !approved) {
    return absl::FailedPreconditionError(
        fmt::format("this site takes part in {} already; to leave, ask {} to abort it, or stop the agent",
                    experiment.job.value(), experiment.sponsor));
  }
  CLOISTER_RETURN_IF_ERROR(Note(store, actor, approved ? "approve" : "decline", row.plan_digest.hex(),
                                {{"job", experiment.job.value()}, {"person", row.person}}, row.time_unix_ms));
  return store->experiments().AddApproval(row);
}

absl::Status DecideRelease(SiteStore* store, const SignOffRow& row, const std::string& actor) {
  CLOISTER_RETURN_IF_ERROR(CheckPerson(row.person));
  CLOISTER_RETURN_IF_ERROR(CheckText(row.role, "the role"));
  CLOISTER_RETURN_IF_ERROR(CheckText(row.comment, "the comment"));
  CLOISTER_ASSIGN_OR_RETURN(const ReleaseRow release, store->releases().Get(row.release));
  const ReleaseState needed =
      row.decision == SignOffDecision::kRollback ? ReleaseState::kActive : ReleaseState::kVerified;
  if (release.state != needed) {
    return absl::FailedPreconditionError(WhyNot(release, row.decision));
  }
  CLOISTER_RETURN_IF_ERROR(Note(store, actor, fmt::format("sign-off {}", SignOffDecisionName(row.decision)),
                                row.release.value(), {{"person", row.person}, {"role", row.role}}, row.time_unix_ms));
  return store->releases().AddSignOff(row);
}

}  // namespace cloister::site
