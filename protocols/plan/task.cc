// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/task.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocols/base/ids.h"
#include "protocols/plan/json_text.h"

namespace cloister::plan {
namespace {

const std::vector<std::string> kModalities = {"CR", "DX"};
const std::vector<std::string> kViewPositions = {"PA", "AP", "LL", "RL", "LATERAL"};

CodedConcept ReadConcept(StrictYaml yaml) {
  CodedConcept concept_;
  concept_.value = yaml.Text("value");
  concept_.scheme = yaml.Text("scheme");
  concept_.meaning = yaml.Text("meaning");
  if (concept_.value.size() > 16) yaml.Fail("value", "a code value has at most 16 characters (DICOM SH)");
  if (concept_.scheme.size() > 16) yaml.Fail("scheme", "a coding scheme has at most 16 characters (DICOM SH)");
  if (concept_.meaning.size() > 64) yaml.Fail("meaning", "a code meaning has at most 64 characters (DICOM LO)");
  return concept_;
}

nlohmann::json ConceptJson(const CodedConcept& concept_) {
  return {{"value", concept_.value}, {"scheme", concept_.scheme}, {"meaning", concept_.meaning}};
}

void CheckListed(StrictYaml& yaml, const std::string& key, const std::vector<std::string>& values,
                 const std::vector<std::string>& allowed) {
  for (const std::string& value : values) {
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
      std::string names;
      for (const std::string& name : allowed) names += (names.empty() ? "" : ", ") + name;
      yaml.Fail(key, "'" + key + "' cannot hold '" + value + "'; allowed: " + names);
    }
  }
}

Selection ReadSelection(StrictYaml yaml) {
  Selection selection;
  selection.modalities = yaml.TextList("modalities");
  if (selection.modalities.empty()) yaml.Fail("modalities", "name at least one modality");
  CheckListed(yaml, "modalities", selection.modalities, kModalities);
  selection.view_positions = yaml.TextList("view_positions", std::vector<std::string>());
  CheckListed(yaml, "view_positions", selection.view_positions, kViewPositions);
  return selection;
}

Preprocessing ReadPreprocessing(StrictYaml yaml) {
  Preprocessing preprocessing;
  preprocessing.rows = static_cast<int>(yaml.Int("rows", 16, 2048));
  preprocessing.columns = static_cast<int>(yaml.Int("columns", 16, 2048));
  preprocessing.channels = static_cast<int>(yaml.Int("channels", 1, 3, 1));
  if (preprocessing.channels == 2) yaml.Fail("channels", "'channels' must be 1 or 3");
  preprocessing.window = yaml.OneOf("window", {"percentile", "full"}, "percentile");
  preprocessing.lower_percentile = yaml.Real("lower_percentile", 0, 49, 1.0);
  preprocessing.upper_percentile = yaml.Real("upper_percentile", 51, 100, 99.0);
  preprocessing.fit = yaml.OneOf("fit", {"letterbox", "stretch", "crop"}, "letterbox");
  return preprocessing;
}

Label ReadLabel(StrictYaml yaml) {
  Label label;
  label.column = yaml.Text("column");
  label.positive = yaml.Text("positive");
  label.negative = yaml.Text("negative");
  if (yaml.Has("negative") && label.positive == label.negative) {
    yaml.Fail("negative", "'positive' and 'negative' are the same text");
  }
  return label;
}

}  // namespace

Task ReadTask(StrictYaml yaml) {
  Task task;
  task.name = yaml.Text("task");
  if (const absl::Status status = CheckIdentifier(task.name, "task name"); !status.ok()) {
    yaml.Fail("task", std::string(status.message()));
  }
  task.title_en = yaml.Text("title_en");
  task.title_zh = yaml.Text("title_zh");
  task.condition_en = yaml.Text("condition_en");
  task.condition_zh = yaml.Text("condition_zh");
  task.selection = ReadSelection(yaml.Map("selection"));
  task.preprocessing = ReadPreprocessing(yaml.Map("preprocessing"));
  task.label = ReadLabel(yaml.Map("label"));
  task.head = yaml.OneOf("head", {"binary"});
  task.loss = yaml.OneOf("loss", {"bce"}, "bce");
  task.balance_classes = yaml.Bool("balance_classes", true);
  task.flip_horizontal = yaml.Bool("flip_horizontal", false);
  task.finding = ReadConcept(yaml.Map("finding"));
  task.procedure = ReadConcept(yaml.Map("procedure"));
  return task;
}

absl::StatusOr<Task> ParseTask(const std::string& text, const std::string& file) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml yaml, StrictYaml::Parse(text, file));
  Task task = ReadTask(yaml);
  CLOISTER_RETURN_IF_ERROR(yaml.Finish());
  return task;
}

std::string TaskJson(const Task& task) {
  const nlohmann::json json = {
      {"task", task.name},
      {"title_en", task.title_en},
      {"title_zh", task.title_zh},
      {"condition_en", task.condition_en},
      {"condition_zh", task.condition_zh},
      {"selection", {{"modalities", task.selection.modalities}, {"view_positions", task.selection.view_positions}}},
      {"preprocessing",
       {{"rows", task.preprocessing.rows},
        {"columns", task.preprocessing.columns},
        {"channels", task.preprocessing.channels},
        {"window", task.preprocessing.window},
        {"lower_percentile", task.preprocessing.lower_percentile},
        {"upper_percentile", task.preprocessing.upper_percentile},
        {"fit", task.preprocessing.fit}}},
      {"label", {{"column", task.label.column}, {"positive", task.label.positive}, {"negative", task.label.negative}}},
      {"head", task.head},
      {"loss", task.loss},
      {"balance_classes", task.balance_classes},
      {"flip_horizontal", task.flip_horizontal},
      {"finding", ConceptJson(task.finding)},
      {"procedure", ConceptJson(task.procedure)},
  };
  return JsonText(json);
}

}  // namespace cloister::plan
