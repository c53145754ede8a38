// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/quantization_bench.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "eval/metrics/auc.h"
#include "models/predictor.h"
#include "models/trainer.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/crypto/seeded_stream.h"
#include "protocols/plan/next_model.h"
#include "protocols/plan/quantization.h"
#include "protocols/plan/sums.h"
#include "protocols/secagg/ring.h"
#include "protocols/update/aggregation.h"
#include "protocols/update/model_state.h"
#include "protocols/update/quantizer.h"
#include "tests/bench/curve_svg.h"
#include "tests/bench/film_sets.h"

namespace cloister::bench {
namespace {

constexpr uint64_t kWeightCap = 10'000;

// One way to average.
struct Variant {
  std::string name;
  int ring_bits = 0;  // 0: floats
  plan::Privacy privacy;
  uint64_t seed = 1;  // of shuffles and augmentation
};

std::vector<Variant> Variants() {
  plan::Privacy defaults;
  plan::Privacy fitted;
  fitted.clip = 0.5;
  fitted.tensor_clips = {{"*.running_var", 4}, {"*.running_mean", 2}};
  // The second is the yardstick: what another order of the same images does to a model.
  return {{"float", 0, defaults, 1},
          {"float, other shuffles", 0, defaults, 2},
          {"32 bits", 32, defaults, 1},
          {"24 bits", 24, fitted, 1},
          {"16 bits", 16, fitted, 1}};
}

struct RoundResult {
  double auc = 0;       // mean over the sites' test films
  double loss = 0;      // mean log loss of the same
  double distance = 0;  // |w - w of floats| / |w of floats - initial w|
};

absl::StatusOr<RoundResult> Evaluate(const models::ModelSpec& spec, const Bytes& model,
                                     const std::vector<FilmSite>& sites, int side) {
  CLOISTER_ASSIGN_OR_RETURN(const auto predictor, models::Predictor::Create(spec, model));
  RoundResult result;
  for (const FilmSite& site : sites) {
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<double> scores, predictor->Predict(site.test.Batch(side)));
    eval::Cases cases;
    double loss = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      const bool positive = site.test.labels[i] > 0;
      cases.push_back({static_cast<uint32_t>(i), positive, scores[i]});
      loss -= std::log(std::max(positive ? scores[i] : 1 - scores[i], 1e-12));
    }
    const eval::Estimable<double> auc = eval::Auc(cases);
    if (!auc.ok()) return absl::InternalError("a site's test films are of one class");
    result.auc += *auc / static_cast<double>(sites.size());
    result.loss += loss / static_cast<double>(scores.size() * sites.size());
  }
  return result;
}

// What a site's update does to the sum.
class Averager {
 public:
  static absl::StatusOr<Averager> Create(const Variant& variant, const update::Layout& layout, size_t sites) {
    Averager averager;
    averager.bits_ = variant.ring_bits;
    averager.exact_.resize(layout.parameters());
    if (variant.ring_bits == 0) return averager;
    plan::Experiment& experiment = averager.experiment_;
    experiment.algorithm.name = "fedavg";
    experiment.privacy = variant.privacy;
    experiment.privacy.ring_bits = variant.ring_bits;
    experiment.sites.maximum = static_cast<int>(sites);
    CLOISTER_ASSIGN_OR_RETURN(averager.map_, plan::QuantizerOf(experiment, layout));
    averager.sum_.resize(layout.parameters());
    return averager;
  }

  absl::Status Add(update::Weight weight, absl::Span<const float> local, absl::Span<const float> global,
                   const std::string& stream_name) {
    weights_ += weight.fixed();
    if (bits_ == 0) {
      for (size_t i = 0; i < local.size(); ++i) {
        exact_[i] += weight.omega() * (static_cast<double>(local[i]) - static_cast<double>(global[i]));
      }
      return absl::OkStatus();
    }
    auto stream = std::make_shared<crypto::SeededStream>(
        crypto::SecretBytes::CopyOf(crypto::Sha256("quantization bench").view()), stream_name);
    const auto words = [stream](uint64_t first, absl::Span<uint32_t> out) {
      stream->Seek(first * sizeof(uint32_t));
      stream->Fill(out.data(), out.size() * sizeof(uint32_t));
      return absl::OkStatus();
    };
    CLOISTER_ASSIGN_OR_RETURN(const update::UpdateQuantizer quantizer,
                              update::UpdateQuantizer::Create(*map_, weight, local, global, words));
    std::vector<uint32_t> residues(local.size());
    CLOISTER_RETURN_IF_ERROR(quantizer.Read(0, absl::MakeSpan(residues)));
    for (size_t i = 0; i < residues.size(); ++i) sum_[i] += residues[i];
    secagg::Reduce(bits_, absl::MakeSpan(sum_));
    return absl::OkStatus();
  }

