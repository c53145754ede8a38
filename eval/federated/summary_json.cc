// SPDX-License-Identifier: Apache-2.0
// The JSON of a site's summary: written at the site, read strictly at the coordinator.

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "eval/federated/site_summary.h"

namespace cloister::eval {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxSize = 16 * 1024;
constexpr size_t kMaxVerdicts = 64;
constexpr uint64_t kMaxPatients = 1'000'000'000;

absl::Status Bad(const std::string& what) {
  return absl::InvalidArgumentError("site summary: " + what);
}

Json ToJson(const Estimate& estimate) {
  return {{"value", estimate.value}, {"lower", estimate.lower}, {"upper", estimate.upper},
          {"level", estimate.level}, {"n", estimate.n},         {"method", estimate.method}};
}
Json ToJson(uint64_t count) {
  return count;
}

template <typename T>
Json ToJson(const Disclosed<T>& value) {
  if (value.ok()) {
    return ToJson(*value);
  }
  if (value.suppressed()) {
    return {{"suppressed", true}};
  }
  return {{"not_estimable", ReasonCode(value.reason())}};
}

absl::Status CheckKeys(const Json& object, const std::set<std::string>& keys, const std::string& what) {
  if (!object.is_object()) {
    return Bad(what + " is not an object");
  }
  for (const auto& [key, value] : object.items()) {
    if (keys.count(key) == 0) {
      return Bad(what + " has an unknown key");
    }
  }
  if (object.size() != keys.size()) {
    return Bad(what + " lacks a key");
  }
  return absl::OkStatus();
}

absl::StatusOr<double> Number(const Json& value, double least, double most, const std::string& what) {
  if (!value.is_number()) {
    return Bad(what + " is not a number");
  }
  const double number = value.get<double>();
  if (!(number >= least && number <= most)) {
    return Bad(fmt::format("{} is outside [{}, {}]", what, least, most));
  }
  return number;
}

absl::StatusOr<uint64_t> Count(const Json& value, const std::string& what) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kMaxPatients) {
    return Bad(fmt::format("{} is not a whole number of at most {}", what, kMaxPatients));
  }
  return value.get<uint64_t>();
}

// {"suppressed": true} or {"not_estimable": code}; nullopt: it is neither, so it must be the value itself.
absl::StatusOr<std::optional<Disclosed<Estimate>>> Absent(const Json& value, const std::string& what) {
  if (!value.is_object() || value.size() != 1) {
    return std::nullopt;
  }
  if (value.begin().key() == "suppressed") {
    if (value.begin().value() != Json(true)) {
      return Bad(what + ": suppressed is not true");
    }
    return Disclosed<Estimate>(Suppressed{});
  }
  if (value.begin().key() == "not_estimable" && value.begin().value().is_string()) {
    if (const auto reason = ParseReason(value.begin().value().get<std::string>())) {
      return Disclosed<Estimate>(*reason);
    }
    return Bad(what + ": unknown reason");
  }
  return std::nullopt;
}

absl::StatusOr<Disclosed<uint64_t>> ReadCount(const Json& json, const std::string& what) {
  CLOISTER_ASSIGN_OR_RETURN(const auto absent, Absent(json, what));
  if (absent) {
    if (!absent->suppressed()) {
      return Bad(what + " is a count and cannot be not estimable");
    }
    return Disclosed<uint64_t>(Suppressed{});
  }
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t count, Count(json, what));
  return Disclosed<uint64_t>(count);
}

absl::StatusOr<Disclosed<Estimate>> ReadEstimate(const Json& json, double least, const std::string& what) {
  CLOISTER_ASSIGN_OR_RETURN(const auto absent, Absent(json, what));
  if (absent) {
    return *absent;
  }
  CLOISTER_RETURN_IF_ERROR(CheckKeys(json, {"value", "lower", "upper", "level", "n", "method"}, what));
  Estimate estimate;
  CLOISTER_ASSIGN_OR_RETURN(estimate.value, Number(json["value"], least, 1, what + ".value"));
  CLOISTER_ASSIGN_OR_RETURN(estimate.lower, Number(json["lower"], least, estimate.value, what + ".lower"));
  CLOISTER_ASSIGN_OR_RETURN(estimate.upper, Number(json["upper"], estimate.value, 1, what + ".upper"));
  CLOISTER_ASSIGN_OR_RETURN(estimate.level, Number(json["level"], 0.5, 0.9999, what + ".level"));
  CLOISTER_ASSIGN_OR_RETURN(estimate.n, Count(json["n"], what + ".n"));
  if (!json["method"].is_string()) {
    return Bad(what + ".method is not a string");
  }
  estimate.method = json["method"].get<std::string>();
  if (estimate.method.empty() || estimate.method.size() > 32 ||
      estimate.method.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != std::string::npos) {
    return Bad(what + ".method is not a name");
  }
  return Disclosed<Estimate>(estimate);
}

// Whether a share of n patients tells of a cell smaller than any hospital may disclose.
bool TellsSmallCell(const Estimate& share) {
  const auto part = static_cast<uint64_t>(std::llround(share.value * static_cast<double>(share.n)));
  return share.method == "wilson" && (part < MinimumCell::kDefault || share.n - part < MinimumCell::kDefault);
}

