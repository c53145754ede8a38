// SPDX-License-Identifier: Apache-2.0
// A file: pixels first, then attributes, then out.

#include "site_agent/deidentify/deidentifier.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <fmt/format.h>

#include <algorithm>

#include "site_agent/deidentify/attribute_walk.h"
#include "site_agent/deidentify/pixel_cleaning.h"
#include "site_agent/deidentify/pseudonyms.h"
#include "site_agent/ingest/open_dataset.h"

namespace cloister::site {
namespace {

// An overlay without data of its own lives in the bits of the pixels that the image does not use.
bool HasOverlayInPixels(DcmDataset& data) {
  for (Uint16 group = 0x6000; group <= 0x601e; group = static_cast<Uint16>(group + 2)) {
    Uint16 position = 0;
    if (data.findAndGetUint16(DcmTagKey(group, 0x0102), position).good() && position > 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<Deidentifier> Deidentifier::Create(DeidentifyProfile profile, const crypto::SecretBytes* site_secret) {
  CLOISTER_ASSIGN_OR_RETURN(const ProfileTable* table, ProfileTable::OfEdition(profile.edition));
  return Deidentifier(std::move(profile), table, site_secret);
}

absl::StatusOr<DeidentifyCounts> Deidentifier::File(const std::filesystem::path& in,
                                                    const std::filesystem::path& out) const try {
  std::error_code ignored;
  if (std::filesystem::equivalent(in, out, ignored)) {
    return absl::InvalidArgumentError("a file is not de-identified over itself");
  }
  std::variant<OpenedDataset, Rejection> outcome = OpenDataset(in, ReadUpTo::kEnd);
  if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", RejectReasonName(rejection->reason), rejection->message));
  }
  OpenedDataset& opened = std::get<OpenedDataset>(outcome);
  if (opened.data->tagExists(DCM_DirectoryRecordSequence)) {
    return absl::FailedPreconditionError("a DICOMDIR is not de-identified: make a new one of the new files");
  }
  CLOISTER_ASSIGN_OR_RETURN(const BurnedInRule* rule, RuleFor(*opened.data, profile_.burned_in));
  const std::vector<PixelRectangle> regions = rule == nullptr ? std::vector<PixelRectangle>() : rule->regions;
  E_TransferSyntax syntax = opened.data->getOriginalXfer();
  // HTJ2K was read as JPEG 2000; DCMTK would write that name over it.
  const bool misnamed = opened.transfer_syntax_uid != DcmXfer(syntax).getXferID();
  Sint32 frames = 1;
  opened.data->findAndGetSint32(DCM_NumberOfFrames, frames);
  DeidentifyCounts counts;
  if (opened.data->tagExists(DCM_PixelData) && (!regions.empty() || HasOverlayInPixels(*opened.data) || misnamed)) {
    CLOISTER_RETURN_IF_ERROR(BlankPixels(opened, regions));
    syntax = EXS_LittleEndianExplicit;
    counts.blanked_regions = static_cast<int64_t>(regions.size()) * std::max<Sint32>(1, frames);
  }
  const Pseudonyms pseudonyms(site_secret_);
  const int64_t blanked = counts.blanked_regions;
  counts = CleanAttributes(profile_, *table_, pseudonyms, *opened.data);
  counts.blanked_regions = blanked;
  if (rule != nullptr && opened.data->tagExists(DCM_PixelData)) {
    opened.data->putAndInsertString(DCM_BurnedInAnnotation, "NO");
  }

  DcmFileFormat file(opened.data.release(), /*deepCopy=*/OFFalse);  // with meta information of the new UIDs
  const OFCondition written = file.saveFile(out.c_str(), syntax);
  if (written.bad()) {
    std::filesystem::remove(out, ignored);
    return absl::UnavailableError(fmt::format("cannot write {}: {}", out.filename().string(), written.text()));
  }
  return counts;
} catch (const std::exception& error) {
  std::error_code ignored;
  std::filesystem::remove(out, ignored);
  return absl::InvalidArgumentError(FromException(error).message);
}

}  // namespace cloister::site
