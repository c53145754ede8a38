// SPDX-License-Identifier: Apache-2.0
#include "coordinator/web/pages.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/transport/page.h"

namespace cloister::coordinator {
namespace {

namespace parts = transport::parts;
using transport::EscapeHtml;
using transport::Tone;

constexpr int64_t kSeenLatelyMs = 120'000;

std::string Time(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(unix_ms), absl::LocalTimeZone());
}

std::string PhaseChip(const PageLanguage& language, wire::ExperimentPhase phase) {
  Tone tone = Tone::kActive;
  if (phase == wire::ExperimentPhase::kReleased) tone = Tone::kGood;
  if (phase == wire::ExperimentPhase::kFailed) tone = Tone::kBad;
  if (phase == wire::ExperimentPhase::kAborted) tone = Tone::kNeutral;
  return parts::Chip(std::string(wire::Title(phase, language.wire())), tone);
}

std::string StateChip(const std::string& state) {
  if (state == "refused" || state == "dropped") return parts::Chip(state, Tone::kBad);
  if (state == "working") return parts::Chip(state, Tone::kActive);
  if (state == "invited") return parts::Chip(state, Tone::kWarning);
  return parts::Chip(state, Tone::kGood);
}

std::string VerdictChip(const PageLanguage& language, const std::string& verdict) {
  if (verdict == "pass") return parts::Chip(language.Say("pass", "通过"), Tone::kGood);
  if (verdict == "fail") return parts::Chip(language.Say("fail", "未通过"), Tone::kBad);
  return parts::Chip(language.Say("not estimable", "无法估计"), Tone::kNeutral);
}

std::string RoundsBar(const PageLanguage& language, const wire::ExperimentStatus& experiment) {
  if (experiment.phase < wire::ExperimentPhase::kTraining) return "";
  const bool training = experiment.phase == wire::ExperimentPhase::kTraining && experiment.round > 0;
  const uint32_t done = training ? experiment.round - 1 : experiment.round;
  return parts::Progress(done, experiment.rounds,
                         fmt::format("{} {}/{}", language.Say("round", "轮次"), experiment.round, experiment.rounds));
}

std::string SitesTable(const PageLanguage& language, const wire::ExperimentStatus& experiment) {
  std::vector<std::vector<std::string>> rows;
  for (const wire::ParticipantStatus& site : experiment.sites) {
    std::string note;
    if (site.refusal) {
      note = fmt::format("{}: {}", wire::NameOf(*site.refusal), wire::Advice(*site.refusal, language.wire()));
    } else if (site.failure) {
      note = fmt::format("{}: {}", wire::NameOf(*site.failure), wire::Advice(*site.failure, language.wire()));
    }
    rows.push_back({EscapeHtml(site.site.value()), StateChip(site.state), EscapeHtml(note)});
  }
  return parts::Table({{language.Say("Site", "医院")}, {language.Say("State", "状态")}, {language.Say("Note", "说明")}},
                      rows, language.Say("No site has been invited yet.", "尚未邀请医院。"));
}

}  // namespace

