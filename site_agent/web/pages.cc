// SPDX-License-Identifier: Apache-2.0
#include "site_agent/web/pages.h"

#include <fmt/format.h>

#include <algorithm>

#include "protocols/plan/documents.h"
#include "protocols/plan/experiment.h"
#include "site_agent/policy/privacy_words.h"
#include "site_agent/storage/agent_life.h"

namespace cloister::site {
namespace {

namespace parts = transport::parts;
using transport::EscapeHtml;
using transport::Tone;

constexpr size_t kEventsShown = 12;
constexpr size_t kOutboundShown = 200;

std::string Time(int64_t unix_ms) {
  return unix_ms == 0 ? ""
                      : absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(unix_ms), absl::LocalTimeZone());
}

std::string ExperimentChip(const PageContext& context, const ExperimentRow& row) {
  switch (row.state) {
    case ExperimentState::kOffered:
      return parts::Chip(context.Say("waiting for approval", "等待批准"), Tone::kWarning);
    case ExperimentState::kAccepted:
      return parts::Chip(context.Say("taking part", "参与中"), Tone::kActive);
    case ExperimentState::kRefused:
      return parts::Chip(context.Say("refused", "已拒绝"), Tone::kBad);
    case ExperimentState::kClosed:
      return parts::Chip(context.Say("ended", "已结束") + (row.closed_phase.empty() ? "" : ": " + row.closed_phase),
                         row.closed_phase == "released" ? Tone::kGood : Tone::kNeutral);
  }
  return "";
}

std::string ProgressHtml(const PageContext& context, const std::vector<ProgressRow>& rows) {
  std::string html;
  for (const ProgressRow& row : rows) {
    std::string label = row.step;
    if (row.rounds > 0) label += fmt::format(" {}/{}", row.round, row.rounds);
    if (row.epochs > 0) label += fmt::format(" · {} {}/{}", context.Say("epoch", "轮次"), row.epoch, row.epochs);
    if (row.loss > 0) label += fmt::format(" · {} {:.3f}", context.Say("loss", "损失"), row.loss);
    if (row.images_per_second > 0) {
      label += fmt::format(" · {:.0f} {}", row.images_per_second, context.Say("images/s", "图像/秒"));
    }
    if (row.eta_seconds > 0) label += fmt::format(" · {} {:.0f} s", context.Say("left", "剩余"), row.eta_seconds);
    html += parts::Progress(row.batch, std::max(row.batches, 1), label);
  }
  return html.empty() ? parts::Muted(context.Say("Nothing is running.", "当前没有任务。")) : html;
}

// The two buttons under an experiment that waits, or nothing.
std::string ApprovalForms(const PageContext& context, const ExperimentRow& row) {
  if (row.state == ExperimentState::kClosed) return "";
  const std::vector<std::pair<std::string, std::string>> plan = {{"job", row.job.value()},
                                                                 {"plan", row.plan_digest.hex()}};
  const auto with = [&](const char* decision) {
    auto hidden = plan;
    hidden.emplace_back("decision", decision);
    return hidden;
  };
  std::string html;
  if (row.state != ExperimentState::kAccepted) {
    html += parts::PostButton("/approve", context.request->csrf, context.Say("Approve", "批准"), Tone::kGood,
                              with("approve"));
  }
  if (row.state == ExperimentState::kOffered || row.refusal == "NOT_APPROVED") {
    html += parts::PostButton("/approve", context.request->csrf, context.Say("Decline", "拒绝"), Tone::kBad,
                              with("decline"));
  }
  return html;
}

// As the agent computed it.
absl::StatusOr<std::string> PrivacyText(const PageContext& context, const JobId& job, const plan::Experiment& plan) {
  PrivacyOffer offer;
  offer.planned = plan.privacy.differential_privacy;
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<PrivacyRow> row, context.store->privacy().Get(job));
  if (row.has_value()) {
    offer.epsilon = row->epsilon;
    offer.training_patients = row->training_patients;
  }
  CLOISTER_ASSIGN_OR_RETURN(const PrivacyTotal others, context.store->privacy().Total(job));
  offer.spent = others.spent_epsilon;
  offer.promised = others.taken_epsilon - others.spent_epsilon;
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, context.policy());
  offer.limit = policy.differential_privacy;
  return context.request->language == "zh" ? PrivacyInChinese(offer) : PrivacyInWords(offer);
}

