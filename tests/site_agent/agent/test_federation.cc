// SPDX-License-Identifier: Apache-2.0
#include "tests/site_agent/agent/test_federation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "eval/federated/site_summary.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/guards.h"
#include "protocols/plan/next_model.h"
#include "protocols/plan/sum_result.h"
#include "protocols/secagg/ring.h"
#include "protocols/update/model_state.h"

namespace cloister::site {
namespace {

constexpr char kTask[] = R"yaml(
task: chest_pneumonia
title_en: Pneumonia
title_zh: 肺炎
condition_en: pneumonia
condition_zh: 肺炎
selection: {modalities: [CR, DX]}
preprocessing: {rows: 32, columns: 32, channels: 1, window: percentile, lower_percentile: 0.5, upper_percentile: 99.5,
                fit: letterbox}
label: {column: label, positive: pneumonia, negative: normal}
head: binary
loss: bce
balance_classes: true
flip_horizontal: true
finding: {value: "233604007", scheme: SCT, meaning: Pneumonia}
procedure: {value: "399208008", scheme: SCT, meaning: Plain X-ray of chest}
)yaml";

constexpr char kExperiment[] = R"yaml(
experiment: test
task: chest_pneumonia
model: {architecture: resnet18, init: he_normal, seed: 7}
algorithm: {name: fedavg, rounds: 2, local_epochs: 1, batch_size: 16, optimizer: {name: sgd, lr: 0.1}, seed: 5}
sites: {minimum: 3, maximum: 8, invitation: 1s, deadline: 1m}
privacy: {secure_aggregation: required, clip: 1.0, weight_cap: 1000, minimum_cell: 10}
evaluation: {tuning_share: 0.2, test_share: 0.3, histogram_bins: 20, split_seed: 1}
gates:
  - {metric: auc, at_least: 0.6, per_site: true, statistic: estimate}
ensemble: {members: 1, candidates_last: 2, combiner: mean_probability, operating_point: youden}
)yaml";

}  // namespace

TestFederation::TestFederation(const std::string& experiment_yaml) {
  const auto layout = update::Layout::Create({{"a.weight", {40, 50}}, {"b.bias", {7}}}).value();
  std::vector<float> weights(layout.parameters());
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = 0.001f * static_cast<float>(i % 100);
  }
  initial_model = update::EncodeModelState(layout, weights).value();
  plan = plan::ParseExperiment(experiment_yaml.empty() ? kExperiment : experiment_yaml, "test.yaml",
                               [](const std::string&) { return absl::StatusOr<std::string>(kTask); })
             .value();
  plan.model.initial_model = crypto::Sha256(initial_model);
  plan.model.parameters = layout.parameters();
  Freeze();
  published[plan.model.initial_model] = initial_model;
  for (int i = 1; i <= 3; ++i) {
    sites.push_back(std::make_unique<SiteHarness>(testing::TestConsortium::SiteName(i).value(), &pki, &clock,
                                                  folder.path() / std::to_string(i), &published));
    for (int patient = 0; patient < 30 + 10 * i; ++patient) {
      sites.back()->pacs.Add(1000 * i + patient, patient % (i + 1) == 0);
    }
    (void)MakeDirectories(folder.path() / std::to_string(i));
    sites.back()->Start();
  }
}

void TestFederation::Freeze() {
  plan_document = plan::PlanDocument(plan);
  plan_digest = crypto::Sha256(plan_document);
}

wire::ExperimentOffer TestFederation::Offer() {
  const crypto::Signer& sponsor = pki.an_operator();
  wire::ExperimentOffer offer;
  offer.job = job;
  offer.plan = {plan_document, sponsor.Sign(plan::kPlanDomain, plan_document), sponsor.certificate().der()};
  return offer;
}

bool TestFederation::Invite() {
  bool all = true;
  for (auto& site : sites) {
    site->Step(job, {Offer()});
    const wire::ExperimentAnswer* answer = site->Last<wire::ExperimentAnswer>();
    all = all && answer != nullptr && answer->acceptance.has_value();
  }
  return all;
}

wire::BaselineTask TestFederation::BaselineItem() const {
  wire::BaselineTask task;
  task.job = job;
  for (const auto& site : sites) {
    task.acceptances.push_back(*site->Last<wire::ExperimentAnswer>()->acceptance);
  }
  return task;
}

