#pragma once
// SPDX-License-Identifier: Apache-2.0
// A task: what is predicted from what. One YAML file in models/tasks is one clinical task; every site and the
// coordinator mean the same by it because its canonical form is part of the plan's digest. Says nothing about models or
// schedules (experiment.h).

#include <cstdint>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/base/status.h"
#include "protocols/base/strict_yaml.h"

namespace cloister::plan {

// A coded concept of a DICOM context group, e.g. {233604007, SCT, Pneumonia}.
struct CodedConcept {
  std::string value;
  std::string scheme;
  std::string meaning;
};

// Which studies in a PACS belong to the task.
struct Selection {
  std::vector<std::string> modalities;      // any of: CR, DX
  std::vector<std::string> view_positions;  // any of: PA, AP; empty: any
};

// From a decoded image to the network's input, [C, H, W] uint8.
struct Preprocessing {
  int rows = 0;
  int columns = 0;
  int channels = 1;             // 1 or 3
  std::string window;           // percentile | full
  double lower_percentile = 0;  // percent, used by window: percentile
  double upper_percentile = 100;
  std::string fit;  // letterbox | stretch | crop
};

struct Label {
  std::string column;    // of the site's label CSV
  std::string positive;  // the text that means 1
  std::string negative;  // the text that means 0; anything else is "no reference"
};

struct Task {
  std::string name;      // identifier
  std::string title_en;  // for people
  std::string title_zh;
  std::string condition_en;  // "pneumonia", as it stands in a sentence
  std::string condition_zh;
  Selection selection;
  Preprocessing preprocessing;
  Label label;
  std::string head;              // binary
  std::string loss;              // bce
  bool balance_classes = true;   // weight the positive class by negatives / positives
  bool flip_horizontal = false;  // augmentation that the anatomy allows
  CodedConcept finding;          // what the SR says is present or absent
  CodedConcept procedure;        // what was reported on
};

// Reads a task from the mapping of a task file or of a plan. Errors are noted on `yaml`.
Task ReadTask(StrictYaml yaml);

// INVALID_ARGUMENT: "file:line:column: ..."
absl::StatusOr<Task> ParseTask(const std::string& text, const std::string& file);

// Canonical JSON: every field, keys sorted. ParseTask(TaskJson(task)) gives the same task.
std::string TaskJson(const Task& task);

}  // namespace cloister::plan
