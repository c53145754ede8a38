// SPDX-License-Identifier: Apache-2.0
#include "site_agent/cohort/study_outcome.h"

namespace cloister::site {
namespace {

struct Entry {
  StudyOutcome outcome;
  std::string_view name;
  std::string_view advice;
  std::string_view advice_zh;
};

constexpr Entry kEntries[] = {
    {StudyOutcome::kUsable, "USABLE", "in the cohort", "已纳入队列"},
    {StudyOutcome::kNoLabel, "NO_LABEL", "accession number not in the label file: add a row to include it",
     "标签文件中没有该检查号"},
    {StudyOutcome::kNoReference, "NO_REFERENCE", "label is neither the positive nor the negative text of the task",
     "标签既非阳性也非阴性"},
    {StudyOutcome::kConflictingLabels, "CONFLICTING_LABELS",
     "rows of one accession number disagree: correct the label file", "同一检查号的标签互相矛盾"},
    {StudyOutcome::kConflictingPatient, "CONFLICTING_PATIENT",
     "studies of one patient have different labels: correct the label file, or set patient_conflicts: keep",
     "同一患者的标签互相矛盾"},
    {StudyOutcome::kDuplicateAccession, "DUPLICATE_ACCESSION",
     "several studies share one accession number: the label cannot be assigned", "多个检查共用同一检查号"},
    {StudyOutcome::kNoPatientId, "NO_PATIENT_ID", "no patient id: the study cannot be split by patient",
     "缺少患者编号"},
    {StudyOutcome::kNotRetrieved, "NOT_RETRIEVED",
     "the PACS did not deliver it: run cohort again when the PACS is well", "PACS 未能传送该检查"},
    {StudyOutcome::kEmptyRetrieval, "EMPTY_RETRIEVAL", "the PACS reports success but sent no image",
     "PACS 报告成功但没有图像"},
    {StudyOutcome::kPartialRetrieval, "PARTIAL_RETRIEVAL",
     "the PACS sent only a part of it: asked again by the next cohort run", "PACS 只传送了部分图像，下次会重新获取"},
    {StudyOutcome::kNoMatchingImage, "NO_MATCHING_IMAGE", "no image of the task's modality and view position",
     "没有符合任务模态和体位的图像"},
    {StudyOutcome::kImageRejected, "IMAGE_REJECTED", "the image could not be decoded or used", "图像无法解码或使用"},
};

const Entry& EntryOf(StudyOutcome outcome) {
  for (const Entry& entry : kEntries) {
    if (entry.outcome == outcome) {
      return entry;
    }
  }
  return kEntries[7];
}

}  // namespace

std::string_view StudyOutcomeName(StudyOutcome outcome) {
  return EntryOf(outcome).name;
}

StudyOutcome ParseStudyOutcome(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) {
      return entry.outcome;
    }
  }
  return StudyOutcome::kNotRetrieved;
}

const std::vector<StudyOutcome>& AllStudyOutcomes() {
  static const auto* const kAll = [] {
    auto* all = new std::vector<StudyOutcome>;
    for (const Entry& entry : kEntries) {
      all->push_back(entry.outcome);
    }
    return all;
  }();
  return *kAll;
}

std::string_view StudyOutcomeAdvice(StudyOutcome outcome) {
  return EntryOf(outcome).advice;
}

std::string_view StudyOutcomeAdviceZh(StudyOutcome outcome) {
  return EntryOf(outcome).advice_zh;
}

}  // namespace cloister::site
