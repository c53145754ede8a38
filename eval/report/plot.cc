// SPDX-License-Identifier: Apache-2.0
#include "eval/report/plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace cloister::eval {
namespace {

constexpr double kWidth = 360;
constexpr double kHeight = 320;
constexpr double kLeft = 52;
constexpr double kRight = 12;
constexpr double kTop = 12;
constexpr double kBottom = 46;

}  // namespace

Axis UnitAxis(Html label) {
  Axis axis;
  axis.label = std::move(label);
  axis.ticks = {{0, "0"}, {0.2, "0.2"}, {0.4, "0.4"}, {0.6, "0.6"}, {0.8, "0.8"}, {1, "1"}};
  return axis;
}

double Plot::X(double value) const {
  return kLeft + (value - x_.from) / (x_.to - x_.from) * (kWidth - kLeft - kRight);
}

double Plot::Y(double value) const {
  return kHeight - kBottom - (value - y_.from) / (y_.to - y_.from) * (kHeight - kTop - kBottom);
}

void Plot::Line(const Points& points, std::string_view style) {
  std::string path;
  for (const auto& [x, y] : points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", X(std::clamp(x, x_.from, x_.to)),
                        Y(std::clamp(y, y_.from, y_.to)));
  }
  marks_ += fmt::format("<path class=\"line {}\" d=\"{}\"/>", style, path);
}

void Plot::Dot(double x, double y, double radius, std::string_view style) {
  marks_ +=
      fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/>", style, X(x), Y(y), radius);
}

void Plot::Diamond(double x, double y, std::string_view style) {
  marks_ += fmt::format("<path class=\"dot {}\" d=\"M{:.1f} {:.1f}l6 6l-6 6l-6 -6z\"/>", style, X(x), Y(y) - 6);
}

void Plot::Interval(double x, double low, double high, std::string_view style) {
  marks_ += fmt::format("<path class=\"line {0}\" d=\"M{1:.1f} {2:.1f}V{3:.1f}m-3 0h6M{4:.1f} {2:.1f}h6\"/>", style,
                        X(x), Y(low), Y(high), X(x) - 3);
}

Html Plot::Svg(const Html& title) const {
  std::string svg = fmt::format("<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth,
                                kHeight, title.str());
  for (const auto& [value, text] : x_.ticks) {
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{0:.1f} {1}V{2}\"/><text x=\"{0:.1f}\" y=\"{3}\" class=\"tick mid\">{4}</text>",
        X(value), kTop, kHeight - kBottom, kHeight - kBottom + 16, text);
  }
  for (const auto& [value, text] : y_.ticks) {
    svg += fmt::format(
        "<path class=\"grid\" d=\"M{0} {1:.1f}H{2}\"/><text x=\"{3}\" y=\"{4:.1f}\" class=\"tick end\">{5}</text>",
        kLeft, Y(value), kWidth - kRight, kLeft - 7, Y(value) + 4, text);
  }
  svg += fmt::format("<path class=\"axis\" d=\"M{0} {1}V{2}H{3}\"/>", kLeft, kTop, kHeight - kBottom, kWidth - kRight);
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" class=\"label mid\">{}</text>", (kLeft + kWidth - kRight) / 2,
                     kHeight - 8, x_.label.str());
  const double middle = (kTop + kHeight - kBottom) / 2;
  svg += fmt::format("<text x=\"14\" y=\"{0:.1f}\" class=\"label mid\" transform=\"rotate(-90 14 {0:.1f})\">{1}</text>",
                     middle, y_.label.str());
  return Html::Raw(svg + marks_ + "</svg>");
}

Html LegendItem(std::string_view style, bool line, const Html& name) {
  const std::string mark = line ? fmt::format("<path class=\"line {}\" d=\"M1 7H25\"/>", style)
                                : fmt::format("<path class=\"dot {}\" d=\"M13 1l6 6l-6 6l-6 -6z\"/>", style);
  return Fill("<li><svg viewBox=\"0 0 26 14\" aria-hidden=\"true\">{mark}</svg>{name}</li>",
              {{"mark", Html::Raw(mark)}, {"name", name}});
}

Plot::Points Thin(const Plot::Points& points) {
  constexpr size_t kFew = 400;
  constexpr double kVisible = 0.005;
  if (points.size() <= kFew) {
    return points;
  }
  Plot::Points kept;
  for (size_t i = 0; i < points.size(); ++i) {
    const bool end = i == 0 || i + 1 == points.size();
    if (end ||
        std::abs(points[i].first - kept.back().first) + std::abs(points[i].second - kept.back().second) >= kVisible) {
      kept.push_back(points[i]);
    }
  }
  return kept;
}

}  // namespace cloister::eval
