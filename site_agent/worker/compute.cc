// SPDX-License-Identifier: Apache-2.0
// Init, train, validate, predict.

#include "site_agent/worker/compute.h"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "models/ensemble/ensemble.h"
#include "models/predictor.h"
#include "models/preprocess/capture_page.h"
#include "models/preprocess/prepared_set.h"
#include "models/trainer.h"
#include "protocols/base/file.h"
#include "site_agent/worker/prepare.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kModelLimitBytes = uint64_t{8} << 30;
constexpr char kModelFile[] = "model.safetensors";
constexpr double kCheckpointSeconds = 10;  // a checkpoint is three times the model, flushed to disk
constexpr char kCheckpointFile[] = "checkpoint";
constexpr char kCaptureFile[] = "capture.rgb";

absl::StatusOr<models::PreparedSet> OpenPrepared(const std::filesystem::path& folder, const plan::Task& task) {
  CLOISTER_ASSIGN_OR_RETURN(models::PreparedSet set, models::PreparedSet::Open(folder));
  const Digest wanted = models::PreprocessDigest(PreprocessConfigOf(task));
  if (set.preprocessing() != wanted) {
    return absl::FailedPreconditionError(fmt::format("prepared with preprocessing {}, the task needs {}",
                                                     set.preprocessing().short_hex(), wanted.short_hex()));
  }
  return set;
}

// [members][images] -> [images]. The members are read one at a time.
std::variant<std::vector<double>, Failure> Score(const models::ModelSpec& spec,
                                                 const std::vector<std::filesystem::path>& members,
                                                 models::Combiner combiner, const models::ImageBatch& batch) {
  std::vector<std::vector<double>> probabilities;
  for (const std::filesystem::path& member : members) {
    const absl::StatusOr<Bytes> file = ReadFile(member, kModelLimitBytes);
    if (!file.ok()) {
      return Classify(file.status(), FailureReason::kBadModel);
    }
    absl::StatusOr<std::unique_ptr<models::Predictor>> predictor = models::Predictor::Create(spec, *file);
    if (!predictor.ok()) {
      return Classify(Annotate(predictor.status(), member.filename().string()), FailureReason::kBadModel);
    }
    absl::StatusOr<std::vector<double>> scores = (*predictor)->Predict(batch);
    if (!scores.ok()) {
      return Classify(Annotate(scores.status(), member.filename().string()), FailureReason::kBadModel);
    }
    probabilities.push_back(*std::move(scores));
  }
  absl::StatusOr<std::vector<double>> combined = models::Combine(probabilities, combiner);
  if (!combined.ok()) {
    return Classify(combined.status(), FailureReason::kBadModel);
  }
  return *std::move(combined);
}

std::string Capitalized(std::string text) {
  if (!text.empty()) {
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  }
  return text;
}

absl::StatusOr<Json> WriteCapture(const models::GrayImage& film, double score, const PredictJob& job,
                                  const plan::Task& task, const std::filesystem::path& job_folder) {
  models::CaptureContent content;
  content.title = task.title_en;
  content.score = score;
  content.operating_point = job.operating_point;
  content.positive_text = Capitalized(task.condition_en) + " suspected";
  content.negative_text = Capitalized(task.condition_en) + " not suspected";
  content.lines = job.capture_text;
  CLOISTER_ASSIGN_OR_RETURN(const models::RgbImage page, models::RenderCapturePage(film, content));
  CLOISTER_RETURN_IF_ERROR(
      WriteFileAtomically(job_folder / kCaptureFile,
                          ByteView(reinterpret_cast<const char*>(page.pixels.data()), page.pixels.size()), 0600));
  return Json{{"file", kCaptureFile}, {"rows", page.rows}, {"columns", page.columns}};
}

}  // namespace

Outcome RunInit(const InitJob& job, const std::filesystem::path& job_folder) {
  const absl::StatusOr<models::InitialModel> initial = models::MakeInitialModel(job.model);
  if (!initial.ok()) {
    return Classify(initial.status(), FailureReason::kBadModel);
  }
  if (absl::Status written = WriteFileAtomically(job_folder / kModelFile, initial->model); !written.ok()) {
    return Classify(written, FailureReason::kInputOutput);
  }
  return Json{{"model", kModelFile}, {"parameters", initial->parameters}};
}

