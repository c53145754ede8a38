// SPDX-License-Identifier: Apache-2.0
// Which encoding to read a file in, and reading it.

#include "site_agent/ingest/open_dataset.h"

#include <dcmtk/dcmdata/dcistrmf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>

#include "site_agent/ingest/dataset_start.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/dicom_setup.h"
#include "site_agent/ingest/nesting_guard.h"

namespace cloister::site {
namespace {

constexpr uint64_t kHeaderLimitBytes = uint64_t{256} << 20;

Rejection FromStatus(const absl::Status& status) {
  const RejectReason reason = absl::IsResourceExhausted(status) ? RejectReason::kTooLarge
                              : absl::IsOutOfRange(status)      ? RejectReason::kTruncated
                                                                : RejectReason::kUnreadable;
  return {reason, std::string(status.message())};
}

// Eight bytes of the first element; zeros where there are fewer.
std::array<unsigned char, 8> FirstElement(const std::filesystem::path& path, uint64_t offset) {
  std::array<unsigned char, 8> head = {};
  std::ifstream in(path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
  return head;
}

// One that a dataset can begin with; a length in implicit VR seldom looks like one.
bool IsKnownVr(const unsigned char* bytes) {
  static const char* const kVrs[] = {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "OB",
                                     "OW", "PN", "SH", "SQ", "SS", "ST", "TM", "UI", "UL", "UN", "US"};
  return std::any_of(std::begin(kVrs), std::end(kVrs), [&](const char* vr) { return std::memcmp(vr, bytes, 2) == 0; });
}

bool IsHighThroughputJpeg2000(const std::string& uid) {
  return uid == "1.2.840.10008.1.2.4.201" || uid == "1.2.840.10008.1.2.4.202" || uid == "1.2.840.10008.1.2.4.203";
}

// The encoding to read in; a note where it is not the one that the file declares.
std::variant<E_TransferSyntax, Rejection> SyntaxOf(const DatasetStart& start, const std::array<unsigned char, 8>& head,
                                                   std::vector<std::string>* notes) {
  if (!start.has_meta) {
    const bool begins_with_group_8 = LittleEndian(head.data(), 2) == 8 || BigEndian(head.data(), 2) == 8;
    if (!start.has_magic && !begins_with_group_8) {
      return Rejection{RejectReason::kNotDicom, "no DICOM file: neither preamble nor a dataset"};
    }
    notes->push_back("no file meta information");
    return EXS_Unknown;  // DCMTK looks at the first element
  }
  if (!start.has_magic) {
    notes->push_back("no preamble");
  }
  const std::string& uid = start.transfer_syntax_uid;
  if (uid.empty()) {
    return Rejection{RejectReason::kUnsupportedTransferSyntax, "the file meta information names no transfer syntax"};
  }
  if (IsHighThroughputJpeg2000(uid)) {
    return EXS_JPEG2000;
  }
  const E_TransferSyntax declared = DcmXfer(uid.c_str()).getXfer();
  if (declared == EXS_Unknown) {
    return Rejection{RejectReason::kUnsupportedTransferSyntax,
                     fmt::format("unknown transfer syntax {}", IsValidUid(uid) ? uid : "(not a UID)")};
  }
  if (declared == EXS_LittleEndianImplicit && IsKnownVr(head.data() + 4)) {
    notes->push_back("explicit VR where implicit is declared");
    return EXS_LittleEndianExplicit;
  }
  if (declared == EXS_LittleEndianExplicit && !LooksLikeVr(head.data() + 4) && LittleEndian(head.data(), 2) == 8) {
    notes->push_back("implicit VR where explicit is declared");
    return EXS_LittleEndianImplicit;
  }
  return declared;
}

// The stream ended after the last fragment, where a delimiter should stand.
bool OnlyDelimiterIsMissing(const OFCondition& condition, DcmDataset& data) {
  DcmObject* last = data.card() == 0 ? nullptr : data.getElement(data.card() - 1);
  return condition == EC_SequDelimitationItemMissing && last != nullptr && last->getTag() == DCM_PixelData;
}

std::variant<OpenedDataset, Rejection> Open(const std::filesystem::path& path, ReadUpTo up_to) {
  PrepareDicom();
  if (const absl::Status nesting = CheckNesting(path, kHeaderLimitBytes); !nesting.ok()) {
    return FromStatus(nesting);
  }
  const absl::StatusOr<DatasetStart> start = FindDataset(path);
  if (!start.ok()) {
    return FromStatus(start.status());
  }
  OpenedDataset opened;
  const auto syntax = SyntaxOf(*start, FirstElement(path, start->offset), &opened.notes);
  if (const Rejection* rejection = std::get_if<Rejection>(&syntax)) {
    return *rejection;
  }
  opened.data = std::make_unique<DcmDataset>();
  DcmDataset& data = *opened.data;
  // From the beginning: DCMTK counts from there where it later finds the values that it has left in the file.
  DcmInputFileStream stream(OFFilename(path.c_str()));
  if (stream.status().bad() ||
      stream.skip(static_cast<offile_off_t>(start->offset)) != static_cast<offile_off_t>(start->offset)) {
    return Rejection{RejectReason::kUnreadable, "ends within the file meta information"};
  }
  data.transferInit();
  const auto declared = std::get<E_TransferSyntax>(syntax);
  const OFCondition read = up_to == ReadUpTo::kEnd
                               ? data.read(stream, declared, EGL_noChange, DCM_MaxReadLength)
                               : data.readUntilTag(stream, declared, EGL_noChange, DCM_MaxReadLength, DCM_PixelData);
  data.transferEnd();
  if (read.bad() && OnlyDelimiterIsMissing(read, data)) {
    opened.notes.push_back("no delimiter after the last fragment of the pixels");
  } else if (read.bad()) {
    return Rejection{data.tagExists(DCM_Rows) ? RejectReason::kTruncated : RejectReason::kUnreadable, read.text()};
  }
  if (data.card() == 0) {
    return Rejection{RejectReason::kUnreadable, "the dataset is empty"};
  }
  opened.transfer_syntax_uid =
      start->transfer_syntax_uid.empty() ? DcmXfer(data.getOriginalXfer()).getXferID() : start->transfer_syntax_uid;
  return opened;
}

}  // namespace

Rejection FromException(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return {RejectReason::kTooLarge, "not enough memory to decode it"};
  }
  return {RejectReason::kUnreadable, "DCMTK gave up on a malformed value"};
}

std::variant<OpenedDataset, Rejection> OpenDataset(const std::filesystem::path& path, ReadUpTo up_to) {
  try {
    return Open(path, up_to);
  } catch (const std::exception& error) {
    return FromException(error);
  }
}

}  // namespace cloister::site
