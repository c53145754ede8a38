// SPDX-License-Identifier: Apache-2.0
// The header of a file from a PACS, which DCMTK reads behind the nesting guard.
#include "site_agent/ingest/dicom_header.h"

#include "protocols/base/file.h"
#include "protocols/base/utf8.h"
#include "site_agent/ingest/nesting_guard.h"
#include "tests/fuzz/memory_file.h"
#include "tests/support/make_dicom.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const MemoryFile file(input);
  static_cast<void>(site::CheckNesting(file.path(), 100));
  const absl::StatusOr<site::InstanceHeader> header = site::ReadHeader(file.path());
  if (!header.ok()) return;
  for (const std::string& uid : {header->study_instance_uid, header->series_instance_uid, header->sop_instance_uid}) {
    Require(site::IsValidUid(uid), "an accepted header has UIDs");
  }
  for (const std::string& text : {header->patient_name, header->accession_number, header->manufacturer}) {
    Require(IsUtf8(site::ToUtf8(text, header->specific_character_set)), "text for people is UTF-8");
  }
}

std::vector<Bytes> Seeds() {
  std::vector<testing::GreyFile> files(4);
  files[1].transfer_syntax = EXS_LittleEndianImplicit;
  files[2].transfer_syntax = EXS_DeflatedLittleEndianExplicit;
  files[3].transfer_syntax = EXS_BigEndianExplicit;
  for (testing::GreyFile& grey : files) {
    grey.specific_character_set = "\\ISO 2022 IR 58";
    grey.change = [](DcmDataset& data) {
      DcmItem* item = nullptr;
      data.findOrCreateSequenceItem(DCM_ReferencedStudySequence, item);
      item->findOrCreateSequenceItem(DCM_ReferencedSeriesSequence, item);
      item->putAndInsertString(DCM_ReferencedSOPInstanceUID, "2.25.7");
    };
  }
  std::vector<Bytes> seeds;
  for (const testing::GreyFile& grey : files) {
    const MemoryFile file("");
    Require(testing::MakeDicom(grey, file.path()), "DCMTK writes a file");
    seeds.push_back(*ReadFile(file.path()));
  }
  return seeds;
}

}  // namespace cloister::fuzz