absl::Status CheckSuppression(const SiteSummary& summary) {
  if (summary.positives.suppressed() != summary.negatives.suppressed() ||
      (summary.patients.suppressed() && !summary.positives.suppressed())) {
    return Bad("one of its counts can be computed from the others");
  }
  if (summary.patients.ok() && *summary.patients < MinimumCell::kDefault) {
    return Bad("a count that should have been suppressed");
  }
  const Disclosed<Estimate>* estimates[] = {&summary.auc, &summary.auc_local_only, &summary.auc_difference,
                                            &summary.sensitivity, &summary.specificity};
  if (summary.positives.suppressed()) {
    for (const Disclosed<Estimate>* estimate : estimates) {
      if (!estimate->suppressed()) {
        return Bad("an estimate that should have been suppressed with its counts");
      }
    }
    return absl::OkStatus();
  }
  for (const Disclosed<uint64_t>* count : {&summary.positives, &summary.negatives}) {
    if (**count > 0 && **count < MinimumCell::kDefault) {
      return Bad("a count that should have been suppressed");
    }
  }
  if (*summary.positives + *summary.negatives != *summary.patients) {
    return Bad(fmt::format("{} positives and {} negatives of {} patients", *summary.positives, *summary.negatives,
                           *summary.patients));
  }
  const bool one_class = *summary.positives == 0 || *summary.negatives == 0;
  for (const Disclosed<Estimate>* estimate : estimates) {
    if (estimate->ok() && (*estimate)->n > *summary.patients) {
      return Bad("an estimate about more patients than there are");
    }
  }
  if (one_class && (summary.auc.ok() || summary.auc_local_only.ok() || summary.auc_difference.ok())) {
    return Bad("an AUC from one class");
  }
  if ((summary.sensitivity.ok() && TellsSmallCell(*summary.sensitivity)) ||
      (summary.specificity.ok() && TellsSmallCell(*summary.specificity))) {
    return Bad("a share that should have been suppressed");
  }
  return absl::OkStatus();
}

// nlohmann keeps the last of two equal keys; this notices the second.
class RepeatedKeys {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      seen_[depth + 1].clear();
    } else if (event == Json::parse_event_t::key) {
      found_ |= !seen_[depth].insert(parsed.get<std::string>()).second;
    }
    return true;
  }
  bool found() const { return found_; }

 private:
  std::map<int, std::set<std::string>> seen_;
  bool found_ = false;
};

}  // namespace

std::string SummaryJson(const SiteSummary& summary) {
  Json verdicts = Json::array();
  for (Outcome outcome : summary.verdicts) {
    verdicts.push_back(OutcomeCode(outcome));
  }
  const Json json = {{"version", 1},
                     {"model", summary.model.hex()},
                     {"patients", ToJson(summary.patients)},
                     {"positives", ToJson(summary.positives)},
                     {"negatives", ToJson(summary.negatives)},
                     {"auc", ToJson(summary.auc)},
                     {"auc_local_only", ToJson(summary.auc_local_only)},
                     {"auc_difference", ToJson(summary.auc_difference)},
                     {"threshold", summary.threshold ? Json(*summary.threshold) : Json(nullptr)},
                     {"sensitivity", ToJson(summary.sensitivity)},
                     {"specificity", ToJson(summary.specificity)},
                     {"verdicts", verdicts}};
  return json.dump();
}

absl::StatusOr<SiteSummary> ParseSummary(const std::string& text) {
  if (text.size() > kMaxSize) {
    return Bad(fmt::format("{} bytes; at most {}", text.size(), kMaxSize));
  }
  RepeatedKeys repeated;
  const Json json = Json::parse(text, std::ref(repeated), /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return Bad("not JSON");
  }
  if (repeated.found()) {
    return Bad("a repeated key");
  }
  CLOISTER_RETURN_IF_ERROR(CheckKeys(json,
                                     {"version", "model", "patients", "positives", "negatives", "auc", "auc_local_only",
                                      "auc_difference", "threshold", "sensitivity", "specificity", "verdicts"},
                                     "it"));
  if (json["version"] != Json(1)) {
    return Bad("an unknown version");
  }
  SiteSummary summary;
  if (!json["model"].is_string()) {
    return Bad("model is not a string");
  }
  CLOISTER_ASSIGN_OR_RETURN(summary.model, Digest::FromHex(json["model"].get<std::string>()));
  CLOISTER_ASSIGN_OR_RETURN(summary.patients, ReadCount(json["patients"], "patients"));
  CLOISTER_ASSIGN_OR_RETURN(summary.positives, ReadCount(json["positives"], "positives"));
  CLOISTER_ASSIGN_OR_RETURN(summary.negatives, ReadCount(json["negatives"], "negatives"));
  CLOISTER_ASSIGN_OR_RETURN(summary.auc, ReadEstimate(json["auc"], 0, "auc"));
  CLOISTER_ASSIGN_OR_RETURN(summary.auc_local_only, ReadEstimate(json["auc_local_only"], 0, "auc_local_only"));
  CLOISTER_ASSIGN_OR_RETURN(summary.auc_difference, ReadEstimate(json["auc_difference"], -1, "auc_difference"));
  CLOISTER_ASSIGN_OR_RETURN(summary.sensitivity, ReadEstimate(json["sensitivity"], 0, "sensitivity"));
  CLOISTER_ASSIGN_OR_RETURN(summary.specificity, ReadEstimate(json["specificity"], 0, "specificity"));
  if (!json["threshold"].is_null()) {
    CLOISTER_ASSIGN_OR_RETURN(summary.threshold, Number(json["threshold"], 0, 1, "threshold"));
  }
  if (!json["verdicts"].is_array() || json["verdicts"].size() > kMaxVerdicts) {
    return Bad(fmt::format("verdicts is not a list of at most {}", kMaxVerdicts));
  }
  for (const Json& verdict : json["verdicts"]) {
    const auto outcome = verdict.is_string() ? ParseOutcome(verdict.get<std::string>()) : std::nullopt;
    if (!outcome) {
      return Bad("an unknown verdict");
    }
    summary.verdicts.push_back(*outcome);
  }
  CLOISTER_RETURN_IF_ERROR(CheckSuppression(summary));
  return summary;
}

}  // namespace cloister::eval