  // Integers become the next model by the code of coordinator and sites; `folder` is for its files.
  absl::StatusOr<std::vector<float>> Finish(const update::ModelState& global, const std::filesystem::path& folder) {
    std::vector<float> next(exact_.size());
    if (bits_ == 0) {
      for (size_t i = 0; i < next.size(); ++i) next[i] = static_cast<float>(exact_[i] / update::SumOfOmega(weights_));
      CLOISTER_RETURN_IF_ERROR(update::FedAvg(global.values, absl::MakeSpan(next)));
      return next;
    }
    Bytes packed(sum_.size() * secagg::ElementBytes(bits_), '\0');
    secagg::Pack(absl::MakeConstSpan(sum_), bits_, packed.data());
    plan::TrainCounters counters;
    counters.weight = weights_;
    const std::filesystem::path before = folder / "quantization-before.safetensors";
    const std::filesystem::path after = folder / "quantization-after.safetensors";
    CLOISTER_RETURN_IF_ERROR(update::WriteModelState(before, global.layout, global.values));
    {
      CLOISTER_ASSIGN_OR_RETURN(const update::MappedModel mapped, update::MappedModel::Open(before));
      CLOISTER_RETURN_IF_ERROR(
          plan::WriteNextModel(after, experiment_, mapped, {bits_, packed}, plan::EncodeTrainCounters(counters))
              .status());
    }
    CLOISTER_ASSIGN_OR_RETURN(update::ModelState made, update::ReadModelState(after));
    std::filesystem::remove(before);
    std::filesystem::remove(after);
    return std::move(made.values);
  }

 private:
  int bits_ = 0;
  plan::Experiment experiment_;
  std::optional<update::QuantMap> map_;
  std::vector<uint32_t> sum_;
  std::vector<double> exact_;
  uint64_t weights_ = 0;
};

double Norm(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum);
}

using Models = std::vector<std::vector<float>>;  // by round

// What a round moves at most, by the kind of tensor: what a clip should lie above.
struct Moves {
  double weight = 0;
  double running_mean = 0;
  double running_var = 0;

  void Note(const update::Layout& layout, const std::vector<float>& local, const std::vector<float>& global) {
    for (const update::Tensor& tensor : layout.tensors()) {
      double& largest = update::FitsPattern(tensor.name, "*.running_var")    ? running_var
                        : update::FitsPattern(tensor.name, "*.running_mean") ? running_mean
                                                                             : weight;
      for (uint64_t i = tensor.offset; i < tensor.offset + tensor.elements; ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(local[i]) - static_cast<double>(global[i])));
      }
    }
  }
};