std::string PlanFacts(const PageContext& context, const ExperimentRow& row) {
  const absl::StatusOr<plan::Experiment> plan = plan::ParsePlan(row.plan);
  if (!plan.ok()) return parts::Notice(EscapeHtml(std::string(plan.status().message())), Tone::kBad);
  const absl::StatusOr<std::string> privacy = PrivacyText(context, row.job, *plan);
  std::string gates;
  for (const plan::Gate& gate : plan->gates) gates += "<div>" + EscapeHtml(plan::GateInWords(gate)) + "</div>";
  return parts::Facts(
      {{context.Say("Task", "任务"), EscapeHtml(context.Say(plan->task.title_en.c_str(), plan->task.title_zh.c_str()))},
       {context.Say("Sponsor", "发起人"), EscapeHtml(row.sponsor)},
       {context.Say("Model", "模型"),
        EscapeHtml(fmt::format("{}, {:.1f} M {}", plan->model.architecture, plan->model.parameters / 1e6,
                               context.Say("parameters", "参数")))},
       {context.Say("Schedule", "安排"),
        EscapeHtml(fmt::format("{} · {} {} · {} {}", plan->algorithm.name, plan->algorithm.rounds,
                               context.Say("rounds of", "轮，每轮"), plan->algorithm.local_epochs,
                               context.Say("local epochs", "个本地轮次")))},
       {context.Say("A sum opens over at least", "求和至少涉及"),
        EscapeHtml(fmt::format("{} {}", plan->sites.minimum, context.Say("sites", "家医院")))},
       {context.Say("Privacy", "隐私"),
        privacy.ok() ? EscapeHtml(*privacy)
                     : parts::Notice(EscapeHtml(std::string(privacy.status().message())), Tone::kBad)},
       {context.Say("Guards on each round", "每轮聚合的防护"), EscapeHtml(plan::GuardsInWords(plan->privacy.guards))},
       {context.Say("Gates", "门槛"), gates},
       {context.Say("Plan digest", "方案摘要"), parts::Hash(row.plan_digest.hex())},
       {context.Say("Answer", "答复"),
        ExperimentChip(context, row) + " " + EscapeHtml(row.refusal) + " " + EscapeHtml(row.detail)}});
}

std::string SignForm(const PageContext& context, const ReleaseRow& row) {
  const bool active = row.state == ReleaseState::kActive;
  if (!active && row.state != ReleaseState::kVerified) return "";
  const auto input = [&](const char* name, const char* label, const std::string& value) {
    return fmt::format("<label>{}<input name=\"{}\" value=\"{}\" maxlength=\"200\"></label>", label, name,
                       EscapeHtml(value));
  };
  std::string html = fmt::format(
      "<form method=\"post\" action=\"/sign\" class=\"stack\"><input type=\"hidden\" name=\"csrf\" value=\"{}\">"
      "<input type=\"hidden\" name=\"release\" value=\"{}\">",
      EscapeHtml(context.request->csrf), EscapeHtml(row.release.value()));
  html += input("person", context.Say("Name of the clinician who decides", "决定人（临床医师）姓名"), "");
  html += input("role", context.Say("Role", "职务"), "");
  html += input("comment", context.Say("Comment", "备注"), "");
  const auto button = [](const char* value, const char* text) {
    return fmt::format("<button name=\"decision\" value=\"{}\">{}</button> ", value, text);
  };
  html += active ? button("rollback", context.Say("Roll back to the release before", "回滚到上一个版本"))
                 : button("accept", context.Say("Sign: use it here", "签署：在本院使用")) +
                       button("decline", context.Say("Decline", "不采用"));
  return parts::Card(context.Say("Sign-off", "签署"), html + "</form>");
}

}  // namespace

