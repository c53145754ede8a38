// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/manifest.h"

#include <nlohmann/json.hpp>

namespace cloister::site {
namespace {

using Json = nlohmann::json;

CohortSplit ParseSplit(const std::string& name) {
  return name == "test" ? CohortSplit::kTest : name == "tuning" ? CohortSplit::kTuning : CohortSplit::kTrain;
}

}  // namespace

Bytes ManifestDocument(const CohortManifest& manifest) {
  Json cases = Json::array();
  for (const ManifestCase& one : manifest.cases) {
    cases.push_back(Json{{"id", one.id},
                         {"patient", one.patient},
                         {"accession_number", one.accession_number},
                         {"study_instance_uid", one.study_instance_uid},
                         {"sop_instance_uid", one.sop_instance_uid},
                         {"image", one.image.hex()},
                         {"label", one.positive ? 1 : 0},
                         {"split", CohortSplitName(one.split)}});
  }
  // Identifiers come from a PACS and need not be UTF-8.
  return Json{{"manifest", 1}, {"task", manifest.task}, {"cases", cases}}.dump(-1, ' ', false,
                                                                               Json::error_handler_t::replace);
}

absl::StatusOr<CohortManifest> ParseManifest(const Bytes& document) {
  const Json json = Json::parse(document, nullptr, false);
  const absl::Status bad = absl::InvalidArgumentError("not a cohort manifest");
  if (!json.is_object() || !json.contains("manifest") || json["manifest"] != 1 || !json.contains("task") ||
      !json["task"].is_string() || !json.contains("cases") || !json["cases"].is_array()) {
    return bad;
  }
  CohortManifest manifest;
  manifest.task = json["task"];
  for (const Json& one : json["cases"]) {
    for (const char* key :
         {"id", "patient", "accession_number", "study_instance_uid", "sop_instance_uid", "image", "split"}) {
      if (!one.is_object() || !one.contains(key) || !one[key].is_string()) {
        return bad;
      }
    }
    if (!one.contains("label") || !one["label"].is_number_integer()) {
      return bad;
    }
    ManifestCase result;
    result.id = one["id"];
    result.patient = one["patient"];
    result.accession_number = one["accession_number"];
    result.study_instance_uid = one["study_instance_uid"];
    result.sop_instance_uid = one["sop_instance_uid"];
    CLOISTER_ASSIGN_OR_RETURN(result.image, Digest::FromHex(one["image"].get<std::string>()));
    result.positive = one["label"] == 1;
    result.split = ParseSplit(one["split"]);
    manifest.cases.push_back(std::move(result));
  }
  return manifest;
}

}  // namespace cloister::site
