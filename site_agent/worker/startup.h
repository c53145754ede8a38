#pragma once
// SPDX-License-Identifier: Apache-2.0
// What must be in the environment before the libraries of this very process load. No job content is looked at here.

namespace cloister::site {

// Returns where nothing needs to change; else starts this program again, once, with
//   OPENBLAS_CORETYPE   OpenBLAS 0.3.21 takes newer AMD processors for a Prescott of 2004, several times slower
//   OMP_WAIT_POLICY     threads that wait spin by default: with two sites on one machine that costs ten times the time
// What the caller has set stays.
void RestartWithComputeEnvironment(char** argv);

}  // namespace cloister::site
