#pragma once
// SPDX-License-Identifier: Apache-2.0
// A small chart as inline SVG: axes with ticks, lines, points and intervals. Marks differ by shape and dash, not by
// colour alone; colours come from the page's style sheet by class.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/report/html.h"

namespace cloister::eval {

struct Axis {
  Html label;
  double from = 0;
  double to = 1;
  std::vector<std::pair<double, std::string>> ticks;
};

// 0, 0.2, ... 1
Axis UnitAxis(Html label);

class Plot {
 public:
  Plot(Axis x, Axis y) : x_(std::move(x)), y_(std::move(y)) {}

  using Points = std::vector<std::pair<double, double>>;

  // Clipped to the axes. `style`: a class of the style sheet, "ours", "local", "ideal", ...
  void Line(const Points& points, std::string_view style);
  void Dot(double x, double y, double radius, std::string_view style);
  void Diamond(double x, double y, std::string_view style);
  // A vertical interval with caps.
  void Interval(double x, double low, double high, std::string_view style);

  Html Svg(const Html& title) const;

 private:
  double X(double value) const;
  double Y(double value) const;

  Axis x_;
  Axis y_;
  std::string marks_;
};

// A sample of a line or mark beside its name.
Html LegendItem(std::string_view style, bool line, const Html& name);

// The points of a curve without those that change nothing to the eye: at most about 400.
Plot::Points Thin(const Plot::Points& points);

}  // namespace cloister::eval
