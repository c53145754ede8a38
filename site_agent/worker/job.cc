// SPDX-License-Identifier: Apache-2.0
// job.json -> Job. Each field is read once by name; what nobody read is an error.

#include "site_agent/worker/job.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

namespace cloister::site {
namespace {

using Json = nlohmann::json;

// A JSON object that remembers which of its fields were read and the first thing that was wrong.
class Fields {
 public:
  Fields(const Json& object, std::string where, absl::Status& error)
      : object_(object), where_(std::move(where)), error_(error) {
    if (!object_.is_object()) {
      Fail("", "must be an object");
    }
  }

  ~Fields() {
    if (!object_.is_object()) {
      return;
    }
    for (const auto& [key, value] : object_.items()) {
      if (read_.count(key) == 0) {
        Fail(key, "unknown field");
      }
    }
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  bool Has(const std::string& key) const { return object_.is_object() && object_.contains(key); }

  // Null if absent (noted as an error unless `optional`).
  const Json* Find(const std::string& key, bool optional = false) {
    read_.insert(key);
    if (Has(key)) {
      return &object_.at(key);
    }
    if (!optional) {
      Fail(key, "is missing");
    }
    return nullptr;
  }

  std::string Text(const std::string& key) {
    const Json* value = Find(key);
    return value == nullptr ? "" : TextOf(*value, key);
  }

  std::filesystem::path Path(const std::string& key) {
    const Json* value = Find(key);
    return value == nullptr ? std::filesystem::path() : PathOf(*value, key);
  }

  std::vector<std::filesystem::path> Paths(const std::string& key) {
    std::vector<std::filesystem::path> paths;
    for (const Json& item : List(key, 1, 4096)) {
      paths.push_back(PathOf(item, key));
    }
    return paths;
  }

  std::vector<std::string> Texts(const std::string& key, size_t least, size_t most) {
    std::vector<std::string> texts;
    for (const Json& item : List(key, least, most)) {
      texts.push_back(TextOf(item, key));
    }
    return texts;
  }

  double Real(const std::string& key, double least, double most, double otherwise, bool optional = true) {
    const Json* value = Find(key, optional);
    if (value == nullptr) {
      return otherwise;
    }
    if (!value->is_number() || !(value->get<double>() >= least && value->get<double>() <= most)) {
      Fail(key, fmt::format("must be a number from {} to {}", least, most));
      return otherwise;
    }
    return value->get<double>();
  }

  int64_t Int(const std::string& key, int64_t least, int64_t most, int64_t otherwise, bool optional = true) {
    const Json* value = Find(key, optional);
    if (value == nullptr) {
      return otherwise;
    }
    // Above int64 a JSON number reads as negative here, and is refused by the range.
    if (!value->is_number_integer() || value->get<int64_t>() < least || value->get<int64_t>() > most) {
      Fail(key, fmt::format("must be a whole number from {} to {}", least, most));
      return otherwise;
    }
    return value->get<int64_t>();
  }

  uint64_t Seed(const std::string& key, bool optional) {
    const Json* value = Find(key, optional);
    if (value == nullptr) {
      return 0;
    }
    if (!value->is_number_unsigned()) {
      Fail(key, "must be a whole number from 0 to 2^64 - 1");
      return 0;
    }
    return value->get<uint64_t>();
  }

  bool Bool(const std::string& key, bool otherwise) {
    const Json* value = Find(key, /*optional=*/true);
    if (value == nullptr) {
      return otherwise;
    }
    if (!value->is_boolean()) {
      Fail(key, "must be true or false");
      return otherwise;
    }
    return value->get<bool>();
  }

  // The elements of an array; none after an error.
  std::vector<Json> List(const std::string& key, size_t least, size_t most) {
    const Json* value = Find(key);
    if (value == nullptr) {
      return {};
    }
    if (!value->is_array() || value->size() < least || value->size() > most) {
      Fail(key, fmt::format("must be a list of {} to {} elements", least, most));
      return {};
    }
    return {value->begin(), value->end()};
  }

  std::string Where(const std::string& key) const {
    return where_.empty() ? key : key.empty() ? where_ : where_ + "." + key;
  }

  void Fail(const std::string& key, const std::string& problem) {
    if (error_.ok()) {
      error_ = absl::InvalidArgumentError(fmt::format("job.json: {}: {}", Where(key), problem));
    }
  }

 private:
  std::string TextOf(const Json& value, const std::string& key) {
    if (!value.is_string() || value.get_ref<const std::string&>().empty() ||
        value.get_ref<const std::string&>().size() > 4096) {
      Fail(key, "must be a text of 1 to 4096 bytes");
      return "";
    }
    return value.get<std::string>();
  }

  std::filesystem::path PathOf(const Json& value, const std::string& key) {
    const std::filesystem::path path = TextOf(value, key);
    bool plain = path.is_absolute();
    for (const auto& part : path) {
      plain = plain && part != "..";
    }
    if (!plain && !path.empty()) {
      Fail(key, "must be an absolute path without '..'");
    }
    return path;
  }

  const Json& object_;
  const std::string where_;
  absl::Status& error_;
  std::set<std::string> read_;
};

constexpr size_t kMostCases = 1000000;
// LibTorch's thread pool waits for ever for threads that it cannot start.
constexpr int64_t kLeastMemoryMb = 512;

models::ModelSpec ReadModel(Fields& job, const plan::Task& task, absl::Status& error) {
  models::ModelSpec spec;
  spec.input_channels = task.preprocessing.channels;
  if (const Json* value = job.Find("model")) {
    Fields model(*value, job.Where("model"), error);
    spec.architecture = model.Text("architecture");
    if (model.Has("init")) {
      spec.init = model.Text("init");
    }
    spec.seed = model.Seed("seed", /*optional=*/true);
    if (spec.architecture == "torchscript") {
      spec.torchscript_file = model.Path("file").string();
    }
  }
  return spec;
}

models::Combiner ReadCombiner(Fields& fields) {
  const absl::StatusOr<models::Combiner> combiner = models::ParseCombiner(fields.Text("combiner"));
  if (!combiner.ok()) {
    fields.Fail("combiner", "allowed: mean_probability, mean_logit");
    return models::Combiner::kMeanProbability;
  }
  return *combiner;
}

models::TrainOptions ReadAlgorithm(Fields& job, const plan::Task& task, absl::Status& error) {
  models::TrainOptions options;
  options.epochs = static_cast<int>(job.Int("epochs", 1, 10000, 1, /*optional=*/false));
  options.seed = job.Seed("seed", /*optional=*/false);
  options.augment = job.Bool("augment", false);
  options.augmentation.flip_horizontal = task.flip_horizontal;
  options.positive_weight = task.balance_classes ? 0 : 1;
  const Json* value = job.Find("algorithm");
  if (value == nullptr) {
    return options;
  }
  Fields algorithm(*value, job.Where("algorithm"), error);
  options.batch_size = static_cast<int>(algorithm.Int("batch_size", 2, 4096, 16, /*optional=*/false));
  options.proximal_mu = algorithm.Real("proximal_mu", 0, 1000, 0);
  if (const Json* inner = algorithm.Find("optimizer")) {
    Fields optimizer(*inner, algorithm.Where("optimizer"), error);
    const std::string name = optimizer.Text("name");
    if (name != "sgd" && name != "adamw") {
      optimizer.Fail("name", "allowed: sgd, adamw");
    }
    options.optimizer.kind = name == "adamw" ? models::OptimizerKind::kAdamW : models::OptimizerKind::kSgd;
    options.optimizer.lr = optimizer.Real("lr", 1e-10, 100, 0.01, /*optional=*/false);
    options.optimizer.momentum = optimizer.Real("momentum", 0, 0.9999, 0);
    options.optimizer.weight_decay = optimizer.Real("weight_decay", 0, 10, 0);
  }
  return options;
}

// DP-SGD. The key is a secret of the job: the file is for the worker's eyes only.
std::optional<models::PrivateTraining> ReadPrivacy(Fields& job, absl::Status& error) {
  if (!job.Has("privacy")) {
    return std::nullopt;
  }
  Fields fields(*job.Find("privacy"), job.Where("privacy"), error);
  models::PrivateTraining privacy;
  privacy.noise_multiplier = fields.Real("noise_multiplier", 0.01, 10'000, 1, /*optional=*/false);
  privacy.clip_norm = fields.Real("clip_norm", 1e-9, 1e9, 1, /*optional=*/false);
  const absl::StatusOr<Digest> key = Digest::FromHex(fields.Text("key"));
  if (!key.ok()) {
    fields.Fail("key", "must be 64 hex digits");
    return std::nullopt;
  }
  privacy.key = std::make_shared<const crypto::SecretBytes>(crypto::SecretBytes::CopyOf(key->view()));
  return privacy;
}

PrepareJob ReadPrepare(Fields& job, absl::Status& error) {
  PrepareJob prepare;
  std::set<std::string> seen;
  for (const Json& item : job.List("cases", 0, kMostCases)) {
    Fields fields(item, fmt::format("cases[{}]", prepare.cases.size()), error);
    prepare.cases.push_back({fields.Text("case"), fields.Paths("files")});
    if (!seen.insert(prepare.cases.back().id).second) {
      fields.Fail("case", fmt::format("'{}' is there twice", prepare.cases.back().id));
    }
  }
  return prepare;
}

TrainJob ReadTrain(Fields& job, const plan::Task& task, absl::Status& error) {
  TrainJob train;
  train.model = ReadModel(job, task, error);
  train.prepared = job.Path("prepared");
  train.options = ReadAlgorithm(job, task, error);
  train.options.privacy = ReadPrivacy(job, error);
  const bool with_privacy = train.options.privacy.has_value();
  if (with_privacy) {
    train.options.positive_weight = 1;  // from the counts of the classes it would tell of every patient
  }
  for (const Json& item : job.List("cases", 0, kMostCases)) {
    Fields fields(item, fmt::format("cases[{}]", train.cases.size()), error);
    TrainJob::Case one{fields.Text("case"), static_cast<float>(fields.Int("label", 0, 1, 0, /*optional=*/false)), 0};
    if (with_privacy) {
      one.patient = static_cast<uint32_t>(fields.Int("patient", 0, int64_t{kMostCases}, 0, /*optional=*/false));
    }
    train.cases.push_back(std::move(one));
  }
  train.initial_model = job.Path("initial_model");
  return train;
}

ValidateJob ReadValidate(Fields& job, const plan::Task& task, absl::Status& error) {
  ValidateJob validate;
  validate.model = ReadModel(job, task, error);
  for (const Json& item : job.List("models", 1, 1000)) {
    Fields fields(item, fmt::format("models[{}]", validate.candidates.size()), error);
    validate.candidates.push_back({fields.Text("id"), fields.Paths("members"), ReadCombiner(fields)});
  }
  validate.prepared = job.Path("prepared");
  for (const Json& item : job.List("cases", 0, kMostCases)) {
    if (item.is_string()) {
      validate.cases.push_back(item.get<std::string>());
      continue;
    }
    // The list of a manifest, labels and all: they are not looked at here.
    Fields fields(item, fmt::format("cases[{}]", validate.cases.size()), error);
    validate.cases.push_back(fields.Text("case"));
    fields.Find("label", /*optional=*/true);
  }
  return validate;
}

PredictJob ReadPredict(Fields& job, const plan::Task& task, absl::Status& error) {
  PredictJob predict;
  predict.model = ReadModel(job, task, error);
  predict.members = job.Paths("members");
  predict.combiner = ReadCombiner(job);
  predict.operating_point = job.Real("operating_point", 0, 1, 0.5, /*optional=*/false);
  predict.files = job.Paths("files");
  if (job.Has("capture_text")) {
    predict.capture_text = job.Texts("capture_text", 0, 40);
  }
  return predict;
}

}  // namespace

absl::StatusOr<Job> ParseJob(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    return absl::InvalidArgumentError("job.json: not a JSON object");
  }
  absl::Status error;
  Job job;
  {
    Fields fields(json, "", error);
    const std::string kind = fields.Text("kind");
    job.threads = static_cast<int>(fields.Int("threads", 1, 256, 1));
    if (fields.Has("memory_mb")) {
      job.memory_bytes = static_cast<uint64_t>(fields.Int("memory_mb", kLeastMemoryMb, 1 << 24, kLeastMemoryMb)) << 20;
    }
    if (kind == "self_test") {
      job.kind = SelfTestJob{fields.Text("action")};
    } else if (kind == "inspect") {
      job.kind = InspectJob{fields.Paths("files")};
    } else if (const Json* task = fields.Find("task")) {
      CLOISTER_ASSIGN_OR_RETURN(job.task, plan::ParseTask(task->dump(), "job.json: task"));
      if (kind == "init") {
        job.kind = InitJob{ReadModel(fields, job.task, error)};
      } else if (kind == "prepare") {
        job.kind = ReadPrepare(fields, error);
      } else if (kind == "train") {
        job.kind = ReadTrain(fields, job.task, error);
      } else if (kind == "validate") {
        job.kind = ReadValidate(fields, job.task, error);
      } else if (kind == "predict") {
        job.kind = ReadPredict(fields, job.task, error);
      } else {
        fields.Fail("kind", fmt::format("unknown '{}'; allowed: init, prepare, inspect, train, validate, predict, "
                                        "self_test",
                                        kind));
      }
    }
  }
  CLOISTER_RETURN_IF_ERROR(error);
  return job;
}

namespace {

void Append(std::vector<std::filesystem::path>& paths, const models::ModelSpec& model) {
  if (!model.torchscript_file.empty()) {
    paths.emplace_back(model.torchscript_file);
  }
}

void Append(std::vector<std::filesystem::path>& paths, const std::vector<std::filesystem::path>& more) {
  paths.insert(paths.end(), more.begin(), more.end());
}

struct PathCollector {
  std::vector<std::filesystem::path> paths;

  void operator()(const InitJob& job) { Append(paths, job.model); }
  void operator()(const PrepareJob& job) {
    for (const PrepareJob::Case& item : job.cases) {
      Append(paths, item.files);
    }
  }
  void operator()(const InspectJob& job) { Append(paths, job.files); }
  void operator()(const TrainJob& job) {
    Append(paths, job.model);
    paths.push_back(job.prepared);
    paths.push_back(job.initial_model);
  }
  void operator()(const ValidateJob& job) {
    Append(paths, job.model);
    paths.push_back(job.prepared);
    for (const ValidateJob::Candidate& candidate : job.candidates) {
      Append(paths, candidate.members);
    }
  }
  void operator()(const PredictJob& job) {
    Append(paths, job.model);
    Append(paths, job.members);
    Append(paths, job.files);
  }
  void operator()(const SelfTestJob&) {}
};

}  // namespace

std::vector<std::filesystem::path> ReadablePaths(const Job& job) {
  PathCollector collector;
  std::visit(collector, job.kind);
  return collector.paths;
}

}  // namespace cloister::site
