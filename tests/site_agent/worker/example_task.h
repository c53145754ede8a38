#pragma once
// SPDX-License-Identifier: Apache-2.0
// A small valid task for worker tests.

#include <nlohmann/json.hpp>

#include "protocols/plan/task.h"

namespace cloister::site::testing {

inline nlohmann::json ExampleTask(int side = 32) {
  plan::Task task;
  task.name = "chest_pneumonia";
  task.title_en = "Chest pneumonia";
  task.title_zh = "\xE8\x82\xBA\xE7\x82\x8E";
  task.condition_en = "pneumonia";
  task.condition_zh = "\xE8\x82\xBA\xE7\x82\x8E";
  task.selection.modalities = {"CR", "DX"};
  task.preprocessing.rows = task.preprocessing.columns = side;
  task.preprocessing.window = "percentile";
  task.preprocessing.lower_percentile = 0.5;
  task.preprocessing.upper_percentile = 99.5;
  task.preprocessing.fit = "letterbox";
  task.label = {"label", "pneumonia", "normal"};
  task.head = "binary";
  task.loss = "bce";
  task.finding = {"233604007", "SCT", "Pneumonia"};
  task.procedure = {"399208008", "SCT", "Plain chest X-ray"};
  return nlohmann::json::parse(plan::TaskJson(task));
}

}  // namespace cloister::site::testing
