// SPDX-License-Identifier: Apache-2.0
#include "eval/cli/predictions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace cloister::eval {
namespace {

absl::StatusOr<double> ReadScore(const CsvTable& table, size_t row, size_t column) {
  CLOISTER_ASSIGN_OR_RETURN(const double score, table.Number(row, column));
  if (score < 0 || score > 1) {
    return table.FieldError(row, column, "is outside 0 to 1; map scores to probabilities, e.g. by 1/(1+exp(-x))");
  }
  return score;
}

}  // namespace

absl::StatusOr<bool> ReadLabel(const CsvTable& table, size_t row, size_t column) {
  const std::string_view text = table.At(row, column);
  if (text == "1" || text == "0" || text == "1.0" || text == "0.0") {
    return text.front() == '1';
  }
  return table.FieldError(row, column, "is neither 1 (has the condition) nor 0");
}

std::string FileName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

absl::StatusOr<size_t> NeedColumn(const CsvTable& table, const std::string& name) {
  const std::optional<size_t> column = table.Find(name);
  if (!column) {
    return absl::InvalidArgumentError(fmt::format("{}:1: no column \"{}\"; the columns are: {}", table.name(), name,
                                                  fmt::join(table.columns(), ", ")));
  }
  return *column;
}

absl::StatusOr<Rows> ReadRows(const CsvTable& table, const PredictionColumns& columns) {
  CLOISTER_ASSIGN_OR_RETURN(const size_t case_column, NeedColumn(table, columns.case_id));
  Rows rows;
  rows.order.resize(table.rows());
  std::iota(rows.order.begin(), rows.order.end(), size_t{0});
  std::stable_sort(rows.order.begin(), rows.order.end(),
                   [&](size_t a, size_t b) { return table.At(a, case_column) < table.At(b, case_column); });
  for (size_t i = 0; i < rows.order.size(); ++i) {
    const std::string_view id = table.At(rows.order[i], case_column);
    if (id.empty()) {
      return table.FieldError(rows.order[i], case_column, "is empty; every case needs an id");
    }
    if (i > 0 && id == rows.case_ids.back()) {
      return table.FieldError(rows.order[i], case_column,
                              fmt::format("the same case as on line {}", table.line(rows.order[i - 1])));
    }
    rows.case_ids.emplace_back(id);
  }
  const std::optional<size_t> patient_column = table.Find(columns.patient);
  if (!patient_column) {
    rows.patients.resize(rows.order.size());
    std::iota(rows.patients.begin(), rows.patients.end(), uint32_t{0});
    return rows;
  }
  std::vector<std::string_view> names;
  for (size_t row : rows.order) {
    names.push_back(table.At(row, *patient_column));
    if (names.back().empty()) {
      return table.FieldError(row, *patient_column, "is empty; every case needs a patient");
    }
  }
  std::vector<std::string_view> distinct = names;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (std::string_view name : names) {
    rows.patients.push_back(
        static_cast<uint32_t>(std::lower_bound(distinct.begin(), distinct.end(), name) - distinct.begin()));
  }
  return rows;
}

absl::StatusOr<std::vector<SubgroupColumn>> ReadSubgroups(const CsvTable& table, const Rows& rows,
                                                          const PredictionColumns& columns,
                                                          const std::vector<std::string>& used,
                                                          std::vector<std::string>& notes) {
  const bool asked = !columns.subgroups.empty();
  std::vector<SubgroupColumn> subgroups;
  for (const std::string& name : asked ? columns.subgroups : table.columns()) {
    if (!asked && std::find(used.begin(), used.end(), name) != used.end()) {
      continue;
    }
    CLOISTER_ASSIGN_OR_RETURN(const size_t column, NeedColumn(table, name));
    std::set<std::string_view> levels;
    for (size_t row = 0; row < table.rows() && levels.size() <= kMaxLevels; ++row) {
      levels.insert(table.At(row, column));
    }
    if (levels.size() > kMaxLevels) {
      const std::string why = fmt::format("column \"{}\" has more than {} values", name, kMaxLevels);
      if (asked) {
        return absl::InvalidArgumentError(fmt::format("{}:1: {}; group them, e.g. into age bands", table.name(), why));
      }
      notes.push_back(why + ", so it is no subgroup");
      continue;
    }
    SubgroupColumn subgroup;
    subgroup.name = name;
    for (size_t row : rows.order) {
      subgroup.of_case.emplace_back(table.At(row, column));
    }
    subgroups.push_back(std::move(subgroup));
  }
  return subgroups;
}

absl::StatusOr<BinaryPredictions> ReadBinary(const CsvTable& table, const PredictionColumns& columns) {
  CLOISTER_ASSIGN_OR_RETURN(const size_t label, NeedColumn(table, columns.label));
  CLOISTER_ASSIGN_OR_RETURN(const size_t score, NeedColumn(table, columns.score));
  CLOISTER_ASSIGN_OR_RETURN(Rows rows, ReadRows(table, columns));
  BinaryPredictions result;
  if (!table.Find(columns.patient)) {
    result.notes.push_back(fmt::format("no column \"{}\": every case counts as a patient of its own", columns.patient));
  }
  for (size_t i = 0; i < rows.order.size(); ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const bool positive, ReadLabel(table, rows.order[i], label));
    CLOISTER_ASSIGN_OR_RETURN(const double value, ReadScore(table, rows.order[i], score));
    result.cases.push_back({rows.patients[i], positive, value});
  }
  if (!columns.compare.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const size_t compare, NeedColumn(table, columns.compare));
    for (size_t row : rows.order) {
      CLOISTER_ASSIGN_OR_RETURN(const double value, ReadScore(table, row, compare));
      result.compare.push_back(value);
    }
  }
  if (!columns.site.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const size_t site, NeedColumn(table, columns.site));
    for (size_t row : rows.order) {
      if (table.At(row, site).empty()) {
        return table.FieldError(row, site, "is empty; every case needs a site");
      }
      result.sites.emplace_back(table.At(row, site));
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(result.subgroups, ReadSubgroups(table, rows, columns,
                                                            {columns.case_id, columns.patient, columns.label,
                                                             columns.score, columns.compare, columns.site},
                                                            result.notes));
  result.case_ids = std::move(rows.case_ids);
  return result;
}

}  // namespace cloister::eval
