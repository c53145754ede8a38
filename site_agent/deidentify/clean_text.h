#pragma once
// SPDX-License-Identifier: Apache-2.0
// Descriptions without identities: only words that are known to say nothing about a person stay. A list of what to
// remove can never be complete; a list of what may stay can.

#include <set>
#include <string>
#include <vector>

namespace cloister::site {

class DescriptorWords {
 public:
  // Words of anatomy, views and technique in English; with `more` of the project's (any script, as UTF-8).
  explicit DescriptorWords(const std::vector<std::string>& more = {});

  // The words of `text` (UTF-8) that may stay, and quantities with a unit ("5mm", "120 kV"), separated by a blank.
  // "" when nothing stays. What is in `names` (lower case) goes even if it is a known word: there is a Dr Sharp.
  std::string Clean(const std::string& text, const std::set<std::string>& names = {}) const;

 private:
  std::set<std::string> words_;  // lower case
};

// The parts of a person's name (PN, as UTF-8), in lower case.
std::vector<std::string> NameParts(const std::string& name);

}  // namespace cloister::site
