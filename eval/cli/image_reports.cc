// SPDX-License-Identifier: Apache-2.0
// The tasks whose answers are files: masks and findings.
#include <fmt/format.h>

#include <ostream>
#include <set>

#include "eval/cli/nifti.h"
#include "eval/cli/task_report.h"
#include "eval/metrics/detection.h"
#include "eval/stats/measure.h"

namespace cloister::eval {
namespace {

std::filesystem::path PathAt(const CsvTable& table, size_t row, size_t column) {
  return std::filesystem::path(table.name()).parent_path() / std::string(table.At(row, column));
}

// Rows of numbers from the CSV file that a field names; none for an empty field.
absl::StatusOr<std::vector<std::array<double, 4>>> ReadPoints(const CsvTable& table, size_t row, size_t column,
                                                              const char* fourth) {
  std::vector<std::array<double, 4>> points;
  if (table.At(row, column).empty()) {
    return points;
  }
  const absl::StatusOr<CsvTable> file = CsvTable::Read(PathAt(table, row, column));
  if (!file.ok()) {
    return table.FieldError(row, column, std::string(file.status().message()));
  }
  const char* names[] = {"x", "y", "z", fourth};
  std::array<size_t, 4> columns;
  for (int i = 0; i < 4; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(columns[i], NeedColumn(*file, names[i]));
  }
  for (size_t i = 0; i < file->rows(); ++i) {
    std::array<double, 4> point;
    for (int j = 0; j < 4; ++j) {
      CLOISTER_ASSIGN_OR_RETURN(point[j], file->Number(i, columns[j]));
    }
    points.push_back(point);
  }
  return points;
}

uint64_t CountDistinct(const std::vector<uint32_t>& patients) {
  return std::set<uint32_t>(patients.begin(), patients.end()).size();
}

}  // namespace

absl::StatusOr<ReportInput> SegmentationInput(const CsvTable& table, const ReportOptions& options,
                                              std::ostream& progress) {
  CLOISTER_ASSIGN_OR_RETURN(const Rows rows, ReadRows(table, options.columns));
  CLOISTER_ASSIGN_OR_RETURN(const size_t truth, NeedColumn(table, options.columns.truth));
  CLOISTER_ASSIGN_OR_RETURN(const size_t predicted, NeedColumn(table, options.columns.predicted));
  std::vector<double> values[3];
  uint64_t empty = 0;
  ReportInput input;
  for (size_t i = 0; i < rows.order.size(); ++i) {
    const size_t row = rows.order[i];
    absl::StatusOr<Mask> masks[2];
    for (int side = 0; side < 2; ++side) {
      const size_t column = side == 0 ? truth : predicted;
      masks[side] = ReadMask(PathAt(table, row, column));
      if (!masks[side].ok()) {
        return table.FieldError(row, column, std::string(masks[side].status().message()));
      }
    }
    const absl::StatusOr<Overlap> overlap = CompareMasks(*masks[0], *masks[1], options.tolerance_mm);
    if (!overlap.ok()) {
      return table.FieldError(row, predicted, std::string(overlap.status().message()));
    }
    values[0].push_back(overlap->dice);
    values[1].push_back(overlap->surface_dice);
    values[2].push_back(overlap->hd95_mm);
    empty += overlap->reference_empty != overlap->predicted_empty ? 1 : 0;
    input.worst_cases.emplace_back(rows.case_ids[i], overlap->dice);
    if ((i + 1) % 100 == 0) {
      progress << fmt::format("compared {} of {} masks\n", i + 1, rows.order.size()) << std::flush;
    }
  }
  input.measured_cases = rows.order.size();
  input.measured_patients = CountDistinct(rows.patients);
  input.measure_tables.push_back({"overall",
                                  {"Mean over cases", "病例均值"},
                                  {{"dice", MeanOfCases(values[0], rows.patients, options.bootstrap)},
                                   {"surface_dice", MeanOfCases(values[1], rows.patients, options.bootstrap)},
                                   {"hd95_mm", MeanOfCases(values[2], rows.patients, options.bootstrap)}}});
  input.provenance.more = {{{"Surface Dice at", "表面 Dice 容差"}, fmt::format("{:g} mm", options.tolerance_mm)},
                           {{"Empty masks", "空掩膜"},
                            fmt::format("{} cases with one mask empty count Dice 0 and the volume's diagonal", empty)}};
  return input;
}

absl::StatusOr<ReportInput> DetectionInput(const CsvTable& table, const ReportOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const Rows rows, ReadRows(table, options.columns));
  CLOISTER_ASSIGN_OR_RETURN(const size_t truth, NeedColumn(table, options.columns.truth));
  CLOISTER_ASSIGN_OR_RETURN(const size_t predicted, NeedColumn(table, options.columns.predicted));
  std::vector<Scan> scans;
  uint64_t findings = 0;
  for (size_t row : rows.order) {
    Scan scan;
    CLOISTER_ASSIGN_OR_RETURN(const auto reference, ReadPoints(table, row, truth, "radius"));
    CLOISTER_ASSIGN_OR_RETURN(const auto candidates, ReadPoints(table, row, predicted, "score"));
    for (const auto& [x, y, z, radius] : reference) {
      if (!(radius > 0)) {
        return table.FieldError(row, truth, "a radius in it is not above 0");
      }
      scan.findings.push_back({{x, y, z}, radius});
    }
    for (const auto& [x, y, z, score] : candidates) {
      scan.candidates.push_back({{x, y, z}, score});
    }
    findings += scan.findings.size();
    scans.push_back(std::move(scan));
  }
  const Froc froc(scans);
  const PatientSampler sampler = PatientSampler::FromAll(rows.patients);
  MeasureTable froc_table{"overall", {"FROC", "FROC"}, {}};
  froc_table.measures.push_back(
      {"cpm", Bootstrap(
                  sampler, [&](Weights weights) { return froc.Cpm(weights); }, options.bootstrap)});
  for (double rate : kCpmRates) {
    froc_table.measures.push_back(
        {fmt::format("sensitivity_at_{:g}", rate),
         Bootstrap(
             sampler, [&](Weights weights) { return froc.SensitivityAt(rate, weights); }, options.bootstrap)});
  }
  ReportInput input;
  input.measured_cases = rows.order.size();
  input.measured_patients = sampler.patients();
  input.measure_tables.push_back(std::move(froc_table));
  input.provenance.more = {{{"Findings", "病灶"}, std::to_string(findings)}};
  return input;
}

}  // namespace cloister::eval
