// SPDX-License-Identifier: Apache-2.0
// C-GET into a folder and C-MOVE to our own Storage SCP (Study Root).

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/diutil.h>
#include <fmt/format.h>

#include <algorithm>

#include "protocols/base/file.h"
#include "site_agent/ingest/association.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/dicom_setup.h"
#include "site_agent/ingest/pacs_client.h"
#include "site_agent/ingest/receive_instance.h"
#include "site_agent/ingest/storage_scp.h"

namespace cloister::site {
namespace {

const char* const kGetModel = UID_GETStudyRootQueryRetrieveInformationModel;
const char* const kMoveModel = UID_MOVEStudyRootQueryRetrieveInformationModel;

// C-GET needs a context for every pair of SOP class and encoding that may come, at most 128 in all: the image classes a
// task may train on in every encoding, everything else a study may hold uncompressed only.
std::vector<ContextProposal> GetContexts() {
  static const char* const kImages[] = {UID_ComputedRadiographyImageStorage,
                                        UID_DigitalXRayImageStorageForPresentation,
                                        UID_DigitalXRayImageStorageForProcessing,
                                        UID_DigitalMammographyXRayImageStorageForPresentation,
                                        UID_CTImageStorage,
                                        UID_EnhancedCTImageStorage,
                                        UID_MRImageStorage,
                                        UID_OphthalmicPhotography8BitImageStorage,
                                        UID_SecondaryCaptureImageStorage,
                                        UID_UltrasoundImageStorage,
                                        UID_UltrasoundMultiframeImageStorage,
                                        UID_XRayAngiographicImageStorage};
  static const char* const kEncodings[] = {UID_JPEG2000LosslessOnlyTransferSyntax, UID_JPEG2000TransferSyntax,
                                           UID_JPEGProcess14SV1TransferSyntax,     UID_JPEGProcess14TransferSyntax,
                                           UID_JPEGProcess1TransferSyntax,         UID_JPEGProcess2_4TransferSyntax,
                                           UID_JPEGLSLosslessTransferSyntax,       UID_RLELosslessTransferSyntax};
  static const char* const kOthers[] = {UID_DigitalMammographyXRayImageStorageForProcessing,
                                        UID_OphthalmicPhotography16BitImageStorage,
                                        UID_PositronEmissionTomographyImageStorage,
                                        UID_NuclearMedicineImageStorage,
                                        UID_XRayRadiofluoroscopicImageStorage,
                                        UID_MultiframeTrueColorSecondaryCaptureImageStorage,
                                        UID_EnhancedMRImageStorage,
                                        UID_SegmentationStorage,
                                        UID_BasicTextSRStorage,
                                        UID_EnhancedSRStorage,
                                        UID_ComprehensiveSRStorage,
                                        UID_Comprehensive3DSRStorage,
                                        UID_XRayRadiationDoseSRStorage,
                                        UID_KeyObjectSelectionDocumentStorage,
                                        UID_GrayscaleSoftcopyPresentationStateStorage,
                                        UID_EncapsulatedPDFStorage};
  std::vector<ContextProposal> proposals = {{kGetModel, UncompressedSyntaxes(), /*scp_role=*/false}};
  for (const char* image : kImages) {
    proposals.push_back({image, UncompressedSyntaxes(), /*scp_role=*/true});
    for (const char* encoding : kEncodings) {
      proposals.push_back({image, {encoding}, /*scp_role=*/true});
    }
  }
  for (const char* other : kOthers) {
    proposals.push_back({other, UncompressedSyntaxes(), /*scp_role=*/true});
  }
  return proposals;
}

absl::Status FillKeys(const std::string& study, const std::string& series, DcmDataset* keys) {
  if (!IsValidUid(study) || (!series.empty() && !IsValidUid(series))) {
    return absl::InvalidArgumentError("not a valid StudyInstanceUID or SeriesInstanceUID");
  }
  keys->putAndInsertString(DCM_QueryRetrieveLevel, series.empty() ? "STUDY" : "SERIES");
  keys->putAndInsertString(DCM_StudyInstanceUID, study.c_str());
  if (!series.empty()) {
    keys->putAndInsertString(DCM_SeriesInstanceUID, series.c_str());
  }
  return absl::OkStatus();
}

// What a failing status of the PACS means for the person who has to mend it; `destination` is "" for C-GET.
std::string FailureText(const PacsConfig& config, const std::string& destination, DIC_US status) {
  if (destination.empty()) {
    return fmt::format("{} reports status 0x{:04x}", Describe(config), status);
  }
  if (status == STATUS_MOVE_Failed_MoveDestinationUnknown) {
    return fmt::format("{} does not know the destination '{}': list that AE title with our host and port there",
                       Describe(config), destination);
  }
  return fmt::format(
      "{} could not deliver to '{}' (status 0x{:04x}): check that it lists that AE title with our host and port, and "
      "can "
      "connect there (firewall)",
      Describe(config), destination, status);
}

// Judges what came against what the PACS said; `files` and the counts are filled already.
void Judge(const PacsConfig& config, const std::string& destination, RetrieveOutcome* outcome) {
  std::sort(outcome->files.begin(), outcome->files.end());
  const bool success = outcome->dimse_status == STATUS_Success;
  const auto arrived = static_cast<int>(outcome->files.size());
  const bool all_arrived = outcome->failed <= 0 && arrived >= outcome->completed + std::max(0, outcome->warning);
  const std::string failure = FailureText(config, destination, outcome->dimse_status);
  if (success && arrived == 0) {
    outcome->code = RetrieveCode::kEmpty;
    outcome->message = fmt::format("{} reports success but sent nothing: is the study still there?", Describe(config));
  } else if (arrived == 0) {
    outcome->code = RetrieveCode::kFailed;
    outcome->message = failure;
  } else if (all_arrived && (success || DICOM_WARNING_STATUS(outcome->dimse_status))) {
    outcome->code = RetrieveCode::kComplete;
  } else {
    outcome->code = RetrieveCode::kPartial;
    outcome->message = fmt::format("{} instances came, {} failed; {}", arrived, std::max(0, outcome->failed), failure);
  }
}

// A hang-up before any answer may be about this study only (some PACS abort over one they cannot deliver), or about us:
// never PERMISSION_DENIED, which a refused association alone is.
absl::Status Explain(const Association& association, const PacsConfig& config, const OFCondition& condition,
                     const char* what) {
  const absl::Status status = association.Explain(condition, what);
  if (!absl::IsPermissionDenied(status)) {
    return status;
  }
  return absl::AbortedError(
      fmt::format("{} hung up on our {}: it cannot deliver this study, or lets '{}' retrieve none", Describe(config),
                  what, config.calling_ae_title));
}

absl::Status SendRequest(const Association& association, const PacsConfig& config, const char* model,
                         T_DIMSE_Message* message, DcmDataset* keys, const char* what) {
  const OFCondition sent = DIMSE_sendMessageUsingMemoryData(association.get(), association.Context(model), message,
                                                            nullptr, keys, nullptr, nullptr);
  return Explain(association, config, sent, what);
}

// The identifier after a final response lists failed instances; it has to be read off the wire.
absl::Status SkipIdentifier(const Association& association, T_DIMSE_DataSetType type, const char* what) {
  if (type == DIMSE_DATASET_NULL) {
    return absl::OkStatus();
  }
  DIC_UL bytes = 0;
  DIC_UL pdvs = 0;
  return association.Explain(
      DIMSE_ignoreDataSet(association.get(), DIMSE_NONBLOCKING, association.TimeoutSeconds(), &bytes, &pdvs), what);
}

absl::StatusOr<RetrieveOutcome> Get(const PacsConfig& config, DcmDataset* keys, const std::filesystem::path& folder) {
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder));
  CLOISTER_ASSIGN_OR_RETURN(Association association, Association::Request(config, GetContexts()));
  if (association.Context(kGetModel) == 0) {
    return absl::FailedPreconditionError(
        fmt::format("{} offers no C-GET to '{}'; use retrieve: c_move, or allow C-GET for that AE title there",
                    Describe(config), config.calling_ae_title));
  }
  T_DIMSE_Message message{};
  message.CommandField = DIMSE_C_GET_RQ;
  message.msg.CGetRQ.MessageID = association.NextMessageId();
  message.msg.CGetRQ.Priority = DIMSE_PRIORITY_MEDIUM;
  message.msg.CGetRQ.DataSetType = DIMSE_DATASET_PRESENT;
  OFStandard::strlcpy(message.msg.CGetRQ.AffectedSOPClassUID, kGetModel,
                      sizeof(message.msg.CGetRQ.AffectedSOPClassUID));
  CLOISTER_RETURN_IF_ERROR(SendRequest(association, config, kGetModel, &message, keys, "C-GET"));

