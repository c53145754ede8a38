// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/curve_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cloister::bench {
namespace {

constexpr double kWidth = 420;  // of a panel, with its margins
constexpr double kHeight = 300;
constexpr double kLeft = 56;
constexpr double kTop = 56;
constexpr double kInnerWidth = 340;
constexpr double kInnerHeight = 190;
const char* const kColours[] = {"#222222", "#999999", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00"};

double Level(double value, bool logarithmic) {
  return logarithmic ? std::log10(value) : value;
}

std::string PanelSvg(const Panel& panel, double left) {
  double low = 1e300, high = -1e300;
  size_t rounds = 1;
  for (const Curve& curve : panel.curves) {
    rounds = std::max(rounds, curve.values.size());
    for (const double value : curve.values) {
      if (panel.logarithmic && value <= 0) continue;
      low = std::min(low, Level(value, panel.logarithmic));
      high = std::max(high, Level(value, panel.logarithmic));
    }
  }
  if (panel.logarithmic) low = std::floor(low), high = std::ceil(high);
  if (!(high > low)) high = low + 1;
  const auto x = [&](size_t round) {
    return left + kLeft +
           kInnerWidth * static_cast<double>(round) / static_cast<double>(std::max<size_t>(rounds - 1, 1));
  };
  const auto y = [&](double level) { return kTop + kInnerHeight * (high - level) / (high - low); };
  std::string svg = fmt::format(
      "<text x='{:.0f}' y='44' font-size='13'>{}</text>\n"
      "<rect x='{:.0f}' y='{:.0f}' width='{:.0f}' height='{:.0f}' fill='none' stroke='#cccccc'/>\n",
      left + kLeft, panel.title, left + kLeft, kTop, kInnerWidth, kInnerHeight);
  for (int tick = 0; tick <= 4; ++tick) {
    const double level = low + (high - low) * tick / 4;
    const std::string text =
        panel.logarithmic ? fmt::format("{:.1g}", std::pow(10.0, level)) : fmt::format("{:.3g}", level);
    svg += fmt::format("<text x='{:.0f}' y='{:.1f}' font-size='11' text-anchor='end'>{}</text>\n", left + kLeft - 6,
                       y(level) + 4, text);
  }
  for (size_t round = 0; round < rounds; ++round) {
    svg += fmt::format("<text x='{:.1f}' y='{:.0f}' font-size='11' text-anchor='middle'>{}</text>\n", x(round),
                       kTop + kInnerHeight + 16, round + 1);
  }
  for (size_t i = 0; i < panel.curves.size(); ++i) {
    std::string points;
    for (size_t round = 0; round < panel.curves[i].values.size(); ++round) {
      const double value = panel.curves[i].values[round];
      if (panel.logarithmic && value <= 0) continue;
      points += fmt::format("{:.1f},{:.1f} ", x(round), y(Level(value, panel.logarithmic)));
    }
    if (points.empty()) continue;
    svg += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='1.6'/>\n", points,
                       kColours[i % std::size(kColours)]);
  }
  return svg;
}

}  // namespace

std::string CurvesSvg(const std::string& title, const std::vector<Panel>& panels) {
  const double width = kWidth * static_cast<double>(panels.size());
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{1:.0f}' viewBox='0 0 {0:.0f} {1:.0f}' "
      "font-family='sans-serif' fill='#222222'>\n<rect width='100%' height='100%' fill='#ffffff'/>\n"
      "<text x='{2:.0f}' y='22' font-size='15'>{3}</text>\n",
      width, kHeight, kLeft, title);
  for (size_t i = 0; i < panels.size(); ++i) svg += PanelSvg(panels[i], kWidth * static_cast<double>(i));
  double x = kLeft;
  for (size_t i = 0; !panels.empty() && i < panels[0].curves.size(); ++i) {
    const std::string& name = panels[0].curves[i].name;
    svg += fmt::format(
        "<rect x='{:.0f}' y='{:.0f}' width='12' height='3' fill='{}'/><text x='{:.0f}' y='{:.0f}' "
        "font-size='11'>{}</text>\n",
        x, kHeight - 14, kColours[i % std::size(kColours)], x + 16, kHeight - 9, name);
    x += 32 + 6.4 * static_cast<double>(name.size());
  }
  return svg + "</svg>\n";
}

}  // namespace cloister::bench
