#pragma once
// SPDX-License-Identifier: Apache-2.0
// Everything a validation report says, as the site's agent knows it. The report is made and read inside the hospital:
// nothing here is suppressed, and nothing of it may leave.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/federated/gates.h"
#include "eval/federated/site_summary.h"
#include "eval/metrics/case.h"
#include "eval/stats/agreement.h"
#include "eval/stats/bootstrap.h"
#include "eval/stats/measure.h"
#include "eval/stats/subgroups.h"

namespace cloister::eval {

// A text in both languages; with one of them empty, the other is shown.
struct LocalText {
  std::string en;
  std::string zh;
};

struct ReportCase {
  std::string id;  // the hospital's own case id (accession number or pseudonym), shown only inside the hospital
  Case prediction;
  std::optional<double> local_only_score;  // all cases have one, or none has
};

// Who was tested, in studies: retrieved -> eligible -> minus rejected, without reference, used for training -> analysed
// (the cases). What does not add up is shown as such. `retrieved` 0: not recorded.
struct Flow {
  uint64_t retrieved = 0;
  uint64_t eligible = 0;
  std::vector<std::pair<LocalText, uint64_t>> rejected;  // by reason
  uint64_t no_reference = 0;
  uint64_t training = 0;  // used for training and tuning, so not for this report
};

struct OtherSite {
  std::string pseudonym;  // "A"; never a hospital's name
  SiteSummary summary;
};

struct ReportedGate {
  Gate gate;
  Verdict verdict;
};

struct Provenance {
  std::string release;          // id and version
  std::string model_digest;     // hex
  std::string manifest_digest;  // hex: the frozen list of these cases
  std::string plan_digest;      // hex
  std::string experiment;
  int rounds = 0;
  int sites = 0;
  std::string code_version;
  std::string generated_utc;  // RFC 3339
  std::vector<std::pair<LocalText, std::string>> more;
};

// What the training told of one unit at most, as the site's ledger has it.
struct PrivacyStatement {
  std::string unit;    // patient | site
  double epsilon = 0;  // that was spent here
  double delta = 0;
  double planned_epsilon = 0;  // the most that the plan allows
  std::string accountant;
  double noise_multiplier = 0;
  double clip_norm = 0;
  int trainings = 0;  // rounds that this site trained in
};

// What STARD-AI, CLAIM and NMPA's guideline want said. An empty text is shown as "not stated".
struct StudyStatement {
  LocalText target_definition;
  LocalText reference_standard;
  LocalText blinding;
  LocalText conflicts_of_interest;
  LocalText limitations;
  std::optional<uint64_t>
      overlapping_patients;       // between training and test, by patient hash; 0 is the leakage statement
  std::string preregistered_utc;  // when the gates and the threshold were fixed
};

struct SignOff {
  enum class Decision { kAccepted, kRefused };
  Decision decision = Decision::kAccepted;
  std::string name;
  std::string role;
  std::string signed_utc;
  std::string comment;
};

// Measures that belong together: of all cases, of one class.
struct MeasureTable {
  std::string key;
  LocalText title;
  std::vector<Measure> measures;
};

struct ReportInput {
  // Predictions of any model about anyone's cases, not a release at a hospital: the page has no gates, no other
  // hospitals and nothing to sign.
  bool outside = false;
  std::string site_name;
  LocalText task_title;
  LocalText condition;  // as it stands in a sentence: "pneumonia", "肺炎"
  std::vector<ReportCase> cases;
  double threshold = 0.5;
  std::string threshold_rule;                  // "youden", "sensitivity 0.95", ... chosen on the tuning split
  std::optional<double> local_only_threshold;  // unset: the local-only model is compared by AUC only
  std::optional<double> prevalence;            // in practice; unset: that of the analysed cases
  std::optional<double> studies_per_day;       // our volume; unset: the slider speaks of 100 studies
  Flow flow;
  std::vector<ReportedGate> gates;
  std::vector<OtherSite> others;
  Provenance provenance;
  StudyStatement statement;
  std::optional<PrivacyStatement> privacy;  // unset: the plan has no differential privacy
  std::optional<SignOff> sign_off;
  // Opens a case in the viewer: "https://pacs/viewer?accession={case}". Empty: no link. Only http and https.
  std::string viewer_link;
  std::vector<SubgroupColumn> subgroups;  // each as long as the cases
  std::vector<std::string> site_of_case;  // where each case is from; empty: all from one site
  // A task without a two-by-two table: what was measured, instead of `cases`. Empty: a binary task.
  std::string task = "binary";
  std::vector<MeasureTable> measure_tables;
  uint64_t measured_cases = 0;
  uint64_t measured_patients = 0;
  std::vector<std::string> categories;                      // of category_counts
  CategoryCounts category_counts;                           // rows: reference, columns: called
  std::vector<std::pair<std::string, double>> worst_cases;  // id and Dice; the page shows the lowest
  LocalText compared_with;      // whose score local_only_score is; empty: the model trained here alone
  uint64_t minimum_n = 30;      // numbers about fewer patients are greyed
  size_t listed_cases = 200;    // of each list, most telling first; the JSON has all
  std::string language = "zh";  // shown first: zh | en
  BootstrapOptions bootstrap;
};

}  // namespace cloister::eval
