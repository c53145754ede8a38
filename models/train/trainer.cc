// SPDX-License-Identifier: Apache-2.0
// The training loop. Every random choice is a function of (seed, epoch, position), so that a resumed epoch repeats it.

#include "models/trainer.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "models/nets/init.h"
#include "models/nets/input.h"
#include "models/nets/network.h"
#include "models/nets/registry.h"
#include "models/nets/weights.h"
#include "models/random.h"
#include "models/torch_guard.h"
#include "models/train/checkpoint.h"
#include "models/train/optimizer.h"
#include "models/train/private_sum.h"
#include "models/train/training_set.h"
#include "protocols/base/log.h"
#include "protocols/privacy/dp_sgd.h"

namespace cloister::models {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point then) {
  return std::chrono::duration<double>(SteadyClock::now() - then).count();
}

enum Stream : uint64_t { kShuffle = 1, kAugment = 2 };

constexpr size_t kImagesOfPatientAtOnce = 16;  // bounds the memory that a patient with many images takes

// What besides the arguments decides the bytes of a result.
std::string Platform() {
  const char* core = std::getenv("OPENBLAS_CORETYPE");
  return fmt::format("torch {}; {} threads; avx2 {}, fma {}, avx512 {}; openblas {}", TORCH_VERSION,
                     at::get_num_threads(), __builtin_cpu_supports("avx2") != 0, __builtin_cpu_supports("fma") != 0,
                     __builtin_cpu_supports("avx512vl") != 0, core != nullptr ? core : "default");
}

class Training {
 public:
  Training(const ModelSpec& spec, const TrainingSet& set, const TrainOptions& options)
      : spec_(spec), set_(set), options_(options) {
    if (options.privacy.has_value()) {
      images_of_patients_ = ImagesOfPatients(set);
      batches_ = static_cast<int64_t>(
          privacy::StepsOfEpoch(images_of_patients_.size(), static_cast<uint64_t>(options.batch_size)));
    } else {
      batch_sizes_ = BatchSizes(Images(), options.batch_size);
      batches_ = static_cast<int64_t>(batch_sizes_.size());
    }
  }

  absl::StatusOr<TrainResult> Run(const Bytes& initial_model, const std::filesystem::path& checkpoint,
                                  const TrainProgressFn& progress);

 private:
  int64_t Images() const { return static_cast<int64_t>(set_.images.size()); }
  bool Private() const { return options_.privacy.has_value(); }

  absl::Status Begin(const Bytes& initial_model);
  // Takes the state of an earlier process, if there is one that fits.
  void Resume(const std::filesystem::path& path);
  absl::Status Keep(const std::filesystem::path& path);
  // Sets loss_sum_.
  absl::Status RunEpoch(int epoch, const TrainProgressFn& progress);
  torch::Tensor LoadBatch(int epoch, const size_t* indices, int64_t size);
  // The mean loss of the images.
  absl::StatusOr<torch::Tensor> Loss(int epoch, const size_t* indices, int64_t size);
  // One step of the optimizer with the parameters' gradients, which are gone afterwards.
  void Descend();
  // Returns the sum of the losses of the batch before the step.
  absl::StatusOr<double> Step(int epoch, const size_t* indices, int64_t size);

  // The same with differential privacy.
  absl::Status RunPrivateEpoch(int epoch, const TrainProgressFn& progress);
  // Adds a patient's clipped gradient to private_sum_ and the patient's losses to loss_sum_.
  absl::Status AddPatient(int epoch, const std::vector<size_t>& images);
  // Replaces the parameters' gradients by the noised mean.
  void TakePrivateGradient(PrivateStep step);

  void Report(int epoch, int64_t batch, int64_t images_of_epoch, const TrainProgressFn& progress) const;

  const ModelSpec& spec_;
  const TrainingSet& set_;
  const TrainOptions& options_;
  std::vector<int64_t> batch_sizes_;                     // not with privacy
  std::vector<std::vector<size_t>> images_of_patients_;  // only with privacy
  int64_t batches_ = 0;                                  // of an epoch
  Digest arguments_;
  std::unique_ptr<Network> network_;
  NamedTensors parameters_;
  std::vector<torch::Tensor> anchors_;  // initial weights, when the proximal term needs them
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<PrivateSum> private_sum_;
  torch::Tensor positive_weight_;
  std::vector<uint8_t> pixels_;  // of one batch
  int epochs_done_ = 0;
  double loss_first_epoch_ = 0;
  double loss_sum_ = 0;
  int64_t images_seen_ = 0;  // by this process
  SteadyClock::time_point started_;
};

