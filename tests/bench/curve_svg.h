#pragma once
// SPDX-License-Identifier: Apache-2.0
// Curves by round as one picture: panels side by side, one line a variant, the same colours in each.

#include <string>
#include <vector>

namespace cloister::bench {

struct Curve {
  std::string name;
  std::vector<double> values;  // by round, from round 1
};

struct Panel {
  std::string title;
  bool logarithmic = false;  // values that are not positive are left out
  std::vector<Curve> curves;
};

// `panels` have the same curves in the same order; a curve without values in one of them is only named there.
std::string CurvesSvg(const std::string& title, const std::vector<Panel>& panels);

}  // namespace cloister::bench