Outcome RunTrain(const TrainJob& job, const plan::Task& task, const std::filesystem::path& job_folder,
                 ProgressWriter& progress) {
  const absl::StatusOr<models::PreparedSet> prepared = OpenPrepared(job.prepared, task);
  if (!prepared.ok()) {
    return Classify(prepared.status(), FailureReason::kBadData);
  }
  models::TrainingSet set{prepared->channels(), prepared->rows(), prepared->columns(), {}, {}, {}};
  for (const TrainJob::Case& item : job.cases) {
    const absl::StatusOr<int64_t> row = prepared->RowOf(item.id);
    if (!row.ok()) {
      return Classify(row.status(), FailureReason::kBadData);
    }
    set.images.push_back(prepared->image(*row));
    set.labels.push_back(item.label);
    set.patients.push_back(item.patient);
  }
  const absl::StatusOr<Bytes> initial = ReadFile(job.initial_model, kModelLimitBytes);
  if (!initial.ok()) {
    return Classify(initial.status(), FailureReason::kBadModel);
  }
  const std::filesystem::path checkpoint = job_folder / kCheckpointFile;
  models::TrainOptions options = job.options;
  options.checkpoint_seconds = kCheckpointSeconds;
  const absl::StatusOr<models::TrainResult> result = models::Train(
      job.model, *initial, set, options, checkpoint, [&](const models::TrainProgress& step) { progress.Train(step); });
  if (!result.ok()) {
    // Too few images is about the data; everything else that training itself can refuse is about the model.
    return Classify(result.status(),
                    absl::IsFailedPrecondition(result.status()) ? FailureReason::kBadData : FailureReason::kBadModel);
  }
  if (absl::Status written = WriteFileAtomically(job_folder / kModelFile, result->model); !written.ok()) {
    return Classify(written, FailureReason::kInputOutput);
  }
  std::error_code ignored;
  std::filesystem::remove(checkpoint, ignored);
  return Json{{"model", kModelFile},
              {"samples", result->samples},
              {"batches", result->batches},
              {"loss_sum", result->loss_sum},
              {"loss_first_epoch", result->loss_first_epoch},
              {"loss_last_epoch", result->loss_last_epoch},
              {"seconds", result->seconds},
              {"images_per_second", result->images_per_second},
              {"resumed_epochs", result->resumed_epochs}};
}

Outcome RunValidate(const ValidateJob& job, const plan::Task& task, ProgressWriter& progress) {
  const absl::StatusOr<models::PreparedSet> prepared = OpenPrepared(job.prepared, task);
  if (!prepared.ok()) {
    return Classify(prepared.status(), FailureReason::kBadData);
  }
  models::ImageBatch batch{prepared->channels(), prepared->rows(), prepared->columns(), {}};
  for (const std::string& id : job.cases) {
    const absl::StatusOr<int64_t> row = prepared->RowOf(id);
    if (!row.ok()) {
      return Classify(row.status(), FailureReason::kBadData);
    }
    batch.images.push_back(prepared->image(*row));
  }
  Json scores = Json::object();
  Json unscored = Json::object();  // candidate -> why: one bad model does not stop the others
  for (const ValidateJob::Candidate& candidate : job.candidates) {
    auto scored = Score(job.model, candidate.members, candidate.combiner, batch);
    if (Failure* failure = std::get_if<Failure>(&scored)) {
      if (failure->reason != FailureReason::kBadModel && failure->reason != FailureReason::kDiverged) {
        failure->status = Annotate(failure->status, candidate.id);
        return *std::move(failure);
      }
      unscored[candidate.id] = std::string(failure->status.message());
    } else {
      scores[candidate.id] = std::get<std::vector<double>>(scored);
    }
    progress.Count("validate", static_cast<int64_t>(scores.size() + unscored.size()),
                   static_cast<int64_t>(job.candidates.size()));
  }
  return Json{{"scores", std::move(scores)}, {"unscored", std::move(unscored)}};
}

Outcome RunPredict(const PredictJob& job, const plan::Task& task, const std::filesystem::path& job_folder,
                   ProgressWriter& progress) {
  auto loaded = LoadCase(job.files, PreprocessConfigOf(task));
  if (!loaded.ok()) {
    return Classify(loaded.status(), FailureReason::kBadData);
  }
  if (const RejectedCase* rejected = std::get_if<RejectedCase>(&*loaded)) {
    return Json{{"rejected", rejected->reason}, {"message", rejected->message}};
  }
  const UsableImage& image = std::get<UsableImage>(*loaded);
  const plan::Preprocessing& shape = task.preprocessing;
  auto scored =
      Score(job.model, job.members, job.combiner, {shape.channels, shape.rows, shape.columns, {image.pixels.data()}});
  if (Failure* failure = std::get_if<Failure>(&scored)) {
    return *std::move(failure);
  }
  const double score = std::get<std::vector<double>>(scored)[0];
  const absl::StatusOr<Json> capture = WriteCapture(image.film, score, job, task, job_folder);
  if (!capture.ok()) {
    return Classify(capture.status(), FailureReason::kInternal);
  }
  progress.Count("predict", 1, 1);
  return Json{{"score", score}, {"positive", models::IsPositive(score, job.operating_point)}, {"capture", *capture}};
}

}  // namespace cloister::site
