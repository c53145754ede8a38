// SPDX-License-Identifier: Apache-2.0
#include "coordinator/web/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace cloister::coordinator {
namespace {

namespace parts = transport::parts;
using transport::EscapeHtml;
using transport::Tone;

std::string WithTitle(const std::string& html, const std::string& title_text) {
  return title_text.empty() ? html : fmt::format("<span title=\"{}\">{}</span>", EscapeHtml(title_text), html);
}

}  // namespace

std::string PhaseChip(const PageContext& context, wire::ExperimentPhase phase) {
  Tone tone = Tone::kActive;
  switch (phase) {
    case wire::ExperimentPhase::kInviting:
      tone = Tone::kNeutral;
      break;
    case wire::ExperimentPhase::kReleased:
      tone = Tone::kGood;
      break;
    case wire::ExperimentPhase::kFailed:
      tone = Tone::kBad;
      break;
    case wire::ExperimentPhase::kAborted:
      tone = Tone::kWarning;
      break;
    default:
      break;
  }
  return parts::Chip(std::string(wire::Title(phase, context.language)), tone);
}

std::string ParticipantChip(const PageContext& context, const wire::ParticipantStatus& site) {
  struct Look {
    const char* english;
    const char* chinese;
    Tone tone;
  };
  static const std::map<std::string, Look> looks = {{"invited", {"invited", "已邀请", Tone::kNeutral}},
                                                    {"accepted", {"accepted", "已接受", Tone::kGood}},
                                                    {"refused", {"refused", "已拒绝", Tone::kBad}},
                                                    {"baseline", {"training alone", "单独训练中", Tone::kActive}},
                                                    {"answered", {"answered", "已应答", Tone::kGood}},
                                                    {"working", {"working", "进行中", Tone::kActive}},
                                                    {"dropped", {"dropped out", "已掉线", Tone::kWarning}},
                                                    {"done", {"done", "完成", Tone::kGood}}};
  std::string why;
  std::string code;
  if (site.refusal) {
    why = std::string(wire::Advice(*site.refusal, context.language));
    code = std::string(wire::NameOf(*site.refusal));
  } else if (site.failure) {
    why = std::string(wire::Advice(*site.failure, context.language));
    code = std::string(wire::NameOf(*site.failure));
  }
  const auto look = looks.find(site.state);
  const std::string chip =
      look == looks.end() ? parts::Chip(site.state, Tone::kNeutral)
                          : parts::Chip(context.Say(look->second.english, look->second.chinese), look->second.tone);
  return WithTitle(chip, why) + (code.empty() ? "" : " " + parts::Muted(code));
}

std::string ReleaseChip(const PageContext& context, wire::ReleaseState state) {
  switch (state) {
    case wire::ReleaseState::kOffered:
      return parts::Chip(context.Say("offered", "已提供"), Tone::kNeutral);
    case wire::ReleaseState::kVerified:
      return parts::Chip(context.Say("waits for sign-off", "等待签署"), Tone::kActive);
    case wire::ReleaseState::kGateFailed:
      return parts::Chip(context.Say("site gate failed", "未过本院门限"), Tone::kBad);
    case wire::ReleaseState::kActive:
      return parts::Chip(context.Say("active", "使用中"), Tone::kGood);
    case wire::ReleaseState::kDeclined:
      return parts::Chip(context.Say("declined", "已拒绝"), Tone::kWarning);
    case wire::ReleaseState::kRolledBack:
      return parts::Chip(context.Say("rolled back", "已回退"), Tone::kWarning);
    case wire::ReleaseState::kInvalid:
      return parts::Chip(context.Say("invalid", "无效"), Tone::kBad);
  }
  return "";
}

std::string VerdictChip(const PageContext& context, const std::string& verdict, const std::string& detail) {
  const std::string chip = verdict == "pass"   ? parts::Chip(context.Say("pass", "通过"), Tone::kGood)
                           : verdict == "fail" ? parts::Chip(context.Say("fail", "未通过"), Tone::kBad)
                                               : parts::Chip(context.Say("not estimable", "无法估计"), Tone::kNeutral);
  return WithTitle(chip, detail);
}

std::string Ago(const PageContext& context, int64_t unix_ms) {
  const int64_t seconds = absl::ToInt64Seconds(context.now - absl::FromUnixMillis(unix_ms));
  const int64_t size = std::abs(seconds);
  const auto amount = [&]() -> std::string {
    if (size < 90) {
      return fmt::format(context.Say("{} s", "{} 秒"), size);
    }
    if (size < 90 * 60) {
      return fmt::format(context.Say("{} min", "{} 分钟"), size / 60);
    }
    if (size < 36 * 3600) {
      return fmt::format(context.Say("{} h", "{} 小时"), size / 3600);
    }
    return fmt::format(context.Say("{} days", "{} 天"), size / 86400);
  };
  if (seconds >= 0 && seconds < 5) {
    return context.Say("now", "刚刚");
  }
  return fmt::format(seconds >= 0 ? context.Say("{} ago", "{}前") : context.Say("in {}", "{}后"), amount());
}

