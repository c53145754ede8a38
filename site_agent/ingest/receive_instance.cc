// SPDX-License-Identifier: Apache-2.0
// C-STORE into a file.

#include "site_agent/ingest/receive_instance.h"

#include <dcmtk/dcmdata/dcostrmf.h>
#include <dcmtk/dcmnet/cond.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "protocols/base/file.h"
#include "site_agent/ingest/dicom_setup.h"

namespace cloister::site {
namespace {

struct Progress {
  T_ASC_Association* association;
  const ReceiveOptions* options;
  uint64_t bytes = 0;
  bool too_large = false;
  bool aborted = false;
};

void OnProgress(void* context, unsigned long bytes) {
  auto& progress = *static_cast<Progress*>(context);
  progress.bytes = bytes;
  progress.too_large = progress.too_large || bytes > progress.options->max_bytes;
  const bool cancelled = progress.options->cancelled && progress.options->cancelled();
  if ((progress.too_large || cancelled) && !progress.aborted) {
    progress.aborted = true;
    ASC_abortAssociation(progress.association);
  }
}

absl::Status SyncFile(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) {
    close(fd);
  }
  return synced ? absl::OkStatus() : ErrnoStatus(error, "cannot write", path);
}

absl::Status ReceiveFile(T_ASC_Association* association, T_ASC_PresentationContextID context,
                         T_DIMSE_C_StoreRQ* request, const std::filesystem::path& partial,
                         const ReceiveOptions& options) {
  DcmOutputFileStream* opened = nullptr;
  OFCondition condition =
      DIMSE_createFilestream(OFFilename(partial.c_str()), request, association, context, OFTrue, &opened);
  std::unique_ptr<DcmOutputFileStream> stream(opened);
  if (condition.bad() || stream == nullptr) {
    DIC_UL bytes = 0;
    DIC_UL pdvs = 0;
    CLOISTER_RETURN_IF_ERROR(
        NetworkStatus(DIMSE_ignoreDataSet(association, DIMSE_NONBLOCKING, options.timeout_seconds, &bytes, &pdvs),
                      "receiving an instance"));
    return absl::ResourceExhaustedError("cannot write " + partial.string() + ": " + condition.text());
  }
  Progress progress{association, &options};
  T_ASC_PresentationContextID data_context = context;
  condition = DIMSE_receiveDataSetInFile(association, DIMSE_NONBLOCKING, options.timeout_seconds, &data_context,
                                         stream.get(), OnProgress, &progress);
  if (progress.too_large) {
    return absl::ResourceExhaustedError("an instance is larger than the limit");
  }
  if (progress.aborted) {
    return absl::CancelledError("receiving was stopped");
  }
  CLOISTER_RETURN_IF_ERROR(NetworkStatus(condition, "receiving an instance"));
  if (data_context != context) {
    return absl::DataLossError("receiving an instance: data came on another presentation context");
  }
  const bool written = stream->good();
  stream.reset();  // closes it; whether the last buffer found room only the size tells
  std::error_code error;
  if (!written || std::filesystem::file_size(partial, error) < progress.bytes || error) {
    return absl::ResourceExhaustedError("cannot write " + partial.string() + ": is the disk full?");
  }
  return options.sync ? SyncFile(partial) : absl::OkStatus();
}

absl::Status CheckAnnounced(const T_DIMSE_C_StoreRQ& request, const InstanceHeader& header) {
  if (header.sop_instance_uid != request.AffectedSOPInstanceUID ||
      header.sop_class_uid != request.AffectedSOPClassUID) {
    return absl::InvalidArgumentError("the instance received is not the one announced");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ReceivedFile> ReceiveInstance(T_ASC_Association* association, T_ASC_PresentationContextID context,
                                             T_DIMSE_C_StoreRQ* request, const std::filesystem::path& partial,
                                             const ReceiveOptions& options,
                                             const std::function<std::filesystem::path(const InstanceHeader&)>& place) {
  const auto receive = [&]() -> absl::StatusOr<ReceivedFile> {
    CLOISTER_RETURN_IF_ERROR(ReceiveFile(association, context, request, partial, options));
    ReceivedFile file;
    CLOISTER_ASSIGN_OR_RETURN(file.header, ReadHeader(partial));
    CLOISTER_RETURN_IF_ERROR(CheckAnnounced(*request, file.header));
    file.path = place(file.header);
    CLOISTER_RETURN_IF_ERROR(MakeDirectories(file.path.parent_path()));
    if (rename(partial.c_str(), file.path.c_str()) != 0) {
      return ErrnoStatus(errno, "cannot write", file.path);
    }
    if (options.sync) {
      CLOISTER_RETURN_IF_ERROR(SyncFile(file.path.parent_path()));
    }
    return file;
  };
  absl::StatusOr<ReceivedFile> received = receive();
  if (!received.ok()) {
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
  }
  return received;
}

OFCondition AnswerStore(T_ASC_Association* association, T_ASC_PresentationContextID context,
                        const T_DIMSE_C_StoreRQ& request, const absl::Status& outcome) {
  T_DIMSE_C_StoreRSP response{};
  response.MessageIDBeingRespondedTo = request.MessageID;
  response.DataSetType = DIMSE_DATASET_NULL;
  response.opts = O_STORE_AFFECTEDSOPCLASSUID | O_STORE_AFFECTEDSOPINSTANCEUID;
  OFStandard::strlcpy(response.AffectedSOPClassUID, request.AffectedSOPClassUID, sizeof(response.AffectedSOPClassUID));
  OFStandard::strlcpy(response.AffectedSOPInstanceUID, request.AffectedSOPInstanceUID,
                      sizeof(response.AffectedSOPInstanceUID));
  response.DimseStatus = outcome.ok()                       ? STATUS_Success
                         : absl::IsInvalidArgument(outcome) ? STATUS_STORE_Error_CannotUnderstand
                                                            : STATUS_STORE_Refused_OutOfResources;
  return DIMSE_sendStoreResponse(association, context, &request, &response, nullptr);
}

}  // namespace cloister::site
