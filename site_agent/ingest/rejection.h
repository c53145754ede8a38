#pragma once
// SPDX-License-Identifier: Apache-2.0
// Why a file is not taken: a code that is counted, and a line for people.

#include <string>
#include <string_view>

namespace cloister::site {

enum class RejectReason {
  kUnreadable,                 // missing or malformed
  kNotDicom,                   // some other kind of file
  kNoPixelData,                // a report, a presentation state, ...
  kUnsupportedTransferSyntax,  // video, unknown or private encoding, or none named
  kUnsupportedPixelFormat,     // photometric interpretation or sample layout we do not know
  kTooLarge,                   // more pixels or bytes than the limits allow
  kTruncated,                  // fewer bytes of pixels than the header promises
  kDecodeFailed,               // the codec gave up
};

// "UNREADABLE", "NOT_DICOM", "NO_PIXEL_DATA", "UNSUPPORTED_TRANSFER_SYNTAX", "UNSUPPORTED_PIXEL_FORMAT", "TOO_LARGE",
// "TRUNCATED", "DECODE_FAILED".
std::string_view RejectReasonName(RejectReason reason);

struct Rejection {
  RejectReason reason = RejectReason::kUnreadable;
  std::string message;  // carries no patient data
};

// A coded value of a file for a message: what is no code string (PS3.5 6.2: capitals, digits, space and underscore, 16
// at most) becomes "(not a code)", because it may be anything, a name too; "(missing)" for "".
std::string CodeForPeople(const std::string& value);

}  // namespace cloister::site