absl::StatusOr<std::vector<RoundResult>> RunVariant(const Variant& variant, const QuantizationOptions& options,
                                                    const std::vector<FilmSite>& sites, const Models& reference,
                                                    Models& made) {
  models::ModelSpec spec;
  CLOISTER_ASSIGN_OR_RETURN(const models::InitialModel initial, models::MakeInitialModel(spec));
  CLOISTER_ASSIGN_OR_RETURN(update::ModelState global, update::ParseModelState(initial.model));
  const std::vector<float> start = global.values;
  std::vector<RoundResult> results;
  for (int round = 1; round <= options.rounds; ++round) {
    CLOISTER_ASSIGN_OR_RETURN(Averager averager, Averager::Create(variant, global.layout, sites.size()));
    CLOISTER_ASSIGN_OR_RETURN(const Bytes model, update::EncodeModelState(global.layout, global.values));
    Moves moves;
    for (const FilmSite& site : sites) {
      models::TrainOptions training;
      training.seed = variant.seed * 1000 + static_cast<uint64_t>(round);
      // Adam's first steps are signs of gradients, so the least difference of two models becomes a large one.
      training.optimizer.kind = models::OptimizerKind::kSgd;
      training.optimizer.lr = 0.003;
      training.epochs = options.epochs;
      training.batch_size = 8;
      training.augment = true;
      CLOISTER_ASSIGN_OR_RETURN(const models::TrainResult trained,
                                models::Train(spec, model, site.train.TrainingSet(options.side), training));
      CLOISTER_ASSIGN_OR_RETURN(const update::ModelState local, update::ParseModelState(trained.model));
      moves.Note(global.layout, local.values, global.values);
      CLOISTER_ASSIGN_OR_RETURN(const update::Weight weight,
                                update::Weight::FromSamples(site.train.labels.size(), kWeightCap));
      CLOISTER_RETURN_IF_ERROR(
          averager.Add(weight, local.values, global.values, fmt::format("{} {} {}", variant.name, site.name, round)));
    }
    CLOISTER_ASSIGN_OR_RETURN(global.values, averager.Finish(global, options.out));
    const std::vector<float>& next = global.values;
    made.push_back(next);
    CLOISTER_ASSIGN_OR_RETURN(const Bytes after, update::EncodeModelState(global.layout, global.values));
    CLOISTER_ASSIGN_OR_RETURN(RoundResult result, Evaluate(spec, after, sites, options.side));
    const std::vector<float>& floats = reference.empty() ? next : reference[made.size() - 1];
    result.distance = Norm(next, floats) / Norm(floats, start);
    fmt::print(stderr,
               "{}, round {}: AUC {:.4f}, loss {:.4f}, distance {:.3g}; moved at most: weights {:.3g}, running means "
               "{:.3g}, variances {:.3g}\n",
               variant.name, round, result.auc, result.loss, result.distance, moves.weight, moves.running_mean,
               moves.running_var);
    results.push_back(result);
  }
  return results;
}

absl::Status Run(const QuantizationOptions& options) {
  FilmOptions films;
  films.side = options.side;
  films.train = options.images;
  const bool phantoms = options.chest_xray.empty();
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<FilmSite> sites,
                            phantoms ? PhantomSites(films) : ChestXraySites(options.chest_xray, films));
  const std::string set = phantoms ? "phantoms" : "chest-xray";
  models::SetComputeThreads(options.threads);
  Panel auc{"AUC, mean over sites", false, {}};
  Panel loss{"log loss on the sites' test films", false, {}};
  Panel distance{"distance from the float model / its way so far", true, {}};
  std::string csv = "set,variant,round,auc,loss,distance\n";
  Models reference;
  for (const Variant& variant : Variants()) {
    Models made;
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<RoundResult> results,
                              RunVariant(variant, options, sites, reference, made));
    if (reference.empty()) reference = std::move(made);
    for (Panel* panel : {&auc, &loss, &distance}) panel->curves.push_back({variant.name, {}});
    for (size_t round = 0; round < results.size(); ++round) {
      const RoundResult& result = results[round];
      csv += fmt::format("{},\"{}\",{},{:.6f},{:.6f},{:.6g}\n", set, variant.name, round + 1, result.auc, result.loss,
                         result.distance);
      auc.curves.back().values.push_back(result.auc);
      loss.curves.back().values.push_back(result.loss);
      distance.curves.back().values.push_back(result.distance);
    }
  }
  const std::string title = fmt::format("Federated training of {} sites ({}), floats and integers", sites.size(), set);
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(options.out / ("quantization-" + set + ".csv"), csv));
  CLOISTER_RETURN_IF_ERROR(
      WriteFileAtomically(options.out / ("quantization-" + set + ".svg"), CurvesSvg(title, {auc, loss, distance})));
  fmt::print("{}", csv);
  return absl::OkStatus();
}

}  // namespace

int RunQuantization(const QuantizationOptions& options) {
  const absl::Status status = Run(options);
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", std::string(status.message()));
  return 1;
}

}  // namespace cloister::bench