absl::Status Training::Begin(const Bytes& initial_model) {
  arguments_ = ArgumentsDigest(spec_, initial_model, set_, options_, Platform());
  CLOISTER_ASSIGN_OR_RETURN(network_, CreateNetwork(spec_));
  CLOISTER_RETURN_IF_ERROR(LoadWeights(initial_model, *network_));
  network_->SetTraining(true);
  parameters_ = network_->Parameters();
  size_t values = 0;
  for (const auto& [name, tensor] : parameters_) {
    if (!tensor.is_contiguous()) {
      return absl::InternalError("parameter " + name + " is not contiguous");
    }
    values += static_cast<size_t>(tensor.numel());
    if (options_.proximal_mu > 0) {
      anchors_.push_back(tensor.detach().clone());
    }
  }
  optimizer_ = std::make_unique<Optimizer>(options_.optimizer, options_.proximal_mu, values);
  if (Private()) {
    if (network_->State().size() != parameters_.size()) {
      return absl::InvalidArgumentError(
          fmt::format("training: {} keeps running statistics over patients, to which no noise is added; private "
                      "training needs an architecture without them, such as resnet18_gn",
                      spec_.architecture));
    }
    CLOISTER_ASSIGN_OR_RETURN(
        private_sum_, PrivateSum::Create(values, options_.privacy->clip_norm, options_.privacy->noise_multiplier));
  }
  positive_weight_ = torch::full({1}, PositiveWeight(set_, options_), torch::kFloat32);
  return absl::OkStatus();
}

void Training::Resume(const std::filesystem::path& path) {
  absl::StatusOr<Checkpoint> kept = ReadCheckpoint(path, arguments_);
  absl::Status status = kept.status();
  if (status.ok()) {
    status = optimizer_->Restore(kept->optimizer);
  }
  if (status.ok()) {
    status = LoadWeights(kept->weights, *network_);
  }
  if (!status.ok()) {
    if (!absl::IsNotFound(status)) {
      Log()->warn("training starts from the beginning: {}", std::string(status.message()));
    }
    return;
  }
  epochs_done_ = static_cast<int>(kept->epochs_done);
  loss_first_epoch_ = kept->loss_first_epoch;
  loss_sum_ = kept->loss_sum;
}

absl::Status Training::Keep(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(Bytes weights, SaveWeights(*network_));
  return WriteCheckpoint(path, {arguments_, static_cast<uint32_t>(epochs_done_), loss_first_epoch_, loss_sum_,
                                std::move(weights), optimizer_->Save()});
}

torch::Tensor Training::LoadBatch(int epoch, const size_t* indices, int64_t size) {
  const size_t image_bytes = static_cast<size_t>(set_.channels) * set_.rows * set_.columns;
  pixels_.resize(image_bytes * static_cast<size_t>(size));
  at::parallel_for(0, size, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      uint8_t* target = pixels_.data() + static_cast<size_t>(i) * image_bytes;
      const uint8_t* source = set_.images[indices[i]];
      if (options_.augment) {
        Random random({options_.seed, kAugment, static_cast<uint64_t>(epoch), indices[i]});
        Augment(source, target, set_.channels, set_.rows, set_.columns, options_.augmentation, random);
      } else {
        std::memcpy(target, source, image_bytes);
      }
    }
  });
  return MakeInput(pixels_.data(), size, set_.channels, set_.rows, set_.columns);
}

absl::StatusOr<torch::Tensor> Training::Loss(int epoch, const size_t* indices, int64_t size) {
  const torch::Tensor logits = network_->Forward(LoadBatch(epoch, indices, size));
  if (logits.dim() != 2 || logits.size(0) != size || logits.size(1) != 1) {
    return absl::InvalidArgumentError(fmt::format("training: one logit per image is needed, the network gives [{}]",
                                                  fmt::join(logits.sizes().vec(), ", ")));
  }
  torch::Tensor labels = torch::empty({size}, torch::kFloat32);
  for (int64_t i = 0; i < size; ++i) {
    labels.data_ptr<float>()[i] = set_.labels[indices[i]];
  }
  return torch::binary_cross_entropy_with_logits(logits.squeeze(1), labels, /*weight=*/{}, positive_weight_,
                                                 at::Reduction::Mean);
}

void Training::Descend() {
  torch::NoGradGuard no_grad;
  optimizer_->BeginStep();
  size_t first = 0;
  for (size_t p = 0; p < parameters_.size(); ++p) {
    torch::Tensor& weights = parameters_[p].second;
    const auto count = static_cast<size_t>(weights.numel());
    torch::Tensor& gradient = weights.mutable_grad();
    if (gradient.defined()) {
      const torch::Tensor dense = gradient.contiguous();
      float* w = weights.data_ptr<float>();
      const float* g = dense.data_ptr<float>();
      const float* anchor = anchors_.empty() ? w : anchors_[p].data_ptr<float>();
      at::parallel_for(0, static_cast<int64_t>(count), 1 << 15, [&](int64_t begin, int64_t end) {
        optimizer_->Update(first + static_cast<size_t>(begin), static_cast<size_t>(end - begin), w + begin, g + begin,
                           anchor + begin);
      });
      gradient = torch::Tensor();
    }
    first += count;
  }
}