std::string OverviewHtml(const PageLanguage& language, const std::vector<wire::ExperimentStatus>& experiments,
                         const std::vector<wire::ReleaseStatus>& releases, const std::vector<wire::SiteStatus>& sites,
                         absl::Time now) {
  const int64_t now_ms = absl::ToUnixMillis(now);
  const auto connected = std::count_if(sites.begin(), sites.end(), [&](const wire::SiteStatus& site) {
    return now_ms - site.last_seen_unix_ms < kSeenLatelyMs;
  });
  const auto running =
      std::count_if(experiments.begin(), experiments.end(),
                    [](const wire::ExperimentStatus& experiment) { return !wire::HasEnded(experiment.phase); });
  std::string html =
      parts::Figures({{language.Say("sites connected", "在线医院"), fmt::format("{} / {}", connected, sites.size())},
                      {language.Say("experiments running", "进行中的实验"), std::to_string(running)},
                      {language.Say("releases", "发布"), std::to_string(releases.size())}});
  std::string cards;
  for (auto experiment = experiments.rbegin(); experiment != experiments.rend(); ++experiment) {
    cards += parts::Card(experiment->name,
                         RoundsBar(language, *experiment) + "<p>" + EscapeHtml(experiment->message) + "</p><p>" +
                             parts::Link("/experiments/" + experiment->job.value(),
                                         language.Say("Sites, gates and models", "医院、门槛与模型")) +
                             " " + parts::Muted(experiment->job.value()) + "</p>",
                         PhaseChip(language, experiment->phase));
  }
  if (cards.empty()) {
    cards = parts::Notice(EscapeHtml(language.Say("No experiment yet. Submit one with: cloister experiment submit FILE",
                                                  "尚无实验。提交：cloister experiment submit FILE")),
                          Tone::kNeutral);
  }
  html += cards;

  std::vector<std::vector<std::string>> rows;
  for (auto release = releases.rbegin(); release != releases.rend(); ++release) {
    std::string states;
    for (const wire::SiteReleaseState& site : release->sites) {
      const bool active = site.state == wire::ReleaseState::kActive;
      states += parts::Chip(site.site.value() + ": " + std::string(wire::NameOf(site.state)),
                            active ? Tone::kGood : Tone::kNeutral) +
                " ";
    }
    rows.push_back(
        {EscapeHtml(release->release.value()), EscapeHtml(release->version), Time(release->published_unix_ms), states});
  }
  html += parts::Card(language.Say("Releases", "发布"), parts::Table({{language.Say("Release", "发布")},
                                                                      {language.Say("Version", "版本")},
                                                                      {language.Say("Published", "发布时间")},
                                                                      {language.Say("At the sites", "各医院状态")}},
                                                                     rows, language.Say("None yet.", "暂无。")));
  rows.clear();
  for (const wire::SiteStatus& site : sites) {
    const bool lately = now_ms - site.last_seen_unix_ms < kSeenLatelyMs;
    rows.push_back({EscapeHtml(site.site.value()),
                    parts::Chip(lately ? language.Say("connected", "在线") : language.Say("away", "离线"),
                                lately ? Tone::kGood : Tone::kWarning),
                    Time(site.last_seen_unix_ms), EscapeHtml(site.agent_version),
                    Time(site.certificate_expires_unix_ms)});
  }
  html += parts::Card(language.Say("Sites", "医院"),
                      parts::Table({{language.Say("Site", "医院")},
                                    {language.Say("State", "状态")},
                                    {language.Say("Last heard of", "最近联系")},
                                    {language.Say("Agent", "代理版本")},
                                    {language.Say("Certificate until", "证书有效期至")}},
                                   rows, language.Say("No site has connected yet.", "尚无医院连接。")));
  return html;
}

std::string ExperimentHtml(const PageLanguage& language, const wire::ExperimentStatus& experiment,
                           const std::vector<ModelRecord>& models) {
  std::string html = parts::Card(
      experiment.name,
      RoundsBar(language, experiment) +
          parts::Facts({{language.Say("Now", "当前"), EscapeHtml(experiment.message)},
                        {language.Say("Task", "任务"), EscapeHtml(experiment.task)},
                        {language.Say("Job", "作业"), EscapeHtml(experiment.job.value())},
                        {language.Say("Plan digest", "方案摘要"), parts::Hash(experiment.plan_digest.hex())},
                        {language.Say("Submitted", "提交时间"), Time(experiment.submitted_unix_ms)}}),
      PhaseChip(language, experiment.phase));
  html += parts::Card(language.Say("Sites", "医院"), SitesTable(language, experiment));

  std::vector<std::vector<std::string>> rows;
  for (const wire::GateStatus& gate : experiment.gates) {
    rows.push_back({EscapeHtml(gate.rule), EscapeHtml(gate.model_id), EscapeHtml(gate.scope),
                    VerdictChip(language, gate.verdict), EscapeHtml(gate.detail)});
  }
  html += parts::Card(language.Say("Gates", "门槛"),
                      parts::Table({{language.Say("Rule", "规则")},
                                    {language.Say("Candidate", "候选模型")},
                                    {language.Say("Where", "范围")},
                                    {language.Say("Verdict", "结论")},
                                    {language.Say("Numbers", "数值")}},
                                   rows, language.Say("Gates are judged after validation.", "验证后评定。")));
  rows.clear();
  for (const ModelRecord& model : models) {
    rows.push_back({EscapeHtml(model.id), std::to_string(model.samples), fmt::format("{:.4f}", model.loss),
                    std::to_string(model.sites.size()), parts::Hash(model.digest.hex())});
  }
  html += parts::Card(language.Say("Global models", "全局模型"),
                      parts::Table({{language.Say("Model", "模型")},
                                    {language.Say("Training cases", "训练病例"), true},
                                    {language.Say("Loss", "损失"), true},
                                    {language.Say("Sites", "医院"), true},
                                    {"SHA-256"}},
                                   rows, language.Say("No round has finished yet.", "尚无完成的轮次。")));
  return html;
}

}  // namespace cloister::coordinator
