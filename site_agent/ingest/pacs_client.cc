// SPDX-License-Identifier: Apache-2.0
// Configuration checks, C-ECHO and C-STORE. Queries are in pacs_find.cc, retrieval in pacs_retrieve.cc.

#include "site_agent/ingest/pacs_client.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/diutil.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "site_agent/ingest/association.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/dicom_setup.h"

namespace cloister::site {
namespace {

constexpr size_t kContextsPerAssociation = 120;  // DICOM allows 128

absl::Status CheckAeTitle(const std::string& title, const char* what) {
  const bool printable =
      title.find_first_not_of(' ') != std::string::npos &&
      std::all_of(title.begin(), title.end(), [](char c) { return c >= 32 && c < 127 && c != '\\'; });
  if (title.empty() || title.size() > 16 || !printable) {
    return absl::InvalidArgumentError(fmt::format("{} '{}' must be 1 to 16 printable ASCII characters", what, title));
  }
  return absl::OkStatus();
}

bool IsUncompressed(const std::string& syntax) {
  return syntax == UID_LittleEndianExplicitTransferSyntax || syntax == UID_LittleEndianImplicitTransferSyntax ||
         syntax == UID_BigEndianExplicitTransferSyntax;
}

// SOP class and transfer syntax of a file; one presentation context each.
using Kind = std::pair<std::string, std::string>;

ContextProposal Propose(const Kind& kind) {
  ContextProposal proposal{kind.first, {kind.second}};
  if (IsUncompressed(kind.second)) {
    for (const std::string& other : UncompressedSyntaxes()) {
      if (other != kind.second) {
        proposal.transfer_syntaxes.push_back(other);
      }
    }
  }
  return proposal;
}

struct FileToSend {
  std::filesystem::path path;
  InstanceHeader header;
};

T_ASC_PresentationContextID FindContext(const Association& association, const Kind& kind) {
  const T_ASC_PresentationContextID exact = association.Context(kind.first, kind.second);
  if (exact != 0 || !IsUncompressed(kind.second)) {
    return exact;
  }
  for (const std::string& syntax : UncompressedSyntaxes()) {
    if (const auto context = association.Context(kind.first, syntax)) {
      return context;
    }
  }
  return 0;
}

// OK, or why the PACS did not take this file. Sets *broken when the association cannot go on.
absl::Status SendFile(Association& association, const FileToSend& file, bool* broken) {
  const Kind kind{file.header.sop_class_uid, file.header.transfer_syntax_uid};
  const T_ASC_PresentationContextID context = FindContext(association, kind);
  if (context == 0) {
    return absl::FailedPreconditionError(fmt::format("the PACS does not take {} as {}",
                                                     dcmFindNameOfUID(kind.first.c_str(), kind.first.c_str()),
                                                     dcmFindNameOfUID(kind.second.c_str(), kind.second.c_str())));
  }
  T_DIMSE_C_StoreRQ request{};
  request.MessageID = association.NextMessageId();
  OFStandard::strlcpy(request.AffectedSOPClassUID, kind.first.c_str(), sizeof(request.AffectedSOPClassUID));
  OFStandard::strlcpy(request.AffectedSOPInstanceUID, file.header.sop_instance_uid.c_str(),
                      sizeof(request.AffectedSOPInstanceUID));
  request.DataSetType = DIMSE_DATASET_PRESENT;
  request.Priority = DIMSE_PRIORITY_MEDIUM;
  T_DIMSE_C_StoreRSP response{};
  DcmDataset* detail = nullptr;
  const OFCondition sent =
      DIMSE_storeUser(association.get(), context, &request, file.path.c_str(), nullptr, nullptr, nullptr,
                      DIMSE_NONBLOCKING, association.TimeoutSeconds(), &response, &detail);
  delete detail;
  if (sent.bad()) {
    *broken = true;
    return association.Explain(sent, "C-STORE");
  }
  association.NoteAnswer();
  const bool stored = response.DimseStatus == STATUS_Success || DICOM_WARNING_STATUS(response.DimseStatus);
  return stored ? absl::OkStatus()
                : absl::FailedPreconditionError(fmt::format("the PACS refused it: {} (0x{:04x})",
                                                            DU_cstoreStatusString(response.DimseStatus),
                                                            response.DimseStatus));
}

// Sends `files`, whose kinds fit into one association. An error only when no association came up.
absl::Status SendBatch(const PacsConfig& config, const std::vector<FileToSend>& files, StoreOutcome* outcome) {
  std::set<Kind> kinds;
  for (const FileToSend& file : files) {
    kinds.emplace(file.header.sop_class_uid, file.header.transfer_syntax_uid);
  }
  std::vector<ContextProposal> proposals;
  for (const Kind& kind : kinds) {
    proposals.push_back(Propose(kind));
  }
  CLOISTER_ASSIGN_OR_RETURN(Association association, Association::Request(config, proposals));
  bool broken = false;
  absl::Status sent;
  for (const FileToSend& file : files) {
    if (!broken) {
      sent = SendFile(association, file, &broken);
    }
    if (sent.ok()) {
      ++outcome->stored;
    } else {
      outcome->failures.push_back({file.path, std::string(sent.message())});
    }
  }
  if (!broken) {
    association.Release();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PacsClient> PacsClient::Create(PacsConfig config) {
  if (config.host.empty() || config.host.size() > 255 || config.host.find_first_of(" :/") != std::string::npos) {
    return absl::InvalidArgumentError(fmt::format("PACS host '{}' is not a host name or IPv4 address", config.host));
  }
  if (config.port < 1 || config.port > 65535) {
    return absl::InvalidArgumentError(fmt::format("PACS port {} is outside 1 to 65535", config.port));
  }
  CLOISTER_RETURN_IF_ERROR(CheckAeTitle(config.called_ae_title, "the PACS's AE title"));
  CLOISTER_RETURN_IF_ERROR(CheckAeTitle(config.calling_ae_title, "our AE title"));
  PrepareDicom();
  return PacsClient(std::move(config));
}

absl::Status PacsClient::Echo() const {
  CLOISTER_ASSIGN_OR_RETURN(
      Association association,
      Association::Request(config_, {{UID_VerificationSOPClass, UncompressedSyntaxes(), /*scp_role=*/false}}));
  DIC_US status = 0;
  DcmDataset* detail = nullptr;
  const OFCondition answered = DIMSE_echoUser(association.get(), association.NextMessageId(), DIMSE_NONBLOCKING,
                                              association.TimeoutSeconds(), &status, &detail);
  delete detail;
  CLOISTER_RETURN_IF_ERROR(association.Explain(answered, "C-ECHO"));
  association.Release();
  if (status != STATUS_Success) {
    return absl::FailedPreconditionError(fmt::format("{} answers C-ECHO with 0x{:04x}", Describe(config_), status));
  }
  return absl::OkStatus();
}

absl::StatusOr<StoreOutcome> PacsClient::StoreFiles(const std::vector<std::filesystem::path>& files) const {
  StoreOutcome outcome;
  std::vector<FileToSend> batch;
  std::set<Kind> kinds;
  for (const std::filesystem::path& path : files) {
    absl::StatusOr<InstanceHeader> header = ReadHeader(path);
    if (!header.ok()) {
      outcome.failures.push_back({path, std::string(header.status().message())});
      continue;
    }
    kinds.emplace(header->sop_class_uid, header->transfer_syntax_uid);
    if (kinds.size() > kContextsPerAssociation) {
      CLOISTER_RETURN_IF_ERROR(SendBatch(config_, batch, &outcome));
      batch.clear();
      kinds = {{header->sop_class_uid, header->transfer_syntax_uid}};
    }
    batch.push_back({path, *std::move(header)});
  }
  if (!batch.empty()) {
    CLOISTER_RETURN_IF_ERROR(SendBatch(config_, batch, &outcome));
  }
  return outcome;
}

std::string_view RetrieveCodeName(RetrieveCode code) {
  switch (code) {
    case RetrieveCode::kComplete:
      return "COMPLETE";
    case RetrieveCode::kPartial:
      return "PARTIAL";
    case RetrieveCode::kEmpty:
      return "EMPTY";
    case RetrieveCode::kFailed:
      return "FAILED";
  }
  return "FAILED";
}

}  // namespace cloister::site