absl::StatusOr<double> Training::Step(int epoch, const size_t* indices, int64_t size) {
  CLOISTER_ASSIGN_OR_RETURN(const torch::Tensor loss, Loss(epoch, indices, size));
  const double value = loss.item<double>();
  if (!std::isfinite(value)) {
    return absl::OutOfRangeError("the loss is not finite");
  }
  loss.backward();
  Descend();
  return value * static_cast<double>(size);
}

absl::Status Training::AddPatient(int epoch, const std::vector<size_t>& images) {
  const auto all = static_cast<double>(images.size());
  for (size_t done = 0; done < images.size(); done += kImagesOfPatientAtOnce) {
    const size_t size = std::min(kImagesOfPatientAtOnce, images.size() - done);
    CLOISTER_ASSIGN_OR_RETURN(const torch::Tensor loss, Loss(epoch, &images[done], static_cast<int64_t>(size)));
    const double value = loss.item<double>();
    loss_sum_ += std::isfinite(value) ? value * static_cast<double>(size) : 0;
    (loss * (static_cast<double>(size) / all)).backward();
  }
  std::vector<torch::Tensor> dense;
  std::vector<absl::Span<const float>> gradient;
  for (auto& [name, weights] : parameters_) {
    torch::Tensor& part = weights.mutable_grad();
    dense.push_back(part.defined() ? part.contiguous() : torch::zeros_like(weights));
    gradient.emplace_back(dense.back().data_ptr<float>(), static_cast<size_t>(weights.numel()));
    part = torch::Tensor();
  }
  // A gradient that is not finite counts as none, and stopping here would tell of it.
  (void)private_sum_->Add(gradient);
  return absl::OkStatus();
}

void Training::TakePrivateGradient(PrivateStep step) {
  const size_t values = private_sum_->values().size();
  const auto blocks = static_cast<int64_t>((values + PrivateSum::kNoiseBlock - 1) / PrivateSum::kNoiseBlock);
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    const size_t first = static_cast<size_t>(begin) * PrivateSum::kNoiseBlock;
    const size_t last = std::min(values, static_cast<size_t>(end) * PrivateSum::kNoiseBlock);
    private_sum_->AddNoise(*options_.privacy->key, step, first, last - first);
  });
  // By how many there should be, not by how many there are: that number is a secret.
  const double expected =
      std::min(static_cast<double>(options_.batch_size), static_cast<double>(images_of_patients_.size()));
  torch::NoGradGuard no_grad;
  size_t first = 0;
  for (auto& [name, weights] : parameters_) {
    torch::Tensor gradient = torch::empty(weights.sizes(), torch::kFloat32);
    const auto count = static_cast<size_t>(weights.numel());
    private_sum_->Read(first, expected, absl::MakeSpan(gradient.data_ptr<float>(), count));
    weights.mutable_grad() = gradient;
    first += count;
  }
}

void Training::Report(int epoch, int64_t batch, int64_t images_of_epoch, const TrainProgressFn& progress) const {
  if (!progress) {
    return;
  }
  const double seconds = SecondsSince(started_);
  const double rate = static_cast<double>(images_seen_) / std::max(seconds, 1e-9);
  // A private epoch may see an image twice, or none in its first steps.
  const int64_t left = Images() * (options_.epochs - epoch) + std::max<int64_t>(Images() - images_of_epoch, 0);
  progress({epoch, options_.epochs, batch, batches_,
            loss_sum_ / static_cast<double>(std::max<int64_t>(images_of_epoch, 1)), rate,
            rate > 0 ? static_cast<double>(left) / rate : 0});
}

absl::Status Training::RunEpoch(int epoch, const TrainProgressFn& progress) {
  const std::vector<size_t> order =
      Random({options_.seed, kShuffle, static_cast<uint64_t>(epoch)}).Permutation(set_.images.size());
  loss_sum_ = 0;
  int64_t done = 0;
  for (size_t b = 0; b < batch_sizes_.size(); ++b) {
    const int64_t size = batch_sizes_[b];
    absl::StatusOr<double> loss = Step(epoch, order.data() + done, size);
    if (!loss.ok()) {
      return Annotate(loss.status(), fmt::format("epoch {}, batch {}", epoch, b + 1));
    }
    loss_sum_ += *loss;
    done += size;
    images_seen_ += size;
    Report(epoch, static_cast<int64_t>(b) + 1, done, progress);
  }
  return absl::OkStatus();
}

