// SPDX-License-Identifier: Apache-2.0
// DCMTK's process-wide switches and its error codes.

#include "site_agent/ingest/dicom_setup.h"

#include <dcmtk/dcmdata/dcerror.h>
#include <dcmtk/dcmdata/dcvr.h>
#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/dcmnet/dul.h>
#include <dcmtk/oflog/oflog.h>

#include <cstdlib>
#include <mutex>

namespace cloister::site {

void PrepareDicom() {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    dcmEnableUnknownVRConversion.set(OFTrue);  // some archives store all they do not know as UN (PS3.5 6.2.2)
    setenv("TCP_NODELAY", "1", /*overwrite=*/0);
    dcmDisableGethostbyaddr.set(OFTrue);
  });
}

absl::Status FileStatus(const OFCondition& condition, const std::string& what) {
  if (condition.good()) {
    return absl::OkStatus();
  }
  const std::string message = what + ": " + condition.text();
  if (condition == EC_MemoryExhausted) {
    return absl::ResourceExhaustedError(message);
  }
  if (condition == EC_CouldNotCreateTemporaryFile) {
    return absl::UnavailableError(message);
  }
  return absl::InvalidArgumentError(message);
}

absl::Status NetworkStatus(const OFCondition& condition, const std::string& what) {
  if (condition.good()) {
    return absl::OkStatus();
  }
  std::string text = condition.text();
  for (char& c : text) {  // DCMTK's texts may span lines
    c = c == '\n' ? ' ' : c;
  }
  const std::string message = what + ": " + text;
  if (condition == EC_MemoryExhausted) {
    return absl::ResourceExhaustedError(message);
  }
  if (condition.module() != OFM_dcmnet) {
    return absl::UnavailableError(message);
  }
  switch (condition.code()) {
    case DIMSEC_NOVALIDPRESENTATIONCONTEXTID:
    case DIMSEC_UNSUPPORTEDTRANSFERSYNTAX:
      return absl::FailedPreconditionError(message);
    case DIMSEC_BADCOMMANDTYPE:
    case DIMSEC_BADDATA:
    case DIMSEC_BADMESSAGE:
    case DIMSEC_INVALIDPRESENTATIONCONTEXTID:
    case DIMSEC_PARSEFAILED:
    case DIMSEC_UNEXPECTEDPDVTYPE:
    case DIMSEC_UNEXPECTEDREQUEST:
    case DIMSEC_UNEXPECTEDRESPONSE:
    case DULC_ILLEGALPDU:
    case DULC_ILLEGALPDULENGTH:
    case DULC_UNRECOGNIZEDPDUTYPE:
      return absl::DataLossError(message);
    case DIMSEC_OUTOFRESOURCES:
      return absl::ResourceExhaustedError(message);
    case ASCC_CODINGERROR:
    case ASCC_NULLKEY:
    case DIMSEC_NULLKEY:
    case DULC_CODINGERROR:
    case DULC_NULLKEY:
      return absl::InternalError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace cloister::site
