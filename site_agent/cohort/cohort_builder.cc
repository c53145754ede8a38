// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/cohort_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"

namespace cloister::site {
namespace {

constexpr size_t kStudiesAtOnce = 32;  // stored in one transaction; after a kill so many are fetched again
constexpr absl::Duration kQuarantine = absl::Hours(7 * 24);
constexpr int kPartialAttempts = 3;  // then what came of a study is what there is to have
constexpr int kFailuresInARow = 3;   // before the PACS is asked whether it is well

bool Contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool Matches(const InstanceHeader& header, const plan::Selection& selection) {
  return header.rows > 0 && header.number_of_frames == 1 && Contains(selection.modalities, header.modality) &&
         (selection.view_positions.empty() || Contains(selection.view_positions, header.view_position));
}

// Its image is in the cache, whatever a worker thought of the pixels.
bool IsFetched(const StudyCatalogueRow& study) {
  std::error_code ignored;
  return (study.outcome == StudyOutcomeName(StudyOutcome::kUsable) ||
          study.outcome == StudyOutcomeName(StudyOutcome::kImageRejected)) &&
         std::filesystem::exists(study.image_path, ignored);
}

// A study that will not change by asking again.
bool IsSettled(const StudyCatalogueRow& study) {
  return IsFetched(study) || study.outcome == StudyOutcomeName(StudyOutcome::kNoMatchingImage);
}

bool IsQuarantined(const StudyCatalogueRow& study, absl::Time now) {
  return study.outcome == StudyOutcomeName(StudyOutcome::kImageRejected) && study.message == kImageKilledDecoder &&
         now - absl::FromUnixMillis(study.updated_unix_ms) < kQuarantine;
}

bool MayBeAboutTheSource(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

struct CohortBuilder::Join {
  CohortReport report;
  std::vector<StudyCatalogueRow> studies;  // all that were found, with the outcome of the join
  std::vector<bool> positive;              // of each
};

CohortBuilder::CohortBuilder(StudySource* source, CohortTable* table, const crypto::SecretBytes* site_secret,
                             const Clock* clock, CohortBuilderOptions options)
    : source_(source), table_(table), site_secret_(site_secret), clock_(clock), options_(std::move(options)) {}

absl::StatusOr<CohortBuilder::Join> CohortBuilder::JoinLabels(const CohortRequest& request,
                                                              const std::vector<StudyRow>& found) const {
  CLOISTER_ASSIGN_OR_RETURN(const LabelFile labels,
                            ReadLabelFile(request.label_file, request.accession_column, request.task.label));
  Join join;
  join.report.task = request.task.name;
  join.report.found = static_cast<int>(found.size());
  join.report.label_rows = labels.rows;
  for (const LabelFinding& finding : labels.findings) {
    join.report.rows[finding.problem].push_back(finding.line);
  }

  std::map<std::string, int> studies_with_accession;
  for (const StudyRow& row : found) {
    ++studies_with_accession[row.accession_number];
  }
  for (const auto& [accession, row] : labels.by_accession) {
    if (studies_with_accession.count(accession) == 0) {
      join.report.rows[LabelProblem::kUnknownAccession].push_back(row.line);
    }
  }

  std::map<std::string, std::set<bool>> classes_of_patient;
  std::vector<int> lines;
  for (const StudyRow& row : found) {
    StudyCatalogueRow study;
    study.task = request.task.name;
    study.study_instance_uid = row.study_instance_uid;
    study.accession_number = row.accession_number;
    study.patient_id = row.patient_id;
    study.patient_sex = row.patient_sex;
    study.study_date = row.study_date;
    StudyOutcome outcome = StudyOutcome::kUsable;
    const auto label = labels.by_accession.find(row.accession_number);
    if (label == labels.by_accession.end()) {
      outcome = StudyOutcome::kNoLabel;
    } else if (studies_with_accession[row.accession_number] > 1) {
      outcome = StudyOutcome::kDuplicateAccession;
    } else if (label->second.conflicting) {
      outcome = StudyOutcome::kConflictingLabels;
    } else if (label->second.value == LabelValue::kNoReference) {
      outcome = StudyOutcome::kNoReference;
    } else if (row.patient_id.empty()) {
      outcome = StudyOutcome::kNoPatientId;
    }
    const bool positive = outcome == StudyOutcome::kUsable && label->second.value == LabelValue::kPositive;
    if (outcome == StudyOutcome::kUsable) {
      classes_of_patient[row.patient_id].insert(positive);
    }
    study.outcome = StudyOutcomeName(outcome);
    join.studies.push_back(std::move(study));
    join.positive.push_back(positive);
    lines.push_back(label == labels.by_accession.end() ? 0 : label->second.line);
  }

  if (!request.keep_conflicting_patients) {
    for (size_t i = 0; i < join.studies.size(); ++i) {
      StudyCatalogueRow& study = join.studies[i];
      if (study.outcome == StudyOutcomeName(StudyOutcome::kUsable) && classes_of_patient[study.patient_id].size() > 1) {
        study.outcome = StudyOutcomeName(StudyOutcome::kConflictingPatient);
        join.report.rows[LabelProblem::kConflictingPatient].push_back(lines[i]);
      }
    }
  }
  for (auto& [problem, numbers] : join.report.rows) {
    std::sort(numbers.begin(), numbers.end());
  }
  return join;
}

const RetrievedFile* ChooseImage(const std::vector<RetrievedFile>& files, const plan::Selection& selection) {
  const RetrievedFile* best = nullptr;
  const auto rank = [](const InstanceHeader& header) {
    return std::make_tuple(header.presentation_intent_type == "FOR PROCESSING", header.series_number,
                           header.instance_number, std::cref(header.sop_instance_uid));
  };
  for (const RetrievedFile& file : files) {
    if (Matches(file.header, selection) && (best == nullptr || rank(file.header) < rank(best->header))) {
      best = &file;
    }
  }
  return best;
}

absl::Status CohortBuilder::Fetch(const CohortRequest& request, const std::string& id, StudyCatalogueRow& study) const {
  const std::filesystem::path folder = options_.cache / request.task.name / id;
  ++study.fetch_attempts;
  const absl::StatusOr<RetrievedStudy> retrieved = source_->RetrieveStudy(study.study_instance_uid, folder);
  if (!retrieved.ok()) {
    study.outcome = StudyOutcomeName(absl::IsNotFound(retrieved.status()) ? StudyOutcome::kEmptyRetrieval
                                                                          : StudyOutcome::kNotRetrieved);
    study.message = std::string(retrieved.status().message());
    return retrieved.status();
  }
  const RetrievedFile* image = ChooseImage(retrieved->files, request.task.selection);
  // The image the task is about may be among what is missing. But an object beside the film that the PACS never
  // delivers must not cost the study for ever.
  const bool in_part = !retrieved->missing.empty() && (image == nullptr || study.fetch_attempts < kPartialAttempts);
  if (in_part) {
    image = nullptr;
  }
  for (const RetrievedFile& file : retrieved->files) {
    if (&file != image) {
      std::error_code ignored;
      std::filesystem::remove(file.path, ignored);
    }
  }
  if (in_part) {
    study.outcome = StudyOutcomeName(StudyOutcome::kPartialRetrieval);
    study.message = retrieved->missing;
    return absl::DataLossError(retrieved->missing);
  }
  if (image == nullptr) {
    study.outcome = StudyOutcomeName(StudyOutcome::kNoMatchingImage);
    study.message = fmt::format("{} files, none of the wanted modality and view", retrieved->files.size());
    return absl::OkStatus();
  }
  // A name without a UID: it stands in job files and in messages.
  const std::filesystem::path cached = folder / "image.dcm";
  std::error_code error;
  std::filesystem::rename(image->path, cached, error);
  if (error) {
    return ErrnoStatus(error.value(), "cannot rename", cached);
  }
  CLOISTER_ASSIGN_OR_RETURN(study.image_digest, crypto::Sha256File(cached));
  study.outcome = StudyOutcomeName(StudyOutcome::kUsable);
  study.message.clear();
  study.image_path = cached.string();
  study.sop_instance_uid = image->header.sop_instance_uid;
  study.manufacturer = image->header.manufacturer;
  study.view_position = image->header.view_position;
  return absl::OkStatus();
}

absl::StatusOr<CohortDraft> CohortBuilder::Build(const CohortRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(std::vector<StudyRow> found, source_->FindStudies(request.task.selection.modalities));
  std::sort(found.begin(), found.end(),
            [](const StudyRow& a, const StudyRow& b) { return a.study_instance_uid < b.study_instance_uid; });
  CLOISTER_ASSIGN_OR_RETURN(Join join, JoinLabels(request, found));

  std::map<std::string, StudyCatalogueRow> known;
  CLOISTER_ASSIGN_OR_RETURN(std::vector<StudyCatalogueRow> rows, table_->Studies(request.task.name));
  for (StudyCatalogueRow& row : rows) {
    known.emplace(row.study_instance_uid, std::move(row));
  }
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(options_.cache));
  std::error_code ignored;
  std::filesystem::permissions(options_.cache, std::filesystem::perms::owner_all, ignored);

  CohortDraft draft;
  draft.report = std::move(join.report);
  int failures_in_a_row = 0;
  absl::Status last_failure;
  std::vector<StudyCatalogueRow> changed;
  for (size_t i = 0; i < join.studies.size(); ++i) {
    if (options_.cancelled && options_.cancelled()) {
      CLOISTER_RETURN_IF_ERROR(table_->PutStudies(changed));
      return absl::CancelledError("stopped while fetching studies");
    }
    StudyCatalogueRow& study = join.studies[i];
    const std::string id = "c" + HexEncode(KeyedHash(*site_secret_, "case", 0, study.study_instance_uid)).substr(0, 16);
    const auto before = known.find(study.study_instance_uid);
    if (study.outcome == StudyOutcomeName(StudyOutcome::kUsable)) {
      if (before != known.end() && IsSettled(before->second)) {
        StudyCatalogueRow kept = before->second;
        kept.accession_number = study.accession_number;
        kept.patient_id = study.patient_id;
        if (IsQuarantined(kept, clock_->Now())) {
          ++draft.report.image_rejections[kept.message];
        } else if (IsFetched(kept)) {
          kept.outcome = StudyOutcomeName(StudyOutcome::kUsable);  // until a worker has looked again
        }
        study = std::move(kept);
      } else {
        study.fetch_attempts = before == known.end() ? 0 : before->second.fetch_attempts;
        const absl::Status status = Fetch(request, id, study);
        study.updated_unix_ms = absl::ToUnixMillis(clock_->Now());
        changed.push_back(study);
        failures_in_a_row = MayBeAboutTheSource(status) ? failures_in_a_row + 1 : 0;
        absl::Status stop;
        if (absl::IsResourceExhausted(status) || absl::IsPermissionDenied(status)) {
          stop = status;
        } else if (failures_in_a_row == kFailuresInARow) {
          failures_in_a_row = 0;
          stop = source_->Check();  // a PACS that is well has three bad studies side by side
        }
        if (!stop.ok()) {
          CLOISTER_RETURN_IF_ERROR(table_->PutStudies(changed));
          return Annotate(stop, "fetching studies from the PACS");
        }
        if (!status.ok() && !absl::IsNotFound(status)) {
          last_failure = status;
        }
        draft.report.newly_fetched += status.ok() ? 1 : 0;
      }
    } else if (before == known.end() || before->second.outcome != study.outcome) {
      if (before != known.end()) {
        study.image_path = before->second.image_path;
      }
      study.updated_unix_ms = absl::ToUnixMillis(clock_->Now());
      changed.push_back(study);
    }
    if (changed.size() >= kStudiesAtOnce) {
      CLOISTER_RETURN_IF_ERROR(table_->PutStudies(changed));
      changed.clear();
    }
    ++draft.report.studies[ParseStudyOutcome(study.outcome)];
    if (study.outcome == StudyOutcomeName(StudyOutcome::kUsable)) {
      DraftCase one;
      one.id = id;
      one.patient = "p" + HexEncode(KeyedHash(*site_secret_, "patient", 0, study.patient_id)).substr(0, 16);
      one.positive = join.positive[i];
      one.study = study;
      draft.cases.push_back(std::move(one));
    }
    if (options_.progress) {
      options_.progress(static_cast<int>(i + 1), static_cast<int>(join.studies.size()));
    }
  }
  CLOISTER_RETURN_IF_ERROR(table_->PutStudies(changed));
  if (draft.cases.empty() && !last_failure.ok()) {
    return Annotate(last_failure, "not one study could be fetched from the PACS");
  }
  std::sort(draft.cases.begin(), draft.cases.end(), [](const DraftCase& a, const DraftCase& b) { return a.id < b.id; });
  ApplyRejections({}, draft);
  return draft;
}

std::vector<DraftCase> ApplyRejections(const std::map<std::string, std::string>& rejected, CohortDraft& draft) {
  std::vector<DraftCase> kept;
  std::vector<DraftCase> removed;
  for (DraftCase& one : draft.cases) {
    const auto found = rejected.find(one.id);
    if (found == rejected.end()) {
      kept.push_back(std::move(one));
      continue;
    }
    --draft.report.studies[StudyOutcome::kUsable];
    ++draft.report.studies[StudyOutcome::kImageRejected];
    ++draft.report.image_rejections[found->second];
    one.study.outcome = StudyOutcomeName(StudyOutcome::kImageRejected);
    one.study.message = found->second;
    removed.push_back(std::move(one));
  }
  draft.cases = std::move(kept);
  std::map<std::string, bool> patients;
  draft.report.positive_studies = 0;
  for (const DraftCase& one : draft.cases) {
    patients[one.patient] |= one.positive;
    draft.report.positive_studies += one.positive ? 1 : 0;
  }
  draft.report.patients = static_cast<int>(patients.size());
  draft.report.positive_patients = static_cast<int>(
      std::count_if(patients.begin(), patients.end(), [](const auto& patient) { return patient.second; }));
  return removed;
}

CohortManifest FreezeCohort(const CohortDraft& draft, const SplitRule& rule, const crypto::SecretBytes& site_secret) {
  std::map<std::string, bool> positive;  // by the hospital's patient id
  for (const DraftCase& one : draft.cases) {
    positive[one.study.patient_id] |= one.positive;
  }
  std::vector<PatientClass> patients;
  for (const auto& [patient_id, is_positive] : positive) {
    patients.push_back({patient_id, is_positive});
  }
  const std::map<std::string, CohortSplit> splits = SplitPatients(patients, rule, site_secret);
  CohortManifest manifest;
  manifest.task = draft.report.task;
  for (const DraftCase& one : draft.cases) {
    ManifestCase entry;
    entry.id = one.id;
    entry.patient = one.patient;
    entry.accession_number = one.study.accession_number;
    entry.study_instance_uid = one.study.study_instance_uid;
    entry.sop_instance_uid = one.study.sop_instance_uid;
    entry.image = one.study.image_digest;
    entry.positive = one.positive;
    entry.split = splits.at(one.study.patient_id);
    manifest.cases.push_back(std::move(entry));
  }
  return manifest;
}

}  // namespace cloister::site
