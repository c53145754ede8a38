#pragma once
// SPDX-License-Identifier: Apache-2.0
// One walk over the attributes of a dataset, on every level, with the table in hand. Internal to deidentify.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include "site_agent/deidentify/deidentifier.h"
#include "site_agent/deidentify/profile_table.h"
#include "site_agent/deidentify/pseudonyms.h"

namespace cloister::site {

// Changes `data` as `profile` has it and adds what PS3.15 E.1.1 wants said about that. Pixels are not looked at.
DeidentifyCounts CleanAttributes(const DeidentifyProfile& profile, const ProfileTable& table,
                                 const Pseudonyms& pseudonyms, DcmDataset& data);

}  // namespace cloister::site
