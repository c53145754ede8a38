// SPDX-License-Identifier: Apache-2.0
// The frozen list of a cohort, as it is read back from the site's disk.
#include "site_agent/cohort/manifest.h"
#include "tests/fuzz/target.h"

namespace cloister::fuzz {

void FuzzOne(ByteView input) {
  const absl::StatusOr<site::CohortManifest> manifest = site::ParseManifest(Bytes(input));
  if (!manifest.ok()) return;
  const Bytes document = site::ManifestDocument(*manifest);
  const absl::StatusOr<site::CohortManifest> again = site::ParseManifest(document);
  Require(again.ok(), "an accepted manifest can be written and read again");
  RequireSame(site::ManifestDocument(*again), document, "and is the same");
}

std::vector<Bytes> Seeds() {
  const site::ManifestCase one{"c0123456789abcdef", "p0123456789abcdef", "A1", "2.25.1", "2.25.1.1", {}, true, {}};
  return {site::ManifestDocument({"chest_pneumonia", {one}})};
}

}  // namespace cloister::fuzz
