#pragma once
// SPDX-License-Identifier: Apache-2.0
// A DICOM file as DCMTK's dataset, for everything here that reads one: guarded against nesting and inflation, from
// where the dataset really begins and in the encoding it really has. Internal to ingest and deidentify.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "protocols/base/status.h"
#include "site_agent/ingest/rejection.h"

namespace cloister::site {

struct OpenedDataset {
  std::unique_ptr<DcmDataset> data;  // values above 4 KiB are read from the file when they are asked for
  // As the file declares it. HTJ2K is read as JPEG 2000, whose container is the same, so ask this one and not DCMTK.
  std::string transfer_syntax_uid;
  std::vector<std::string> notes;  // what was tolerated
};

enum class ReadUpTo { kPixelData, kEnd };

// What is tolerated, because it is common and cannot be mistaken: no preamble, no file meta information, a wrong
// (0002,0000), explicit VR where implicit is declared and the other way round, no delimiter after the last fragment.
// kUnreadable, kNotDicom, kUnsupportedTransferSyntax, kTooLarge (header above 256 MiB or more than 1 GiB inflated);
// kTruncated: ends early, but has image attributes.
// Never throws, though DCMTK does: it erases before the beginning of a string of zeros, for one.
std::variant<OpenedDataset, Rejection> OpenDataset(const std::filesystem::path& path, ReadUpTo up_to);

// For what DCMTK throws when values are asked for: kTooLarge for memory, else kUnreadable.
Rejection FromException(const std::exception& error);

}  // namespace cloister::site
