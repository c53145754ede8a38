// SPDX-License-Identifier: Apache-2.0
#include "site_agent/ingest/rejection.h"

namespace cloister::site {

std::string_view RejectReasonName(RejectReason reason) {
  switch (reason) {
    case RejectReason::kUnreadable:
      return "UNREADABLE";
    case RejectReason::kNotDicom:
      return "NOT_DICOM";
    case RejectReason::kNoPixelData:
      return "NO_PIXEL_DATA";
    case RejectReason::kUnsupportedTransferSyntax:
      return "UNSUPPORTED_TRANSFER_SYNTAX";
    case RejectReason::kUnsupportedPixelFormat:
      return "UNSUPPORTED_PIXEL_FORMAT";
    case RejectReason::kTooLarge:
      return "TOO_LARGE";
    case RejectReason::kTruncated:
      return "TRUNCATED";
    case RejectReason::kDecodeFailed:
      return "DECODE_FAILED";
  }
  return "UNREADABLE";
}

std::string CodeForPeople(const std::string& value) {
  if (value.empty()) {
    return "(missing)";
  }
  const bool coded =
      value.size() <= 16 && value.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _") == std::string::npos;
  return coded ? value : "(not a code)";
}

}  // namespace cloister::site
