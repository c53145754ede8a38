#pragma once
// SPDX-License-Identifier: Apache-2.0
// A project's de-identification profile as a person writes it:
//
//   edition: 2024b
//   options: [modified_dates, patient_characteristics, device_identity, clean_descriptors, clean_graphics]
//   descriptor_words: [pneumonia, 平扫]
//   burned_in:
//     - {modality: US, manufacturer: Acme, model: E9, rows: 600, columns: 800, regions: ["0 0 800 60", "700 60 100
//     40"]}
//     - {modality: DX}                                  # writes nothing into its pictures

#include <string>

#include "site_agent/deidentify/deidentifier.h"

namespace cloister::site {

// INVALID_ARGUMENT: "file:line:column: ..."; regions are "left top width height" in pixels.
absl::StatusOr<DeidentifyProfile> ParseDeidentifyProfile(const std::string& text, const std::string& file);

}  // namespace cloister::site
