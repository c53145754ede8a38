// SPDX-License-Identifier: Apache-2.0
// C-FIND at study and series level (Study Root).

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/diutil.h>
#include <fmt/format.h>

#include <cstring>
#include <set>

#include "site_agent/ingest/association.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/pacs_client.h"

namespace cloister::site {
namespace {

constexpr size_t kMaxRows = 1'000'000;

std::string Text(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  item.findAndGetOFStringArray(tag, value);
  std::string text(value.c_str(), std::strlen(value.c_str()));
  text.erase(text.find_last_not_of(' ') + 1);
  return text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
}

int Count(DcmItem& item, const DcmTagKey& tag) {
  Sint32 count = -1;
  return item.findAndGetSint32(tag, count).good() && count >= 0 ? count : -1;
}

std::vector<std::string> Values(const std::string& text) {
  std::vector<std::string> values;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\\', start), text.size());
    values.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return values;
}

void Put(DcmDataset& keys, const DcmTagKey& tag, const std::string& value = "") {
  keys.putAndInsertString(tag, value.c_str());
}

// Sends `keys` and calls `on_row` for every match.
absl::Status Find(const PacsConfig& config, DcmDataset& keys, const std::function<void(DcmDataset&)>& on_row) {
  const char* const model = UID_FINDStudyRootQueryRetrieveInformationModel;
  CLOISTER_ASSIGN_OR_RETURN(Association association,
                            Association::Request(config, {{model, UncompressedSyntaxes(), /*scp_role=*/false}}));
  T_DIMSE_Message message{};
  message.CommandField = DIMSE_C_FIND_RQ;
  message.msg.CFindRQ.MessageID = association.NextMessageId();
  message.msg.CFindRQ.Priority = DIMSE_PRIORITY_MEDIUM;
  message.msg.CFindRQ.DataSetType = DIMSE_DATASET_PRESENT;
  OFStandard::strlcpy(message.msg.CFindRQ.AffectedSOPClassUID, model, sizeof(message.msg.CFindRQ.AffectedSOPClassUID));
  const OFCondition sent = DIMSE_sendMessageUsingMemoryData(association.get(), association.Context(model), &message,
                                                            nullptr, &keys, nullptr, nullptr);
  CLOISTER_RETURN_IF_ERROR(association.Explain(sent, "C-FIND"));
  for (size_t rows = 0;; ++rows) {
    if (association.PastDeadline()) {
      return association.Explain(DIMSE_NODATAAVAILABLE, "C-FIND");
    }
    T_DIMSE_Message response{};
    T_ASC_PresentationContextID context = 0;
    DcmDataset* detail = nullptr;
    const OFCondition received = DIMSE_receiveCommand(association.get(), DIMSE_NONBLOCKING,
                                                      association.TimeoutSeconds(), &context, &response, &detail);
    delete detail;
    CLOISTER_RETURN_IF_ERROR(association.Explain(received, "C-FIND"));
    association.NoteAnswer();
    if (response.CommandField != DIMSE_C_FIND_RSP) {
      return absl::DataLossError(Describe(config) + ": C-FIND: an unexpected message came");
    }
    const DIC_US status = response.msg.CFindRSP.DimseStatus;
    if (!DICOM_PENDING_STATUS(status)) {
      association.Release();
      return status == STATUS_Success
                 ? absl::OkStatus()
                 : absl::FailedPreconditionError(
                       fmt::format("{} refuses the query: {} (0x{:04x}); check that the AE title '{}' may query there",
                                   Describe(config), DU_cfindStatusString(status), status, config.calling_ae_title));
    }
    DcmDataset* row = nullptr;
    const OFCondition data = DIMSE_receiveDataSetInMemory(
        association.get(), DIMSE_NONBLOCKING, association.TimeoutSeconds(), &context, &row, nullptr, nullptr);
    const std::unique_ptr<DcmDataset> owned(row);
    CLOISTER_RETURN_IF_ERROR(association.Explain(data, "C-FIND"));
    if (owned == nullptr || rows >= kMaxRows) {
      return absl::ResourceExhaustedError(Describe(config) + ": C-FIND: too many answers; ask for a shorter period");
    }
    on_row(*owned);
  }
}

StudyRow ReadStudy(DcmDataset& row) {
  const std::string charset = Text(row, DCM_SpecificCharacterSet);
  StudyRow study;
  study.study_instance_uid = Text(row, DCM_StudyInstanceUID);
  study.accession_number = Text(row, DCM_AccessionNumber);
  study.patient_id = Text(row, DCM_PatientID);
  study.patient_name = ToUtf8(Text(row, DCM_PatientName), charset);
  study.patient_birth_date = Text(row, DCM_PatientBirthDate);
  study.patient_sex = Text(row, DCM_PatientSex);
  study.study_date = Text(row, DCM_StudyDate);
  study.study_time = Text(row, DCM_StudyTime);
  study.study_description = ToUtf8(Text(row, DCM_StudyDescription), charset);
  study.modalities_in_study = Values(Text(row, DCM_ModalitiesInStudy));
  study.number_of_instances = Count(row, DCM_NumberOfStudyRelatedInstances);
  return study;
}

void PutStudyKeys(DcmDataset& keys, const StudyQuery& query, const std::string& modality) {
  std::string dates;
  if (!query.study_date_from.empty() || !query.study_date_to.empty()) {
    dates = query.study_date_from + "-" + query.study_date_to;
  }
  Put(keys, DCM_QueryRetrieveLevel, "STUDY");
  Put(keys, DCM_StudyInstanceUID, query.study_instance_uid);
  Put(keys, DCM_AccessionNumber, query.accession_number);
  Put(keys, DCM_PatientID, query.patient_id);
  Put(keys, DCM_StudyDate, dates);
  Put(keys, DCM_ModalitiesInStudy, modality);
  for (const DcmTagKey& tag : {DCM_SpecificCharacterSet, DCM_PatientName, DCM_PatientBirthDate, DCM_PatientSex,
                               DCM_StudyTime, DCM_StudyDescription, DCM_NumberOfStudyRelatedInstances}) {
    Put(keys, tag);
  }
}

}  // namespace

// One query per modality: many PACS do not match a list in ModalitiesInStudy.
absl::StatusOr<std::vector<StudyRow>> PacsClient::FindStudies(const StudyQuery& query) const {
  std::vector<std::string> modalities = query.modalities;
  if (modalities.empty()) {
    modalities.emplace_back();
  }
  std::vector<StudyRow> rows;
  std::set<std::string> seen;
  for (const std::string& modality : modalities) {
    DcmDataset keys;
    PutStudyKeys(keys, query, modality);
    CLOISTER_RETURN_IF_ERROR(Find(config_, keys, [&](DcmDataset& row) {
      StudyRow study = ReadStudy(row);
      if (IsValidUid(study.study_instance_uid) && seen.insert(study.study_instance_uid).second) {
        rows.push_back(std::move(study));
      }
    }));
  }
  return rows;
}

absl::StatusOr<std::vector<SeriesRow>> PacsClient::FindSeries(const std::string& study_instance_uid) const {
  if (!IsValidUid(study_instance_uid)) {
    return absl::InvalidArgumentError("not a valid StudyInstanceUID");
  }
  DcmDataset keys;
  Put(keys, DCM_QueryRetrieveLevel, "SERIES");
  Put(keys, DCM_StudyInstanceUID, study_instance_uid);
  for (const DcmTagKey& tag : {DCM_SpecificCharacterSet, DCM_SeriesInstanceUID, DCM_Modality, DCM_SeriesDescription,
                               DCM_BodyPartExamined, DCM_NumberOfSeriesRelatedInstances}) {
    Put(keys, tag);
  }
  std::vector<SeriesRow> rows;
  CLOISTER_RETURN_IF_ERROR(Find(config_, keys, [&](DcmDataset& row) {
    SeriesRow series;
    series.study_instance_uid = study_instance_uid;
    series.series_instance_uid = Text(row, DCM_SeriesInstanceUID);
    series.modality = Text(row, DCM_Modality);
    series.series_description = ToUtf8(Text(row, DCM_SeriesDescription), Text(row, DCM_SpecificCharacterSet));
    series.body_part_examined = Text(row, DCM_BodyPartExamined);
    series.number_of_instances = Count(row, DCM_NumberOfSeriesRelatedInstances);
    if (IsValidUid(series.series_instance_uid)) {
      rows.push_back(std::move(series));
    }
  }));
  return rows;
}

}  // namespace cloister::site