std::string Size(uint64_t bytes) {
  if (bytes < 1000) {
    return fmt::format("{} B", bytes);
  }
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* next : {"kB", "MB", "GB", "TB"}) {
    if (value < 1000) {
      break;
    }
    value /= 1000;
    unit = next;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string Minute(int64_t unix_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M", absl::FromUnixMillis(unix_ms), absl::UTCTimeZone());
}

std::string GatesHtml(const PageContext& context, const std::vector<wire::GateStatus>& gates) {
  std::vector<std::string> rules;
  for (const wire::GateStatus& gate : gates) {
    if (std::find(rules.begin(), rules.end(), gate.rule) == rules.end()) {
      rules.push_back(gate.rule);
    }
  }
  std::string html;
  for (const std::string& rule : rules) {
    std::vector<std::string> models;
    std::vector<std::string> scopes;
    std::map<std::pair<std::string, std::string>, std::string> cells;
    for (const wire::GateStatus& gate : gates) {
      if (gate.rule != rule) {
        continue;
      }
      if (std::find(models.begin(), models.end(), gate.model_id) == models.end()) {
        models.push_back(gate.model_id);
      }
      if (std::find(scopes.begin(), scopes.end(), gate.scope) == scopes.end()) {
        scopes.push_back(gate.scope);
      }
      cells[{gate.scope, gate.model_id}] = VerdictChip(context, gate.verdict, gate.detail) +
                                           "<div class=\"muted\" style=\"font-size:12.5px;margin-top:3px\">" +
                                           EscapeHtml(gate.detail) + "</div>";
    }
    std::vector<parts::Column> columns = {{context.Say("Measured at", "评估范围")}};
    for (const std::string& model : models) {
      columns.push_back({model});
    }
    std::vector<std::vector<std::string>> rows;
    for (const std::string& scope : scopes) {
      std::vector<std::string> row = {scope == "pooled" ? context.Say("all sites together", "全部医院合并")
                                                        : EscapeHtml(scope)};
      for (const std::string& model : models) {
        row.push_back(cells[{scope, model}]);
      }
      rows.push_back(std::move(row));
    }
    html += "<h3>" + EscapeHtml(rule) + "</h3>" + parts::Table(columns, rows, "");
  }
  return html;
}

std::string LossChart(const PageContext& context, const std::vector<ModelRecord>& models) {
  std::vector<double> losses;
  for (const ModelRecord& model : models) {
    if (model.round > 0) {
      losses.push_back(model.loss);
    }
  }
  if (losses.size() < 2) {
    return "";
  }
  constexpr double kWidth = 640;
  constexpr double kHeight = 120;
  constexpr double kMargin = 8;
  const auto [least, most] = std::minmax_element(losses.begin(), losses.end());
  const double range = std::max(*most - *least, 1e-9);
  std::string line;
  std::string dots;
  for (size_t i = 0; i < losses.size(); ++i) {
    const double x = kMargin + (kWidth - 2 * kMargin) * static_cast<double>(i) / static_cast<double>(losses.size() - 1);
    const double y = kMargin + (kHeight - 2 * kMargin) * (*most - losses[i]) / range;
    line += fmt::format("{}{:.1f},{:.1f}", i == 0 ? "" : " ", x, y);
    dots += fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="3"><title>{} {}: {:.4f}</title></circle>)", x, y,
                        context.Say("round", "轮次"), i + 1, losses[i]);
  }
  return fmt::format(
      R"x(<figure style="margin:0 0 14px"><svg viewBox="0 0 {0} {1}" style="width:100%;max-width:{0}px;height:auto;color:var(--accent)" )x"
      R"(role="img" aria-label="{2}"><polyline points="{3}" fill="none" stroke="currentColor" stroke-width="2" )"
      R"(stroke-linejoin="round"/><g fill="currentColor">{4}</g></svg>)"
      R"(<figcaption class="muted" style="font-size:13px">{2}: {5:.4f} → {6:.4f}</figcaption></figure>)",
      kWidth, kHeight, context.Say("Training loss by round", "各轮训练损失"), line, dots, losses.front(),
      losses.back());
}

}  // namespace cloister::coordinator
