#pragma once
// SPDX-License-Identifier: Apache-2.0
// What the agent asks a worker to do: job.json, parsed strictly into one of a few kinds. Everything here is torch-free.

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "models/ensemble/ensemble.h"
#include "models/model_spec.h"
#include "models/trainer.h"
#include "protocols/base/status.h"
#include "protocols/plan/task.h"

namespace cloister::site {

// Seeded initial weights -> model.safetensors.
struct InitJob {
  models::ModelSpec model;
};

// DICOM files -> prepared.u8 + prepared.json.
struct PrepareJob {
  struct Case {
    std::string id;
    std::vector<std::filesystem::path> files;  // the first that can be used is used
  };
  std::vector<Case> cases;
};

// DICOM files -> inspected.jsonl.
struct InspectJob {
  std::vector<std::filesystem::path> files;
};

// Prepared images and labels -> model.safetensors.
struct TrainJob {
  struct Case {
    std::string id;
    float label = 0;
    uint32_t patient = 0;  // a number, from 0 without a gap; only of a training with options.privacy
  };
  models::ModelSpec model;
  std::filesystem::path prepared;
  std::vector<Case> cases;
  std::filesystem::path initial_model;
  models::TrainOptions options;
};

// Prepared images -> scores of several models or ensembles.
struct ValidateJob {
  struct Candidate {
    std::string id;
    std::vector<std::filesystem::path> members;
    models::Combiner combiner = models::Combiner::kMeanProbability;
  };
  models::ModelSpec model;
  std::vector<Candidate> candidates;
  std::filesystem::path prepared;
  std::vector<std::string> cases;
};

// One examination -> a score, a decision and a page.
struct PredictJob {
  models::ModelSpec model;
  std::vector<std::filesystem::path> members;
  models::Combiner combiner = models::Combiner::kMeanProbability;
  double operating_point = 0.5;
  std::vector<std::filesystem::path> files;
  std::vector<std::string> capture_text;
};

// Proves the sandbox on this machine (self_test.h).
struct SelfTestJob {
  std::string action = "sandbox";
};

struct Job {
  int threads = 1;
  uint64_t memory_bytes = 0;  // at least 512 MiB; 0: no limit
  plan::Task task;            // of every kind but inspect and self_test
  std::variant<InitJob, PrepareJob, InspectJob, TrainJob, ValidateJob, PredictJob, SelfTestJob> kind;
};

// INVALID_ARGUMENT: not JSON, an unknown or missing field, a value out of range ("job.json: algorithm.optimizer.lr:
// ..."). Every path must be absolute and without "..".
absl::StatusOr<Job> ParseJob(const std::string& text);

// What the job names: the only places outside the system's libraries and the job folder that the worker may read.
std::vector<std::filesystem::path> ReadablePaths(const Job& job);

}  // namespace cloister::site
