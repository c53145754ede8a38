#pragma once
// SPDX-License-Identifier: Apache-2.0
// What an experiment asks of this site's own data, as worker jobs, and what comes back, as the numbers that go into
// secure sums and summaries. Pure but for reading result files.

#include <filesystem>
#include <string>
#include <vector>

#include "eval/federated/site_summary.h"
#include "protocols/crypto/secret.h"
#include "protocols/plan/experiment.h"
#include "protocols/plan/sums.h"
#include "site_agent/agent/cohort_desk.h"
#include "site_agent/agent/worker_jobs.h"

namespace cloister::site {

// round 0: the local-only baseline, from the plan's initial model.
// `noise_key`: of a training with differential privacy for each patient (NoiseKey); null for any other.
WorkerJob TrainingJob(const JobId& job, const plan::Experiment& plan, const FrozenCohort& cohort, int round,
                      const std::filesystem::path& initial_model, const crypto::SecretBytes* noise_key = nullptr);

// A round's training as the privacy ledger knows it: another model to start from makes it another one.
Digest TrainingDigest(const Digest& plan, const Digest& cohort, int round, const Digest& initial_model);
// Where its samples and noise come from: a function of the job's secret, so that a restarted site repeats its bytes
// (docs/adr/0002), and of all that the training depends on, so that no noise is ever seen with two different data.
crypto::SecretBytes NoiseKey(const crypto::SecretBytes& job_secret, const Digest& training);

// Training patients of a frozen cohort.
int TrainingPatientsOf(const FrozenCohort& cohort);
// Has the plan's training differential privacy for each patient?
bool HasPatientPrivacy(const plan::Experiment& plan);

struct TrainingResult {
  std::filesystem::path model;
  uint64_t samples = 0;
  uint64_t batches = 0;
  double loss_sum = 0;  // of the last epoch
};
// INTERNAL: the worker's result lacks a field.
absl::StatusOr<TrainingResult> ReadTrainingResult(const WorkerDone& done);

// A model or an ensemble to be scored.
struct ScoredModel {
  std::string id;
  std::vector<std::filesystem::path> members;
};
// Scores the test and tuning cases, in the order of ScoredCases.
WorkerJob ValidationJob(const JobId& job, const plan::Experiment& plan, const FrozenCohort& cohort,
                        const std::vector<ScoredModel>& models, const std::string& title);

// The cases of a split, in the order in which a validation job scores them, with each model's scores.
struct ScoredSplit {
  std::vector<const ManifestCase*> cases;
  std::map<std::string, std::vector<double>> scores;  // by model id
  // `scores` as eval sees them: the patient is an index.
  eval::Cases CasesOf(const std::string& model_id) const;
};
struct ValidationResult {
  ScoredSplit test;
  ScoredSplit tuning;
  std::map<std::string, std::string> unscored;  // model id -> why it could not be scored
};
// Each of `model_ids` is in both splits' scores or in `unscored`. `cohort` must outlive the result. INTERNAL: scores
// are missing without a reason, too few, or outside 0 to 1.
absl::StatusOr<ValidationResult> ReadValidationResult(const WorkerDone& done, const FrozenCohort& cohort,
                                                      const std::vector<std::string>& model_ids);

// The plan's gates in eval's terms: all of them, or only those decided at each site.
std::vector<eval::Gate> GatesOf(const plan::Experiment& plan, bool per_site_only);

// The minimum cell of what this site says about itself: the plan's, but never below the floor.
eval::MinimumCell MinimumCellOf(const plan::Experiment& plan);

}  // namespace cloister::site
