// SPDX-License-Identifier: Apache-2.0
#include "coordinator/cli/show.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "coordinator/cli/terminal.h"
#include "protocols/base/clock.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/wire/names.h"

namespace cloister::coordinator {
namespace {

std::string Time(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(unix_ms), absl::UTCTimeZone());
}

std::string PhaseText(const wire::ExperimentStatus& status) {
  std::string text(wire::NameOf(status.phase));
  if (status.phase == wire::ExperimentPhase::kTraining) {
    text += fmt::format(" round {}/{}", status.round, status.rounds);
  }
  if (!wire::HasEnded(status.phase) && status.attempt > 1) {
    text += fmt::format(" attempt {}", status.attempt);
  }
  if (!wire::HasEnded(status.phase) && status.step) {
    text += fmt::format(" {}", wire::NameOf(*status.step));
  }
  return text;
}

std::string Note(const wire::ParticipantStatus& site) {
  if (site.refusal) {
    return fmt::format("{}: {}", wire::NameOf(*site.refusal), wire::Advice(*site.refusal));
  }
  if (site.failure) {
    return fmt::format("{}: {}", wire::NameOf(*site.failure), wire::Advice(*site.failure));
  }
  return "";
}

// A digest only when there is one.
Json HexOrNull(const std::optional<Digest>& digest) {
  return digest ? Json(digest->hex()) : Json();
}

}  // namespace

std::string Ago(int64_t unix_ms, absl::Time now) {
  if (unix_ms == 0) {
    return "never";
  }
  const int64_t seconds = std::max<int64_t>(0, (absl::ToUnixMillis(now) - unix_ms) / 1000);
  if (seconds < 60) {
    return fmt::format("{} s ago", seconds);
  }
  if (seconds < 3600) {
    return fmt::format("{} min ago", seconds / 60);
  }
  return seconds < 48 * 3600 ? fmt::format("{} h ago", seconds / 3600) : fmt::format("{} days ago", seconds / 86400);
}

std::string GatesText(const std::vector<wire::GateStatus>& gates) {
  std::vector<std::vector<std::string>> rows = {{"GATE", "MODEL", "WHERE", "VERDICT", "DETAIL"}};
  for (const wire::GateStatus& gate : gates) {
    rows.push_back({gate.rule, gate.model_id, gate.scope, gate.verdict, gate.detail});
  }
  return rows.size() > 1 ? Columns(rows) : "";
}

std::string ExperimentText(const wire::ExperimentStatus& status) {
  std::vector<std::vector<std::string>> facts = {{status.job.value(), PhaseText(status)},
                                                 {"experiment", status.name},
                                                 {"task", status.task},
                                                 {"plan", status.plan_digest.hex()},
                                                 {"submitted", Time(status.submitted_unix_ms)}};
  if (status.model) {
    facts.push_back({"newest model", status.model->hex()});
  }
  if (status.release) {
    facts.push_back({"release", status.release->value()});
  }
  if (!status.message.empty()) {
    facts.push_back({"now", status.message});
  }
  std::vector<std::vector<std::string>> sites = {{"SITE", "STATE", "NOTE"}};
  for (const wire::ParticipantStatus& site : status.sites) {
    sites.push_back({site.site.value(), site.state, Note(site)});
  }
  std::string text = Columns(facts);
  if (sites.size() > 1) {
    text += "\n" + Columns(sites);
  }
  if (!status.gates.empty()) {
    text += "\n" + GatesText(status.gates);
  }
  return text;
}

std::string ExperimentsText(const std::vector<wire::ExperimentStatus>& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {{"JOB", "EXPERIMENT", "PHASE", "SUBMITTED", "NOW"}};
  for (const wire::ExperimentStatus& status : list) {
    rows.push_back(
        {status.job.value(), status.name, PhaseText(status), Ago(status.submitted_unix_ms, now), status.message});
  }
  return rows.size() > 1 ? Columns(rows)
                         : "No experiments yet; submit one with: cloister experiment submit FILE.yaml\n";
}

std::string ReleasesText(const std::vector<wire::ReleaseStatus>& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {{"RELEASE", "VERSION", "JOB", "PUBLISHED", "IN USE AT"}};
  for (const wire::ReleaseStatus& release : list) {
    size_t active = 0;
    for (const wire::SiteReleaseState& site : release.sites) {
      active += site.state == wire::ReleaseState::kActive ? 1 : 0;
    }
    rows.push_back({release.release.value(), release.version, release.job.value(), Ago(release.published_unix_ms, now),
                    fmt::format("{} of {} sites", active, release.sites.size())});
  }
  return rows.size() > 1 ? Columns(rows) : "No releases yet.\n";
}