  RetrieveOutcome outcome;
  ReceiveOptions options;
  options.cancelled = [&] { return association.PastDeadline(); };
  while (true) {
    T_DIMSE_Message received{};
    T_ASC_PresentationContextID context = 0;
    DcmDataset* detail = nullptr;
    options.timeout_seconds = association.TimeoutSeconds();
    const OFCondition command = association.PastDeadline()
                                    ? DIMSE_NODATAAVAILABLE
                                    : DIMSE_receiveCommand(association.get(), DIMSE_NONBLOCKING,
                                                           options.timeout_seconds, &context, &received, &detail);
    delete detail;
    CLOISTER_RETURN_IF_ERROR(Explain(association, config, command, "C-GET"));
    association.NoteAnswer();
    if (received.CommandField == DIMSE_C_STORE_RQ) {
      T_DIMSE_C_StoreRQ& request = received.msg.CStoreRQ;
      const std::filesystem::path partial = folder / fmt::format(".{}.part", request.MessageID);
      const auto file =
          ReceiveInstance(association.get(), context, &request, partial, options,
                          [&](const InstanceHeader& header) { return folder / (header.sop_instance_uid + ".dcm"); });
      if (file.ok()) {
        outcome.files.push_back(file->path);
      } else if (association.PastDeadline()) {
        return association.Explain(DIMSE_NODATAAVAILABLE, "C-GET");
      }
      const OFCondition answered = AnswerStore(association.get(), context, request, file.status());
      CLOISTER_RETURN_IF_ERROR(association.Explain(answered, "C-GET"));
      if (absl::IsResourceExhausted(file.status())) {
        return file.status();  // a full disk will not get better with the next instance
      }
      continue;
    }
    if (received.CommandField != DIMSE_C_GET_RSP) {
      return absl::DataLossError(Describe(config) + ": C-GET: an unexpected message came");
    }
    const T_DIMSE_C_GetRSP& response = received.msg.CGetRSP;
    CLOISTER_RETURN_IF_ERROR(SkipIdentifier(association, response.DataSetType, "C-GET"));
    if (DICOM_PENDING_STATUS(response.DimseStatus)) {
      continue;
    }
    const auto count = [&](unsigned option, DIC_US value) { return (response.opts & option) != 0 ? int{value} : -1; };
    outcome.completed = count(O_GET_NUMBEROFCOMPLETEDSUBOPERATIONS, response.NumberOfCompletedSubOperations);
    outcome.failed = count(O_GET_NUMBEROFFAILEDSUBOPERATIONS, response.NumberOfFailedSubOperations);
    outcome.warning = count(O_GET_NUMBEROFWARNINGSUBOPERATIONS, response.NumberOfWarningSubOperations);
    outcome.dimse_status = response.DimseStatus;
    association.Release();
    Judge(config, /*destination=*/"", &outcome);
    return outcome;
  }
}

