// SPDX-License-Identifier: Apache-2.0
// Which eye, from where the site's configuration says that it stands.

#include <regex>

#include "site_agent/ingest/colour_image.h"
#include "site_agent/ingest/dicom_header.h"
#include "site_agent/ingest/open_dataset.h"

namespace cloister::site {
namespace {

using Source = LateralityRule::Source;

DcmTagKey TagOf(Source source) {
  switch (source) {
    case Source::kImageLaterality:
      return DCM_ImageLaterality;
    case Source::kLaterality:
      return DCM_Laterality;
    case Source::kSeriesDescription:
      return DCM_SeriesDescription;
    case Source::kStudyDescription:
      return DCM_StudyDescription;
    case Source::kProtocolName:
      return DCM_ProtocolName;
    case Source::kImageComments:
      return DCM_ImageComments;
  }
  return DCM_ImageLaterality;
}

absl::StatusOr<std::regex> Expression(const std::string& text) {
  try {
    return std::regex(text, std::regex::ECMAScript | std::regex::icase);
  } catch (const std::regex_error&) {
    return absl::InvalidArgumentError("laterality: not a regular expression: " + text);
  }
}

struct Said {
  bool left = false;
  bool right = false;
};

absl::StatusOr<Said> WhatIsSaid(DcmDataset& data, const LateralityRule& rule) {
  OFString raw;
  data.findAndGetOFString(TagOf(rule.source), raw);
  if (rule.source == Source::kImageLaterality || rule.source == Source::kLaterality) {
    return Said{raw == "L", raw == "R"};
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::regex left, Expression(rule.left));
  CLOISTER_ASSIGN_OR_RETURN(const std::regex right, Expression(rule.right));
  OFString character_set;
  data.findAndGetOFStringArray(DCM_SpecificCharacterSet, character_set);
  constexpr size_t kMostBytes = 1024;  // std::regex recurses with the length of the text
  const std::string text = ToUtf8(raw.c_str(), character_set.c_str()).substr(0, kMostBytes);
  return Said{std::regex_search(text, left), std::regex_search(text, right)};
}

}  // namespace

absl::StatusOr<Laterality> ReadLaterality(const std::filesystem::path& path,
                                          const std::vector<LateralityRule>& rules) try {
  auto outcome = OpenDataset(path, ReadUpTo::kPixelData);
  if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
    return absl::InvalidArgumentError("laterality: " + rejection->message);
  }
  Said all;
  for (const LateralityRule& rule : rules) {
    CLOISTER_ASSIGN_OR_RETURN(const Said said, WhatIsSaid(*std::get<OpenedDataset>(outcome).data, rule));
    all.left = all.left || said.left;
    all.right = all.right || said.right;
  }
  if (all.left && all.right) {
    return absl::FailedPreconditionError("laterality: the file says left and right; see where its camera writes it");
  }
  if (!all.left && !all.right) {
    return absl::NotFoundError("laterality: the file does not say which eye it is where the configuration looks");
  }
  return all.left ? Laterality::kLeft : Laterality::kRight;
} catch (const std::exception& error) {
  return absl::InvalidArgumentError("laterality: " + FromException(error).message);
}

}  // namespace cloister::site
