// SPDX-License-Identifier: Apache-2.0
#include "coordinator/web/pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/web/parts.h"

namespace cloister::coordinator {
namespace {

namespace parts = transport::parts;
using transport::EscapeHtml;
using transport::Tone;

constexpr int64_t kOnlineMs = 15 * 60 * 1000;  // longer than any long poll
constexpr int64_t kExpiresSoonMs = int64_t{30} * 24 * 3600 * 1000;

bool IsOnline(const PageContext& context, const wire::SiteStatus& site) {
  return absl::ToUnixMillis(context.now) - site.last_seen_unix_ms < kOnlineMs;
}

std::string ProgressOf(const PageContext& context, const wire::ExperimentStatus& experiment) {
  const Steps steps = StepsOf(experiment);
  std::string label = std::string(wire::Title(experiment.phase, context.language));
  if (experiment.phase == wire::ExperimentPhase::kTraining) {
    label = fmt::format(context.Say("Round {} of {}", "第 {} 轮，共 {} 轮"), experiment.round, experiment.rounds);
    if (experiment.attempt > 0) {
      label += fmt::format(context.Say(", attempt {}", "，第 {} 次尝试"), experiment.attempt + 1);
    }
  }
  return parts::Progress(steps.done, steps.total, label);
}

std::string MessageNotice(const wire::ExperimentStatus& experiment) {
  const Tone tone = experiment.phase == wire::ExperimentPhase::kFailed     ? Tone::kBad
                    : experiment.phase == wire::ExperimentPhase::kAborted  ? Tone::kWarning
                    : experiment.phase == wire::ExperimentPhase::kReleased ? Tone::kGood
                                                                           : Tone::kActive;
  return experiment.message.empty() ? "" : parts::Notice(EscapeHtml(experiment.message), tone);
}

std::string ExperimentCard(const PageContext& context, const wire::ExperimentStatus& experiment) {
  std::string sites;
  for (const wire::ParticipantStatus& site : experiment.sites) {
    sites += fmt::format("<span style=\"display:inline-block;margin:0 14px 6px 0\">{} {}</span>",
                         EscapeHtml(site.site.value()), ParticipantChip(context, site));
  }
  const std::string html = ProgressOf(context, experiment) + "<p class=\"muted\">" + EscapeHtml(experiment.message) +
                           "</p>" + "<div>" + sites + "</div>";
  return fmt::format(R"(<section class="card"><div class="head"><h2>{}</h2><span>{}</span></div>{}</section>)",
                     parts::Link("/experiments/" + experiment.job.value(), experiment.job.value()),
                     parts::Muted(fmt::format("{} · {}", experiment.task, Minute(experiment.submitted_unix_ms))) + " " +
                         PhaseChip(context, experiment.phase),
                     html);
}

std::string SitesTable(const PageContext& context, const std::vector<wire::SiteStatus>& sites) {
  std::vector<std::vector<std::string>> rows;
  const int64_t now = absl::ToUnixMillis(context.now);
  for (const wire::SiteStatus& site : sites) {
    const bool soon = site.certificate_expires_unix_ms - now < kExpiresSoonMs;
    rows.push_back({EscapeHtml(site.site.value()),
                    IsOnline(context, site) ? parts::Chip(context.Say("online", "在线"), Tone::kGood)
                                            : parts::Chip(context.Say("not heard of", "失联"), Tone::kWarning),
                    EscapeHtml(Ago(context, site.last_seen_unix_ms)), EscapeHtml(site.agent_version),
                    soon ? parts::Chip(Ago(context, site.certificate_expires_unix_ms), Tone::kWarning)
                         : EscapeHtml(Ago(context, site.certificate_expires_unix_ms)),
                    EscapeHtml(Minute(site.first_seen_unix_ms))});
  }
  return parts::Table({{context.Say("Site", "医院")},
                       {context.Say("State", "状态")},
                       {context.Say("Last heard", "最近联系")},
                       {context.Say("Agent", "代理版本")},
                       {context.Say("Certificate expires", "证书到期")},
                       {context.Say("First seen (UTC)", "首次出现 (UTC)")}},
                      rows, context.Say("No site has called yet.", "还没有医院连接。"));
}

std::string ReleasesTable(const PageContext& context, const std::vector<wire::ReleaseStatus>& releases) {
  std::vector<std::vector<std::string>> rows;
  for (auto release = releases.rbegin(); release != releases.rend(); ++release) {
    const auto active =
        std::count_if(release->sites.begin(), release->sites.end(),
                      [](const wire::SiteReleaseState& site) { return site.state == wire::ReleaseState::kActive; });
    rows.push_back({parts::Link("/releases/" + release->release.value(), release->release.value()),
                    EscapeHtml(release->version), EscapeHtml(Minute(release->published_unix_ms)),
                    fmt::format("{} / {}", active, release->sites.size())});
  }
  return parts::Table({{context.Say("Release", "发布")},
                       {context.Say("Version", "版本")},
                       {context.Say("Published (UTC)", "发布时间 (UTC)")},
                       {context.Say("Active at", "启用医院"), true}},
                      rows, context.Say("Nothing has been released yet.", "还没有发布。"));
}

std::string RoundsTable(const PageContext& context, const std::vector<ModelRecord>& models) {
  std::vector<std::vector<std::string>> rows;
  for (auto model = models.rbegin(); model != models.rend(); ++model) {
    const bool initial = model->round == 0;
    std::string sites;
    for (const SiteId& site : model->sites) {
      sites += (sites.empty() ? "" : ", ") + site.value();
    }
    rows.push_back({EscapeHtml(model->id), initial ? "" : fmt::format("{:.4f}", model->loss),
                    initial ? "" : fmt::format("{}", model->samples),
                    initial ? "" : fmt::format("{}", model->sites.size()), EscapeHtml(sites),
                    parts::Hash(model->digest.hex()), EscapeHtml(Size(model->size_bytes)),
                    EscapeHtml(Minute(model->made_ms))});
  }
  return parts::Table({{context.Say("Model", "模型")},
                       {context.Say("Loss", "损失"), true},
                       {context.Say("Samples", "样本"), true},
                       {context.Say("Sites", "医院数"), true},
                       {context.Say("In the sum", "参与医院")},
                       {"SHA-256"},
                       {context.Say("Size", "大小"), true},
                       {context.Say("Made (UTC)", "时间 (UTC)")}},
                      rows, "");
}

// The column with reasons is there when somebody has one.
std::string ParticipantsTable(const PageContext& context, const std::vector<wire::ParticipantStatus>& sites) {
  std::vector<parts::Column> columns = {{context.Say("Site", "医院")}, {context.Say("State", "状态")}};
  const bool reasons = std::any_of(sites.begin(), sites.end(), [](const wire::ParticipantStatus& site) {
    return site.refusal.has_value() || site.failure.has_value();
  });
  if (reasons) {
    columns.push_back({context.Say("What it means", "说明")});
  }
  std::vector<std::vector<std::string>> rows;
  for (const wire::ParticipantStatus& site : sites) {
    rows.push_back({EscapeHtml(site.site.value()), ParticipantChip(context, site)});
    if (reasons) {
      rows.back().push_back(EscapeHtml(std::string(site.refusal   ? wire::Advice(*site.refusal, context.language)
                                                   : site.failure ? wire::Advice(*site.failure, context.language)
                                                                  : "")));
    }
  }
  return parts::Table(columns, rows, context.Say("Nobody has been invited yet.", "还没有邀请任何医院。"));
}

// A remark beside a card's heading.
std::string Aside(const std::string& text) {
  return "<span class=\"muted\" style=\"font-size:13px\">" + EscapeHtml(text) + "</span>";
}

std::string EventsList(const PageContext& context, const std::vector<wire::ExperimentEvent>& events) {
  std::vector<std::vector<std::string>> rows;
  for (const wire::ExperimentEvent& event : events) {
    rows.push_back({parts::Muted(absl::FormatTime("%m-%d %H:%M:%S", absl::FromUnixMillis(event.time_unix_ms),
                                                  absl::UTCTimeZone())),
                    EscapeHtml(event.text)});
  }
  return parts::Table({{context.Say("Time (UTC)", "时间 (UTC)")}, {context.Say("What happened", "事件")}}, rows, "");
}

}  // namespace

Steps StepsOf(const wire::ExperimentStatus& experiment) {
  const int rounds = static_cast<int>(experiment.rounds);
  Steps steps{0, rounds + 3};
  switch (experiment.phase) {
    case wire::ExperimentPhase::kInviting:
    case wire::ExperimentPhase::kBaselines:
      break;
    case wire::ExperimentPhase::kTraining:
      steps.done = std::max(static_cast<int>(experiment.round), 1);
      break;
    case wire::ExperimentPhase::kValidating:
      steps.done = rounds + 1;
      break;
    case wire::ExperimentPhase::kCalibrating:
      steps.done = rounds + 2;
      break;
    case wire::ExperimentPhase::kReleased:
      steps.done = steps.total;
      break;
    case wire::ExperimentPhase::kFailed:
    case wire::ExperimentPhase::kAborted:
      steps.done = static_cast<int>(experiment.round);
      break;
  }
  return steps;
}

std::string OverviewHtml(const PageContext& context, const std::vector<wire::ExperimentStatus>& experiments,
                         const std::vector<wire::SiteStatus>& sites, const std::vector<wire::ReleaseStatus>& releases) {
  const auto running = std::count_if(experiments.begin(), experiments.end(), [](const wire::ExperimentStatus& status) {
    return !wire::HasEnded(status.phase);
  });
  const auto online =
      std::count_if(sites.begin(), sites.end(), [&](const wire::SiteStatus& site) { return IsOnline(context, site); });
  std::string html =
      parts::Figures({{context.Say("Experiments running", "进行中的实验"), fmt::format("{}", running)},
                      {context.Say("Experiments in all", "实验总数"), fmt::format("{}", experiments.size())},
                      {context.Say("Sites online", "在线医院"), fmt::format("{} / {}", online, sites.size())},
                      {context.Say("Releases", "发布"), fmt::format("{}", releases.size())}});
  if (experiments.empty()) {
    html += parts::Notice(context.Say("No experiment has been submitted. An operator does so with "
                                      "<code>cloister experiment submit FILE</code>.",
                                      "还没有提交实验。操作员可运行 <code>cloister experiment submit FILE</code>。"),
                          Tone::kNeutral);
  }
  for (auto experiment = experiments.rbegin(); experiment != experiments.rend(); ++experiment) {
    html += ExperimentCard(context, *experiment);
  }
  html += parts::Card(context.Say("Sites", "医院"), SitesTable(context, sites));
  html += parts::Card(context.Say("Releases", "发布"), ReleasesTable(context, releases));
  return html;
}

std::string ExperimentHtml(const PageContext& context, const wire::ExperimentStatus& experiment,
                           const std::vector<ModelRecord>& models, const std::vector<wire::ExperimentEvent>& events) {
  std::string html = MessageNotice(experiment);
  uint64_t samples = 0;
  for (const ModelRecord& model : models) {
    samples = std::max(samples, model.samples);
  }
  const auto taking_part = std::count_if(experiment.sites.begin(), experiment.sites.end(), [](const auto& site) {
    return site.state != "invited" && site.state != "refused";
  });
  html += parts::Figures(
      {{context.Say("Round", "轮次"), fmt::format("{} / {}", experiment.round, experiment.rounds)},
       {context.Say("Sites taking part", "参与医院"), fmt::format("{} / {}", taking_part, experiment.sites.size())},
       {context.Say("Training cases", "训练样本"), samples == 0 ? "–" : fmt::format("{}", samples)},
       {context.Say("Step of the sum", "求和步骤"),
        experiment.step ? std::string(wire::NameOf(*experiment.step)) : std::string("–")}});

  html += parts::Card(context.Say("Progress", "进度"), ProgressOf(context, experiment),
                      PhaseChip(context, experiment.phase));
  html += parts::Card(context.Say("Sites", "医院"), ParticipantsTable(context, experiment.sites));
  html += parts::Card(context.Say("Models", "模型"), LossChart(context, models) + RoundsTable(context, models),
                      Aside(context.Say("each the sum of at least the minimum of sites; no single site's update is "
                                        "ever seen here",
                                        "每个模型都是至少达到最低医院数的求和；此处看不到任何单个医院的更新")));
  if (!experiment.gates.empty()) {
    html += parts::Card(context.Say("Gates", "门限"), GatesHtml(context, experiment.gates),
                        Aside(context.Say("written down before training began", "训练前预先登记")));
  }
  std::vector<std::pair<std::string, std::string>> facts = {
      {context.Say("Task", "任务"), EscapeHtml(experiment.task)},
      {context.Say("Submitted (UTC)", "提交时间 (UTC)"), EscapeHtml(Minute(experiment.submitted_unix_ms))},
      {context.Say("Plan", "计划"), parts::Hash(experiment.plan_digest.hex())}};
  if (experiment.release) {
    facts.push_back({context.Say("Release", "发布"),
                     parts::Link("/releases/" + experiment.release->value(), experiment.release->value())});
  }
  html += parts::Card(context.Say("Provenance", "来源"), parts::Facts(facts));
  html += parts::Card(context.Say("What happened", "事件"), EventsList(context, events),
                      Aside(context.Say("newest first", "最新在前")));
  return html;
}

std::string ReleaseHtml(const PageContext& context, const wire::ReleaseStatus& release,
                        const plan::ReleaseManifest& manifest) {
  const auto active = std::count_if(release.sites.begin(), release.sites.end(), [](const wire::SiteReleaseState& site) {
    return site.state == wire::ReleaseState::kActive;
  });
  std::string html =
      parts::Figures({{context.Say("Version", "版本"), manifest.version},
                      {context.Say("Members", "成员"), fmt::format("{}", manifest.members.size())},
                      {context.Say("Operating point", "工作点"), fmt::format("{:.3f}", manifest.operating_point)},
                      {context.Say("Active at", "启用医院"), fmt::format("{} / {}", active, release.sites.size())}});
  std::vector<std::vector<std::string>> sites;
  for (const wire::SiteReleaseState& site : release.sites) {
    sites.push_back({EscapeHtml(site.site.value()), ReleaseChip(context, site.state),
                     EscapeHtml(std::string(wire::Advice(site.state, context.language)))});
  }
  html += parts::Card(context.Say("Sites", "医院"), parts::Table({{context.Say("Site", "医院")},
                                                                  {context.Say("State", "状态")},
                                                                  {context.Say("What it means", "说明")}},
                                                                 sites, ""));
  std::vector<std::vector<std::string>> members;
  for (const plan::ReleaseMember& member : manifest.members) {
    members.push_back({EscapeHtml(member.id), parts::Hash(member.model.hex()), EscapeHtml(Size(member.size_bytes))});
  }
  html += parts::Card(
      context.Say("Members", "成员"),
      parts::Table({{context.Say("Model", "模型")}, {"SHA-256"}, {context.Say("Size", "大小"), true}}, members, ""));
  std::vector<wire::GateStatus> gates;
  for (const plan::GateResult& gate : manifest.gates) {
    gates.push_back({gate.rule, gate.model_id, gate.scope, gate.verdict, gate.detail});
  }
  if (!gates.empty()) {
    html += parts::Card(context.Say("Gates", "门限"), GatesHtml(context, gates));
  }
  std::string trained_at;
  for (const std::string& site : manifest.sites) {
    trained_at += (trained_at.empty() ? "" : ", ") + site;
  }
  html += parts::Card(
      context.Say("Provenance", "来源"),
      parts::Facts({{context.Say("Experiment", "实验"),
                     parts::Link("/experiments/" + manifest.job.value(), manifest.job.value())},
                    {context.Say("Plan", "计划"), parts::Hash(manifest.plan.hex())},
                    {context.Say("Task", "任务"),
                     EscapeHtml(context.Say(manifest.task.title_en.c_str(), manifest.task.title_zh.c_str()))},
                    {context.Say("Architecture", "结构"), EscapeHtml(manifest.architecture)},
                    {context.Say("Combiner", "组合方式"), EscapeHtml(manifest.combiner)},
                    {context.Say("Operating point", "工作点"), EscapeHtml(manifest.operating_point_rule)},
                    {context.Say("Rounds", "轮数"), fmt::format("{}", manifest.rounds)},
                    {context.Say("Trained at", "训练医院"), EscapeHtml(trained_at)},
                    {context.Say("Device UID", "设备 UID"), "<code>" + EscapeHtml(manifest.device_uid) + "</code>"},
                    {context.Say("Code version", "代码版本"), EscapeHtml(manifest.code_version)},
                    {context.Say("Published", "发布时间"), EscapeHtml(manifest.published)}}));
  return html;
}

std::string StatusJson(const std::vector<wire::ExperimentStatus>& experiments,
                       const std::vector<wire::SiteStatus>& sites, const std::vector<wire::ReleaseStatus>& releases) {
  using nlohmann::json;
  json out = {{"experiments", json::array()}, {"sites", json::array()}, {"releases", json::array()}};
  for (const wire::ExperimentStatus& e : experiments) {
    json participants = json::array();
    for (const wire::ParticipantStatus& site : e.sites) {
      participants.push_back({{"site", site.site.value()}, {"state", site.state}});
    }
    const Steps steps = StepsOf(e);
    out["experiments"].push_back({{"job", e.job.value()},
                                  {"task", e.task},
                                  {"phase", std::string(wire::NameOf(e.phase))},
                                  {"round", e.round},
                                  {"rounds", e.rounds},
                                  {"attempt", e.attempt},
                                  {"steps_done", steps.done},
                                  {"steps", steps.total},
                                  {"message", e.message},
                                  {"sites", std::move(participants)},
                                  {"release", e.release ? e.release->value() : ""},
                                  {"model", e.model ? e.model->hex() : ""}});
  }
  for (const wire::SiteStatus& site : sites) {
    out["sites"].push_back({{"site", site.site.value()},
                            {"last_seen_unix_ms", site.last_seen_unix_ms},
                            {"agent_version", site.agent_version},
                            {"certificate_expires_unix_ms", site.certificate_expires_unix_ms}});
  }
  for (const wire::ReleaseStatus& release : releases) {
    json at = json::array();
    for (const wire::SiteReleaseState& site : release.sites) {
      at.push_back({{"site", site.site.value()}, {"state", std::string(wire::NameOf(site.state))}});
    }
    out["releases"].push_back({{"release", release.release.value()},
                               {"version", release.version},
                               {"published_unix_ms", release.published_unix_ms},
                               {"sites", std::move(at)}});
  }
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace cloister::coordinator
