#pragma once
// SPDX-License-Identifier: Apache-2.0
// The secure sum that a job is in the middle of: session and models. Everything in it can be made again
// from the database and the blob store.

#include <vector>

#include "coordinator/service/job.h"

namespace cloister::coordinator {

struct Job::ActiveSum {
  SumKey key;
  std::vector<wire::ModelRef> models;
  secagg::SumParams params;
  secagg::ServerSession session;
};

}  // namespace cloister::coordinator
