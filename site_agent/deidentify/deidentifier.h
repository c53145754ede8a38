#pragma once
// SPDX-License-Identifier: Apache-2.0
// De-identification by PS3.15 Annex E: the Basic Profile and the options that a project declares, on every level of
// nesting. For whatever leaves the worker: caches, thumbnails, exports. Reads pixels where it has to blank some, so it
// runs in the worker.

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/crypto/secret.h"
#include "site_agent/deidentify/profile_table.h"

namespace cloister::site {

struct PixelRectangle {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

// Where a kind of device writes identities into the picture. "" and 0 match everything.
struct BurnedInRule {
  std::string modality;
  std::string manufacturer;  // as in the file
  std::string manufacturer_model_name;
  int rows = 0;
  int columns = 0;
  std::vector<PixelRectangle> regions;  // none: this device writes nothing into its pictures
};

struct DeidentifyProfile {
  std::string edition = "2024b";
  std::set<DeidentifyOption> options;
  std::vector<std::string> descriptor_words;  // that may stay besides the built-in ones, for clean_descriptors
  std::vector<BurnedInRule> burned_in;        // the first that matches counts
};

struct DeidentifyCounts {
  int64_t removed = 0;  // attributes, at every level
  int64_t emptied = 0;
  int64_t replaced = 0;  // by a dummy, a pseudonym or a moved date
  int64_t cleaned = 0;
  int64_t blanked_regions = 0;  // rectangles in each frame
};

class Deidentifier {
 public:
  // NOT_FOUND: the edition. `site_secret` must outlive this.
  static absl::StatusOr<Deidentifier> Create(DeidentifyProfile profile, const crypto::SecretBytes* site_secret);

  // Reads `in`, writes `out` (in native little endian where pixels had to be blanked, else as it was encoded).
  // INVALID_ARGUMENT: `in` cannot be read, or its pixels cannot and would have to be. FAILED_PRECONDITION: the file
  // says that text is burned into its pixels and no rule says where; or a DICOMDIR. UNAVAILABLE: `out` cannot be
  // written; nothing is left there. Messages carry no patient data.
  absl::StatusOr<DeidentifyCounts> File(const std::filesystem::path& in, const std::filesystem::path& out) const;

 private:
  Deidentifier(DeidentifyProfile profile, const ProfileTable* table, const crypto::SecretBytes* site_secret)
      : profile_(std::move(profile)), table_(table), site_secret_(site_secret) {}

  DeidentifyProfile profile_;
  const ProfileTable* table_;
  const crypto::SecretBytes* site_secret_;
};

}  // namespace cloister::site