absl::StatusOr<std::string> ReleaseText(const wire::ReleaseStatus& release) {
  CLOISTER_ASSIGN_OR_RETURN(const plan::ReleaseManifest manifest, plan::ParseRelease(release.manifest.document));
  std::vector<std::vector<std::string>> facts = {
      {release.release.value(), release.version},
      {"job", release.job.value()},
      {"task", fmt::format("{} ({})", manifest.task.name, manifest.task.title_en)},
      {"model", fmt::format("{}, {} member{}, {}", manifest.architecture, manifest.members.size(),
                            manifest.members.size() == 1 ? "" : "s", manifest.combiner)},
      {"operating point", fmt::format("{:.4f} ({})", manifest.operating_point, manifest.operating_point_rule)},
      {"device UID", manifest.device_uid},
      {"published", manifest.published},
      {"plan", manifest.plan.hex()},
      {"manifest", crypto::Sha256(release.manifest.document).hex()}};
  for (const plan::ReleaseMember& member : manifest.members) {
    facts.push_back({"member " + member.id, member.model.hex()});
  }
  std::vector<std::vector<std::string>> sites = {{"SITE", "STATE", "NOTE"}};
  for (const wire::SiteReleaseState& site : release.sites) {
    sites.push_back({site.site.value(), std::string(wire::NameOf(site.state)), std::string(wire::Advice(site.state))});
  }
  std::vector<wire::GateStatus> gates;
  for (const plan::GateResult& gate : manifest.gates) {
    gates.push_back({gate.rule, gate.model_id, gate.scope, gate.verdict, gate.detail});
  }
  return Columns(facts) + "\n" + Columns(sites) + "\n" + GatesText(gates);
}

std::string SitesText(const std::vector<wire::SiteStatus>& list, absl::Time now) {
  std::vector<std::vector<std::string>> rows = {{"SITE", "LAST SEEN", "AGENT", "CERTIFICATE UNTIL"}};
  for (const wire::SiteStatus& site : list) {
    const absl::Time expires = absl::FromUnixMillis(site.certificate_expires_unix_ms);
    rows.push_back({site.site.value(), Ago(site.last_seen_unix_ms, now), site.agent_version,
                    site.certificate_expires_unix_ms == 0 ? "unknown"
                                                          : absl::FormatTime("%Y-%m-%d", expires, absl::UTCTimeZone()) +
                                                                (expires < now ? " (expired)" : "")});
  }
  return rows.size() > 1 ? Columns(rows) : "No site has connected yet.\n";
}

Json ToJson(const wire::ExperimentStatus& status) {
  Json sites = Json::array(), gates = Json::array();
  for (const wire::ParticipantStatus& site : status.sites) {
    Json entry = {{"site", site.site.value()}, {"state", site.state}};
    if (site.refusal) {
      entry["refusal"] = std::string(wire::NameOf(*site.refusal));
    }
    if (site.failure) {
      entry["failure"] = std::string(wire::NameOf(*site.failure));
    }
    sites.push_back(std::move(entry));
  }
  for (const wire::GateStatus& gate : status.gates) {
    gates.push_back({{"rule", gate.rule},
                     {"model", gate.model_id},
                     {"scope", gate.scope},
                     {"verdict", gate.verdict},
                     {"detail", gate.detail}});
  }
  return {{"job", status.job.value()},
          {"experiment", status.name},
          {"task", status.task},
          {"phase", std::string(wire::NameOf(status.phase))},
          {"round", status.round},
          {"rounds", status.rounds},
          {"attempt", status.attempt},
          {"step", status.step ? Json(std::string(wire::NameOf(*status.step))) : Json()},
          {"message", status.message},
          {"submitted", FormatUtc(absl::FromUnixMillis(status.submitted_unix_ms))},
          {"plan", status.plan_digest.hex()},
          {"model", HexOrNull(status.model)},
          {"release", status.release ? Json(status.release->value()) : Json()},
          {"sites", std::move(sites)},
          {"gates", std::move(gates)}};
}

Json ToJson(const wire::ExperimentEvent& event) {
  return {{"sequence", event.sequence},
          {"time", FormatUtc(absl::FromUnixMillis(event.time_unix_ms))},
          {"text", event.text},
          {"status", ToJson(event.status)}};
}

Json ToJson(const wire::ReleaseStatus& release) {
  Json sites = Json::array();
  for (const wire::SiteReleaseState& site : release.sites) {
    sites.push_back({{"site", site.site.value()}, {"state", std::string(wire::NameOf(site.state))}});
  }
  return {{"release", release.release.value()},
          {"job", release.job.value()},
          {"version", release.version},
          {"published", FormatUtc(absl::FromUnixMillis(release.published_unix_ms))},
          {"manifest", Json::parse(release.manifest.document, nullptr, false)},
          {"sites", std::move(sites)}};
}

Json ToJson(const wire::SiteStatus& site) {
  return {{"site", site.site.value()},
          {"first_seen", FormatUtc(absl::FromUnixMillis(site.first_seen_unix_ms))},
          {"last_seen", FormatUtc(absl::FromUnixMillis(site.last_seen_unix_ms))},
          {"agent_version", site.agent_version},
          {"certificate_expires", FormatUtc(absl::FromUnixMillis(site.certificate_expires_unix_ms))}};
}

}  // namespace cloister::coordinator
