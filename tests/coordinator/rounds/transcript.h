#pragma once
// SPDX-License-Identifier: Apache-2.0
// Runs an experiment machine from a text: lines with ">" are commands, the lines after each are what it must say. After
// every command the machine is rebuilt from its stored facts and must be in the same place.
//
//   - a note for people      ! what the driver has to do      = what it waits for      x a refusal      site: its work

#include <string>

#include "protocols/plan/experiment.h"

namespace cloister::coordinator {

// Commands: known|accept|heard|summary SITE, refuse SITE CODE, baseline SITE [kept], answer SITES..., enough SITE, fail
// SITE CODE [DEALER], close SITES..., broken WHY, blame SITE WHY, finish NOTE, guard WHY (finished, refused), decide
// [MEMBERS...], publish RELEASE, release SITE STATE, give-up WHY, abort WHY, wait DURATION, stale SITE (an answer to an
// earlier attempt), work SITES...
//
// Returns the transcript as it really was; equal to `text` when all is well.
std::string RunTranscript(const plan::Experiment& experiment, const std::string& text);

}  // namespace cloister::coordinator
