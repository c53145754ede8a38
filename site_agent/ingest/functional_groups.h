#pragma once
// SPDX-License-Identifier: Apache-2.0
// Attributes that a classic image keeps in its dataset and an enhanced multi-frame in functional groups (PS3.3
// C.7.6.16). Internal to ingest.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <vector>

namespace cloister::site {

// The first item of `sequence` in `item`, or null.
DcmItem* FirstItem(DcmItem& item, const DcmTagKey& sequence);

// Where the attributes of `macro` are for `frame` (from 0): its own functional groups, else the shared ones, else the
// dataset.
DcmItem& MacroHolder(DcmDataset& data, int frame, const DcmTagKey& macro);

// False, leaving `value` alone: absent, empty, no number or not finite.
bool FiniteNumber(DcmItem& item, const DcmTagKey& tag, double* value);

// All values of a tag; empty when it is absent or one of them is no finite number.
std::vector<double> FiniteNumbers(DcmItem& item, const DcmTagKey& tag);

}  // namespace cloister::site