absl::StatusOr<std::vector<std::filesystem::path>> ListFiles(const std::filesystem::path& folder,
                                                             const std::string& series_instance_uid) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".dcm") {
      continue;
    }
    if (!series_instance_uid.empty()) {
      const auto header = ReadHeader(it->path());
      if (!header.ok() || header->series_instance_uid != series_instance_uid) {
        continue;
      }
    }
    files.push_back(it->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), "cannot read", folder);
  }
  return files;
}

}  // namespace

absl::StatusOr<RetrieveOutcome> PacsClient::RetrieveStudy(const std::string& study_instance_uid,
                                                          const std::filesystem::path& folder) const {
  return RetrieveSeries(study_instance_uid, "", folder);
}

absl::StatusOr<RetrieveOutcome> PacsClient::RetrieveSeries(const std::string& study_instance_uid,
                                                           const std::string& series_instance_uid,
                                                           const std::filesystem::path& folder) const {
  DcmDataset keys;
  CLOISTER_RETURN_IF_ERROR(FillKeys(study_instance_uid, series_instance_uid, &keys));
  return Get(config_, &keys, folder);
}

absl::StatusOr<RetrieveOutcome> PacsClient::RetrieveByMove(const std::string& study_instance_uid,
                                                           const std::string& series_instance_uid,
                                                           const StorageScp& scp) const {
  DcmDataset keys;
  CLOISTER_RETURN_IF_ERROR(FillKeys(study_instance_uid, series_instance_uid, &keys));
  CLOISTER_ASSIGN_OR_RETURN(Association association,
                            Association::Request(config_, {{kMoveModel, UncompressedSyntaxes(), /*scp_role=*/false}}));
  T_DIMSE_Message message{};
  message.CommandField = DIMSE_C_MOVE_RQ;
  message.msg.CMoveRQ.MessageID = association.NextMessageId();
  message.msg.CMoveRQ.Priority = DIMSE_PRIORITY_MEDIUM;
  message.msg.CMoveRQ.DataSetType = DIMSE_DATASET_PRESENT;
  OFStandard::strlcpy(message.msg.CMoveRQ.AffectedSOPClassUID, kMoveModel,
                      sizeof(message.msg.CMoveRQ.AffectedSOPClassUID));
  OFStandard::strlcpy(message.msg.CMoveRQ.MoveDestination, scp.ae_title().c_str(),
                      sizeof(message.msg.CMoveRQ.MoveDestination));
  CLOISTER_RETURN_IF_ERROR(SendRequest(association, config_, kMoveModel, &message, &keys, "C-MOVE"));

  while (true) {
    T_DIMSE_Message received{};
    T_ASC_PresentationContextID context = 0;
    DcmDataset* detail = nullptr;
    const OFCondition command = association.PastDeadline()
                                    ? DIMSE_NODATAAVAILABLE
                                    : DIMSE_receiveCommand(association.get(), DIMSE_NONBLOCKING,
                                                           association.TimeoutSeconds(), &context, &received, &detail);
    delete detail;
    CLOISTER_RETURN_IF_ERROR(Explain(association, config_, command, "C-MOVE"));
    association.NoteAnswer();
    if (received.CommandField != DIMSE_C_MOVE_RSP) {
      return absl::DataLossError(Describe(config_) + ": C-MOVE: an unexpected message came");
    }
    const T_DIMSE_C_MoveRSP& response = received.msg.CMoveRSP;
    CLOISTER_RETURN_IF_ERROR(SkipIdentifier(association, response.DataSetType, "C-MOVE"));
    if (DICOM_PENDING_STATUS(response.DimseStatus)) {
      continue;
    }
    RetrieveOutcome outcome;
    const auto count = [&](unsigned option, DIC_US value) { return (response.opts & option) != 0 ? int{value} : -1; };
    outcome.completed = count(O_MOVE_NUMBEROFCOMPLETEDSUBOPERATIONS, response.NumberOfCompletedSubOperations);
    outcome.failed = count(O_MOVE_NUMBEROFFAILEDSUBOPERATIONS, response.NumberOfFailedSubOperations);
    outcome.warning = count(O_MOVE_NUMBEROFWARNINGSUBOPERATIONS, response.NumberOfWarningSubOperations);
    outcome.dimse_status = response.DimseStatus;
    association.Release();
    CLOISTER_ASSIGN_OR_RETURN(outcome.files, ListFiles(scp.StudyFolder(study_instance_uid), series_instance_uid));
    Judge(config_, scp.ae_title(), &outcome);
    return outcome;
  }
}

}  // namespace cloister::site