absl::Status Training::RunPrivateEpoch(int epoch, const TrainProgressFn& progress) {
  loss_sum_ = 0;
  int64_t done = 0;
  for (int64_t b = 0; b < batches_; ++b) {
    const PrivateStep step = {static_cast<uint32_t>(epoch), static_cast<uint32_t>(b)};
    private_sum_->Clear();
    for (const uint32_t patient : PoissonSample(images_of_patients_.size(), static_cast<uint64_t>(options_.batch_size),
                                                *options_.privacy->key, step)) {
      const std::vector<size_t>& images = images_of_patients_[patient];
      CLOISTER_RETURN_IF_ERROR(AddPatient(epoch, images));
      done += static_cast<int64_t>(images.size());
      images_seen_ += static_cast<int64_t>(images.size());
    }
    TakePrivateGradient(step);
    Descend();
    Report(epoch, b + 1, done, progress);
  }
  // As if every image had been seen once, which is what the means are taken over.
  loss_sum_ *= static_cast<double>(Images()) / static_cast<double>(std::max<int64_t>(done, 1));
  return absl::OkStatus();
}

absl::StatusOr<TrainResult> Training::Run(const Bytes& initial_model, const std::filesystem::path& checkpoint,
                                          const TrainProgressFn& progress) {
  started_ = SteadyClock::now();
  CLOISTER_RETURN_IF_ERROR(Begin(initial_model));
  if (!checkpoint.empty()) {
    Resume(checkpoint);
  }
  TrainResult result;
  result.resumed_epochs = epochs_done_;
  started_ = SteadyClock::now();
  SteadyClock::time_point kept = started_;
  while (epochs_done_ < options_.epochs) {
    CLOISTER_RETURN_IF_ERROR(Private() ? RunPrivateEpoch(epochs_done_ + 1, progress)
                                       : RunEpoch(epochs_done_ + 1, progress));
    if (++epochs_done_ == 1) {
      loss_first_epoch_ = loss_sum_ / static_cast<double>(Images());
    }
    if (!checkpoint.empty() && epochs_done_ < options_.epochs && SecondsSince(kept) >= options_.checkpoint_seconds) {
      CLOISTER_RETURN_IF_ERROR(Keep(checkpoint));
      kept = SteadyClock::now();
    }
  }
  for (const auto& [name, tensor] : network_->State()) {
    if (!torch::isfinite(tensor).all().item<bool>()) {
      return absl::OutOfRangeError("after the last epoch, '" + name + "' has a value that is not finite");
    }
  }
  CLOISTER_ASSIGN_OR_RETURN(result.model, SaveWeights(*network_));
  result.samples = Private() ? static_cast<int64_t>(images_of_patients_.size()) : Images();
  result.batches = batches_;
  result.loss_sum = Private() ? 0 : loss_sum_;
  result.loss_first_epoch = loss_first_epoch_;
  result.loss_last_epoch = loss_sum_ / static_cast<double>(Images());
  result.seconds = SecondsSince(started_);
  result.images_per_second = result.seconds > 0 ? static_cast<double>(images_seen_) / result.seconds : 0;
  return result;
}

}  // namespace

absl::StatusOr<TrainResult> Train(const ModelSpec& spec, const Bytes& initial_model, const TrainingSet& set,
                                  const TrainOptions& options, const std::filesystem::path& checkpoint,
                                  const TrainProgressFn& progress) {
  CLOISTER_RETURN_IF_ERROR(CheckTraining(set, options));
  if (spec.architecture != "torchscript" && set.channels != spec.input_channels) {
    return absl::InvalidArgumentError(
        fmt::format("training: images of {} channels, a network for {}", set.channels, spec.input_channels));
  }
  // A foreign module may throw anything; our own networks only what a wrong size causes.
  return Guard("training", absl::StatusCode::kInvalidArgument, [&]() -> absl::StatusOr<TrainResult> {
    return Training(spec, set, options).Run(initial_model, checkpoint, progress);
  });
}

absl::StatusOr<InitialModel> MakeInitialModel(const ModelSpec& spec) {
  CLOISTER_ASSIGN_OR_RETURN(std::unique_ptr<Network> network, CreateNetwork(spec));
  return Guard("initial weights", absl::StatusCode::kInternal, [&]() -> absl::StatusOr<InitialModel> {
    if (spec.architecture != "torchscript") {
      CLOISTER_RETURN_IF_ERROR(InitializeWeights(*network, spec.init, spec.seed));
    }
    InitialModel initial;
    for (const auto& [name, tensor] : network->State()) {
      initial.parameters += tensor.numel();
    }
    CLOISTER_ASSIGN_OR_RETURN(initial.model, SaveWeights(*network));
    return initial;
  });
}

void SetComputeThreads(int threads) {
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(/*enabled=*/true, /*warn_only=*/false);
  // Every batch allocates and frees the same large blocks; giving them back to the kernel each time costs a page fault
  // per 4 KiB.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

}  // namespace cloister::models