wire::ModelRef TestFederation::GlobalModel(int round, const Digest& blob) const {
  wire::ModelRef model;
  model.id = plan::RoundModelId(round);
  model.blob = blob;
  model.size_bytes = published.at(blob).size();
  return model;
}

wire::ModelRef TestFederation::BaselineModel(size_t origin, size_t reader) const {
  const wire::BaselineReady& ready = *sites[origin]->Last<wire::BaselineReady>();
  wire::ModelRef model;
  model.id = plan::BaselineModelId(sites[origin]->id.value());
  model.kind = wire::ModelKind::kBaseline;
  model.blob = *ready.blob;
  model.size_bytes = published.at(*ready.blob).size();
  model.origin_site = sites[origin]->id;
  for (const wire::SealedKey& key : ready.keys) {
    if (key.site == sites[reader]->id) {
      model.sealed_key = key.sealed;
    }
  }
  return model;
}

TestFederation::Total TestFederation::RunSum(wire::SumKind kind, uint32_t round, uint32_t attempt,
                                             const std::function<std::vector<wire::ModelRef>(size_t)>& models_of,
                                             const Between& between) {
  std::vector<plan::SumModel> models;
  for (const wire::ModelRef& model : models_of(0)) {
    models.push_back({model.id, model.kind == wire::ModelKind::kBaseline, model.blob});
  }
  const plan::SumName name = {job, static_cast<plan::SumKind>(kind), round, attempt};
  secagg::ServerInputs inputs{{}, pki.ca(), {}, clock.Now()};
  if (kind == wire::SumKind::kTrain) {
    const auto global = update::ParseModelState(published.at(models[0].blob)).value();
    inputs.params = plan::SumParamsOf(plan, plan_digest, name, models, global.values);
  } else {
    inputs.params = plan::SumParamsOf(plan, plan_digest, name, models);
  }
  for (const auto& site : sites) {
    inputs.expected.push_back(site->id);
  }
  secagg::ServerSession server = secagg::ServerSession::Create(std::move(inputs)).value();

  std::vector<std::vector<Digest>> vectors(sites.size());
  for (wire::SumPhase phase : {wire::SumPhase::kAdvertise, wire::SumPhase::kShare, wire::SumPhase::kMask,
                               wire::SumPhase::kConsistency, wire::SumPhase::kUnmask}) {
    for (size_t i = 0; i < sites.size(); ++i) {
      if (between) {
        between(i, phase);
      }
      wire::SumStep step;
      step.job = job;
      step.kind = kind;
      step.round = round;
      step.attempt = attempt;
      step.phase = phase;
      step.models = models_of(i);
      if (phase != wire::SumPhase::kAdvertise) {
        const std::vector<Bytes> messages = server.MessagesFor(sites[i]->id);
        if (messages.size() + 1 < static_cast<size_t>(phase)) {
          continue;  // left out earlier
        }
        step.message = messages.back();
      }
      sites[i]->Step(job, {step});
      const wire::SumMessage* said = sites[i]->Last<wire::SumMessage>();
      if (said == nullptr || said->phase != phase || said->round != round || said->kind != kind) {
        continue;  // dropped out
      }
      const absl::Status taken = server.Handle(sites[i]->id, said->message);
      EXPECT_TRUE(taken.ok()) << taken;
      if (phase == wire::SumPhase::kMask) {
        vectors[i] = said->vectors;
      }
    }
    const absl::Status closed = server.Close();
    EXPECT_TRUE(closed.ok()) << closed;
    if (!closed.ok()) {
      return {};
    }
  }

  Total total;
  const std::vector<secagg::VectorSpec> specs = plan::SumVectors(plan, static_cast<plan::SumKind>(kind), models);
  const secagg::Unmasker& unmasker = **server.unmasker();
  const std::vector<SiteId> survivors = server.survivors();
  total.published = server.published().value();
  for (size_t v = 0; v < specs.size(); ++v) {
    const bool narrow = secagg::HeldBits(specs[v].ring_bits) == 32;
    if (narrow) {
      total.update.assign(specs[v].length, 0);
    } else {
      total.counters.assign(specs[v].length, 0);
    }
    for (size_t i = 0; i < sites.size(); ++i) {
      if (std::find(survivors.begin(), survivors.end(), sites[i]->id) == survivors.end()) {
        continue;
      }
      const Bytes& bytes = sites[i]->link.uploaded.at(vectors[i][v]);
      EXPECT_EQ(bytes.size(), specs[v].length * specs[v].ring_bits / 8);
      narrow ? secagg::AddPacked(bytes.data(), specs[v].ring_bits, absl::MakeSpan(total.update))
             : secagg::AddPacked(bytes.data(), 64, absl::MakeSpan(total.counters));
    }
    const absl::Status unmasked = narrow ? unmasker.Apply(v, 0, absl::MakeSpan(total.update))
                                         : unmasker.Apply(v, 0, absl::MakeSpan(total.counters));
    EXPECT_TRUE(unmasked.ok()) << unmasked;
  }
  return total;
}