std::string Ago(const PageContext& context, int64_t unix_ms) {
  if (unix_ms == 0) return context.Say("never", "从未");
  const int64_t seconds = std::max<int64_t>(0, absl::ToUnixMillis(context.now) - unix_ms) / 1000;
  const bool chinese = context.request->language == "zh";
  if (seconds < 60) return fmt::format(chinese ? "{} 秒前" : "{} s ago", seconds);
  if (seconds < 3600) return fmt::format(chinese ? "{} 分钟前" : "{} min ago", seconds / 60);
  if (seconds < 172'800) return fmt::format(chinese ? "{} 小时前" : "{} h ago", seconds / 3600);
  return fmt::format(chinese ? "{} 天前" : "{} days ago", seconds / 86'400);
}

std::string Size(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  if (bytes < 1'000'000) return fmt::format("{:.1f} kB", bytes / 1e3);
  return fmt::format("{:.1f} MB", bytes / 1e6);
}

std::string ReleaseChip(const PageContext& context, ReleaseState state) {
  switch (state) {
    case ReleaseState::kOffered:
      return parts::Chip(context.Say("being checked", "核验中"), Tone::kNeutral);
    case ReleaseState::kVerified:
      return parts::Chip(context.Say("waits for a clinician", "等待医师签署"), Tone::kWarning);
    case ReleaseState::kGateFailed:
      return parts::Chip(context.Say("did not pass here", "未通过本院验证"), Tone::kBad);
    case ReleaseState::kActive:
      return parts::Chip(context.Say("in use", "使用中"), Tone::kGood);
    case ReleaseState::kDeclined:
      return parts::Chip(context.Say("declined", "未采用"), Tone::kNeutral);
    case ReleaseState::kRolledBack:
      return parts::Chip(context.Say("rolled back", "已回滚"), Tone::kWarning);
    case ReleaseState::kInvalid:
      return parts::Chip(context.Say("not genuine", "核验失败"), Tone::kBad);
    case ReleaseState::kSuperseded:
      return parts::Chip(context.Say("superseded", "已被取代"), Tone::kNeutral);
  }
  return "";
}

absl::StatusOr<std::string> OverviewHtml(const PageContext& context) {
  SiteStore& store = *context.store;
  CLOISTER_ASSIGN_OR_RETURN(const auto experiments, store.experiments().List());
  CLOISTER_ASSIGN_OR_RETURN(const auto releases, store.releases().List());
  CLOISTER_ASSIGN_OR_RETURN(const auto progress, store.progress().List());
  CLOISTER_ASSIGN_OR_RETURN(const auto events, store.progress().Events(kEventsShown));
  CLOISTER_ASSIGN_OR_RETURN(const auto served, store.serving().List(kEventsShown));
  CLOISTER_ASSIGN_OR_RETURN(const AgentLife agent, ReadAgentLife(store.progress(), absl::ToUnixMillis(context.now)));
  CLOISTER_ASSIGN_OR_RETURN(const audit::Head head, store.audit().Head());

  std::string html;
  if (!agent.alive) {
    html += parts::Notice(EscapeHtml(context.Say("The agent is not running; start it with: cloister-site run",
                                                 "代理程序未运行，请启动：cloister-site run")),
                          Tone::kBad);
  }
  for (const ExperimentRow& row : experiments) {
    if (row.state == ExperimentState::kOffered || row.refusal == "NOT_APPROVED") {
      html += parts::Notice(EscapeHtml(context.Say("An experiment waits for your approval: ", "有实验等待批准：")) +
                                parts::Link("/experiments", row.name),
                            Tone::kWarning);
    }
  }
  for (const ReleaseRow& row : releases) {
    if (row.state == ReleaseState::kVerified) {
      html += parts::Notice(
          EscapeHtml(context.Say("A release waits for a clinician's sign-off: ", "有发布等待医师签署：")) +
              parts::Link("/releases/" + row.release.value(), row.release.value() + " " + row.version),
          Tone::kWarning);
    }
  }
  const auto count = [](const auto& rows, const auto& test) {
    return std::to_string(std::count_if(rows.begin(), rows.end(), test));
  };
  html += parts::Figures(
      {{context.Say("experiments taking part in", "参与的实验"),
        count(experiments, [](const ExperimentRow& row) { return row.state == ExperimentState::kAccepted; })},
       {context.Say("releases in use", "使用中的发布"),
        count(releases, [](const ReleaseRow& row) { return row.state == ReleaseState::kActive; })},
       {context.Say("studies answered lately", "近期已答复检查"),
        count(served, [](const ServingStudyRow& row) { return row.state == ServingState::kAnswered; })},
       {context.Say("audit records", "审计记录"), std::to_string(head.sequence)}});
  html += parts::Card(context.Say("Now", "当前"), ProgressHtml(context, progress));
  std::vector<std::vector<std::string>> lines;
  for (const EventRow& event : events) {
    lines.push_back({parts::Muted(Ago(context, event.time_unix_ms)), EscapeHtml(event.text)});
  }
  html += parts::Card(context.Say("Lately", "近期"),
                      parts::Table({{context.Say("When", "时间")}, {context.Say("What", "事件")}}, lines,
                                   context.Say("Nothing yet.", "暂无。")));
  return html;
}

absl::StatusOr<std::string> ExperimentsHtml(const PageContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(const auto experiments, context.store->experiments().List());
  std::string html;
  for (const ExperimentRow& row : experiments) {
    html += parts::Card(row.name, PlanFacts(context, row) + ApprovalForms(context, row),
                        parts::Muted(Ago(context, row.received_unix_ms)));
  }
  return html.empty()
             ? parts::Notice(
                   EscapeHtml(context.Say("The coordinator has offered no experiment yet.", "协调方尚未提供实验。")),
                   Tone::kNeutral)
             : html;
}

absl::StatusOr<std::string> ReleasesHtml(const PageContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(const auto releases, context.store->releases().List());
  std::vector<std::vector<std::string>> rows;
  for (const ReleaseRow& row : releases) {
    rows.push_back({parts::Link("/releases/" + row.release.value(), row.release.value()), EscapeHtml(row.version),
                    EscapeHtml(row.task), ReleaseChip(context, row.state),
                    row.report_html.empty()
                        ? ""
                        : parts::Link("/reports/" + row.release.value() + "?lang=" + context.request->language,
                                      context.Say("Validation report", "验证报告")),
                    parts::Muted(Ago(context, row.updated_unix_ms))});
  }
  return parts::Card(context.Say("Releases", "发布"),
                     parts::Table({{context.Say("Release", "发布")},
                                   {context.Say("Version", "版本")},
                                   {context.Say("Task", "任务")},
                                   {context.Say("State here", "本院状态")},
                                   {context.Say("Report", "报告")},
                                   {context.Say("Changed", "更新")}},
                                  rows, context.Say("No release has been offered yet.", "尚无发布。")));
}

absl::StatusOr<std::string> ReleaseHtml(const PageContext& context, const ReleaseId& release) {
  CLOISTER_ASSIGN_OR_RETURN(const ReleaseRow row, context.store->releases().Get(release));
  CLOISTER_ASSIGN_OR_RETURN(const auto sign_offs, context.store->releases().SignOffs(release));
  std::vector<std::pair<std::string, std::string>> facts = {
      {context.Say("State here", "本院状态"), ReleaseChip(context, row.state) + " " + EscapeHtml(row.detail)},
      {context.Say("Version", "版本"), EscapeHtml(row.version)},
      {context.Say("Manifest digest", "清单摘要"), parts::Hash(row.digest.hex())}};
  if (const auto manifest = plan::ParseRelease(row.manifest); manifest.ok()) {
    facts.emplace_back(context.Say("Members", "成员模型"), std::to_string(manifest->members.size()));
    facts.emplace_back(
        context.Say("Operating point", "工作点"),
        fmt::format("{:.3f} ({})", manifest->operating_point, EscapeHtml(manifest->operating_point_rule)));
    facts.emplace_back(context.Say("Trained by", "参与医院"), std::to_string(manifest->sites.size()));
    facts.emplace_back(context.Say("Published", "发布时间"), EscapeHtml(manifest->published));
  }
  if (!row.report_html.empty()) {
    facts.emplace_back(context.Say("Report", "报告"),
                       parts::Link("/reports/" + release.value() + "?lang=" + context.request->language,
                                   context.Say("Open the validation report of this hospital", "打开本院验证报告")));
  }
  std::vector<std::vector<std::string>> rows;
  for (const SignOffRow& sign_off : sign_offs) {
    rows.push_back({Time(sign_off.time_unix_ms), EscapeHtml(sign_off.person), EscapeHtml(sign_off.role),
                    EscapeHtml(std::string(SignOffDecisionName(sign_off.decision))), EscapeHtml(sign_off.comment)});
  }
  return parts::Card(release.value(), parts::Facts(facts)) + SignForm(context, row) +
         parts::Card(context.Say("Who signed", "签署记录"), parts::Table({{context.Say("When", "时间")},
                                                                          {context.Say("Who", "姓名")},
                                                                          {context.Say("Role", "职务")},
                                                                          {context.Say("Decision", "决定")},
                                                                          {context.Say("Comment", "备注")}},
                                                                         rows, context.Say("Nobody yet.", "暂无。")));
}

absl::StatusOr<std::string> OutboundHtml(const PageContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(auto records, context.store->audit().ReadLast(kOutboundShown));
  CLOISTER_ASSIGN_OR_RETURN(const auto broken, context.store->audit().Verify());
  std::reverse(records.begin(), records.end());
  std::vector<std::vector<std::string>> rows;
  for (const audit::Record& record : records) {
    const audit::Event& event = record.event;
    rows.push_back({std::to_string(record.sequence), Time(absl::ToUnixMillis(event.time)), EscapeHtml(event.actor),
                    EscapeHtml(event.action), EscapeHtml(event.type),
                    event.size_bytes == 0 ? "" : Size(event.size_bytes), EscapeHtml(event.subject),
                    event.digest.is_zero() ? "" : parts::Hash(event.digest.hex())});
  }
  const std::string verdict =
      broken ? parts::Chip(fmt::format("{} {}", context.Say("the chain is broken at record", "审计链断裂于记录"),
                                       broken->sequence),
                           Tone::kBad)
             : parts::Chip(context.Say("chain verified", "审计链完整"), Tone::kGood);
  return parts::Notice(
             EscapeHtml(context.Say(
                 "Everything that leaves this hospital passes one gate and stands here: its type, size and SHA-256. "
                 "Images, identifiers and per-patient values never leave.",
                 "所有离开本院的数据都经过同一出口并记录于此：类型、大小与 SHA-256。图像、标识与患者级数值不出院。")),
             Tone::kNeutral) +
         parts::Card(context.Say("Audit log, newest first", "审计日志（最新在前）"),
                     parts::Table({{"#", true},
                                   {context.Say("When", "时间")},
                                   {context.Say("Who", "操作者")},
                                   {context.Say("Action", "动作")},
                                   {context.Say("Type", "类型")},
                                   {context.Say("Size", "大小"), true},
                                   {context.Say("Subject", "对象")},
                                   {"SHA-256"}},
                                  rows, context.Say("Nothing yet.", "暂无。")),
                     verdict);
}

}  // namespace cloister::site
