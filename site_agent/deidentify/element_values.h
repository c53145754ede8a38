#pragma once
// SPDX-License-Identifier: Apache-2.0
// Reading and overwriting the values of one DICOM element. Internal to deidentify.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <string>
#include <vector>

namespace cloister::site {

// All values as one text, without padding.
std::string ValueOf(DcmElement& element);
// At the backslashes; for texts in ASCII or UTF-8 only.
std::vector<std::string> SplitValues(const std::string& text);

// Puts one value of the right kind that says nothing: "ANONYMIZED", 1 January 1900, zero.
void PutDummy(DcmElement& element);

}  // namespace cloister::site