wire::ModelRef TestFederation::PublishModel(const Total& total, uint32_t round, const Digest& parent) {
  const std::filesystem::path path = folder.path() / "published";
  const auto publish = [&] {
    const Bytes bytes = ReadFile(path).value();
    const Digest digest = crypto::Sha256(bytes);
    published[digest] = bytes;
    return digest;
  };
  const auto bytes_of = [](const auto& values) {
    return ByteView(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
  };
  plan::SumResultHeader header{total.published.ctx2, total.published.survivors, total.published.tag,
                               plan::SumVectors(plan, plan::SumKind::kTrain, {})};
  {
    const auto writer = plan::SumResultWriter::Create(path, header);
    EXPECT_TRUE(writer->Write(0, 0, bytes_of(total.update)).ok() && writer->Write(1, 0, bytes_of(total.counters)).ok());
  }
  wire::SumOrigin origin{parent, publish(), round};
  const std::filesystem::path parent_path = folder.path() / "parent";
  EXPECT_TRUE(WriteFileAtomically(parent_path, published.at(parent)).ok());
  const auto global = update::MappedModel::Open(parent_path);
  const secagg::RingView update{32, bytes_of(total.update)};
  std::optional<update::MappedModel> before;
  if (const auto wanted = plan::ModelBefore(plan, *global).value(); wanted.has_value()) {
    const std::filesystem::path before_path = folder.path() / "before";
    EXPECT_TRUE(WriteFileAtomically(before_path, published.at(*wanted)).ok());
    before = update::MappedModel::Open(before_path).value();
  }
  const auto verdict =
      plan::JudgeAggregate(plan, *global, before.has_value() ? &*before : nullptr, update, total.counters);
  EXPECT_TRUE(verdict.ok()) << verdict.status();
  const auto lineage = plan::NextLineage(plan, *global, parent, *verdict);
  EXPECT_TRUE(lineage.ok()) << lineage.status();
  EXPECT_TRUE(plan::WriteNextModel(path, plan, *global, update, total.counters, *lineage).ok());
  wire::ModelRef model = GlobalModel(static_cast<int>(round), publish());
  model.made_by = origin;
  return model;
}

wire::ReleaseOffer TestFederation::Release(const std::vector<std::pair<std::string, Digest>>& members,
                                           double operating_point, const std::string& id) {
  plan::ReleaseManifest manifest;
  manifest.id = ReleaseId::Parse(id).value();
  manifest.version = "1.0.0.1";
  manifest.device_uid = "2.25.1";
  manifest.job = job;
  manifest.plan = plan_digest;
  manifest.task = plan.task;
  manifest.architecture = plan.model.architecture;
  for (const auto& [name, blob] : members) {
    manifest.members.push_back({name, blob, published.at(blob).size()});
  }
  manifest.combiner = plan.ensemble.combiner;
  manifest.operating_point = operating_point;
  manifest.operating_point_rule = "youden";
  for (const auto& site : sites) {
    manifest.sites.push_back(site->id.value());
    eval::SiteSummary summary;  // small cells: nothing is said
    summary.auc = summary.auc_local_only = summary.auc_difference = eval::Suppressed{};
    summary.sensitivity = summary.specificity = eval::Suppressed{};
    summary.model = manifest.members.front().model;
    summary.verdicts.assign(plan.gates.size(), eval::Outcome::kNotEstimable);
    manifest.results.push_back({site->id, manifest.members.front().id, eval::SummaryJson(summary)});
  }
  manifest.rounds = plan.algorithm.rounds;
  manifest.code_version = "0.1.0";
  manifest.published = "2026-04-11T00:00:00Z";
  const Bytes document = plan::ReleaseDocument(manifest);
  const crypto::Signer& signer = pki.coordinator();
  wire::ReleaseOffer offer;
  offer.job = job;
  offer.manifest = {document, signer.Sign(plan::kReleaseDomain, document), signer.certificate().der()};
  return offer;
}

}  // namespace cloister::site
