// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/egress_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "eval/federated/site_summary.h"
#include "protocols/base/file.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/sums.h"
#include "protocols/wire/limits.h"
#include "protocols/wire/message_bytes.h"
#include "protocols/wire/names.h"
#include "site_agent/agent/status_text.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr size_t kEnvelope = 1024;
constexpr uint64_t kSafetensorsOverhead = uint64_t{16} << 20;  // header of a model file, and the seal

// What a message of each type may weigh at most, and what about it goes into the audit log.
struct Declaration {
  size_t most_bytes = 0;
  std::string subject;
  Json detail;
};

struct Declare {
  Declaration operator()(const wire::ExperimentAnswer& message) const {
    Json detail = {{"accepted", message.acceptance.has_value()}};
    if (message.refusal) {
      detail["reason"] = wire::NameOf(*message.refusal);
    }
    return {kEnvelope + wire::kMaxCertificateBytes + 4096, message.job.value(), detail};
  }
  Declaration operator()(const wire::BaselineReady& message) const {
    return {kEnvelope + wire::kMaxSites * (wire::kMaxSealedKeyBytes + 128), message.job.value(),
            Json{{"shared", message.blob.has_value()}, {"recipients", message.keys.size()}}};
  }
  Declaration operator()(const wire::GraphReveal& message) const {
    return {kEnvelope, message.job.value(), Json::object()};
  }
  Declaration operator()(const wire::SumMessage& message) const {
    return {kEnvelope + wire::kMaxSecaggMessageBytes, message.job.value(),
            Json{{"kind", wire::NameOf(message.kind)},
                 {"round", message.round},
                 {"attempt", message.attempt},
                 {"phase", wire::NameOf(message.phase)}}};
  }
  Declaration operator()(const wire::SiteSummary& message) const {
    return {kEnvelope + message.models.size() * (16 * 1024 + 128), message.job.value(),
            Json{{"kind", wire::NameOf(message.kind)}, {"models", message.models.size()}}};
  }
  Declaration operator()(const wire::ReleaseAnswer& message) const {
    return {kEnvelope, message.release.value(), Json{{"state", wire::NameOf(message.state)}}};
  }
  Declaration operator()(const wire::SiteFailure& message) const {
    Json detail = {{"reason", wire::NameOf(message.reason)}, {"round", message.round}, {"attempt", message.attempt}};
    if (message.kind) {
      detail["kind"] = wire::NameOf(*message.kind);
    }
    if (message.about) {
      detail["about"] = message.about->value();
    }
    return {kEnvelope, message.job.value(), detail};
  }
};

}  // namespace

void EgressGate::AllowFiles(const JobId& job, const plan::Experiment& plan) {
  FileSizes sizes;
  sizes.update = plan.model.parameters * static_cast<uint64_t>(plan.privacy.ring_bits) / 8;
  // A validation covers at most every round's model and every site's baseline, each on two splits.
  const uint64_t slots = 2 * (static_cast<uint64_t>(plan.algorithm.rounds) + 1 + wire::kMaxModels);
  sizes.most_counters = 8 * std::max<uint64_t>(plan::kTrainCounters, plan::HistogramCounters(plan) * slots);
  // A baseline is trained without noise, so with differential privacy none leaves.
  if (!plan.privacy.differential_privacy.has_value()) {
    sizes.most_baseline = plan.model.parameters * sizeof(float) + kSafetensorsOverhead;
  }
  std::lock_guard lock(mutex_);
  files_[job] = sizes;
}

void EgressGate::ForgetJob(const JobId& job) {
  std::lock_guard lock(mutex_);
  files_.erase(job);
}

absl::Status EgressGate::CheckMessage(const wire::SiteMessage& message, size_t size) const {
  const Declaration declared = std::visit(Declare(), message);
  if (size > declared.most_bytes) {
    return absl::PermissionDeniedError(fmt::format("egress: a {} of {} bytes; at most {} may leave",
                                                   wire::NameOf(message), size, declared.most_bytes));
  }
  if (const auto* summary = std::get_if<wire::SiteSummary>(&message)) {
    for (const wire::ModelSummary& model : summary->models) {
      const absl::Status valid = eval::ParseSummary(model.summary).status();
      if (!valid.ok()) {
        return absl::PermissionDeniedError(
            fmt::format("egress: the summary of {} is not in its declared form: {}", model.model_id, TextOf(valid)));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status EgressGate::CheckFile(const wire::BlobHeader& header, const std::filesystem::path& file) const {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(file, error);
  if (error) {
    return ErrnoStatus(error.value(), "cannot read", file);
  }
  FileSizes sizes;
  {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(header.job);
    if (found == files_.end()) {
      return absl::PermissionDeniedError(
          fmt::format("egress: no plan of job {} is accepted here, so no file of it may leave", header.job.value()));
    }
    sizes = found->second;
  }
  const bool masked = header.purpose == wire::BlobPurpose::kMaskedVector &&
                      (size == sizes.update || (size % 8 == 0 && size > 0 && size <= sizes.most_counters));
  const bool baseline = header.purpose == wire::BlobPurpose::kSealedBaseline && size > 0 && size <= sizes.most_baseline;
  if (size != header.size_bytes || (!masked && !baseline)) {
    return absl::PermissionDeniedError(fmt::format("egress: a {} of {} bytes is not what the plan of job {} has",
                                                   wire::NameOf(header.purpose), size, header.job.value()));
  }
  return absl::OkStatus();
}

absl::Status EgressGate::Record(const std::string& subject, const std::string& type, uint64_t size,
                                const Digest& digest, const std::string& detail) {
  audit::Event event;
  event.time = clock_->Now();
  event.actor = site_.value();
  event.action = "egress";
  event.subject = subject;
  event.type = type;
  event.size_bytes = size;
  event.digest = digest;
  event.detail = detail;
  return Annotate(audit_->Append(event).status(), "nothing leaves without its audit record");
}

absl::Status EgressGate::Submit(const wire::SiteMessage& message, const transport::StopSource& stop) {
  const Bytes bytes = wire::SerializeSiteMessage(message);
  CLOISTER_RETURN_IF_ERROR(CheckMessage(message, bytes.size()));
  const Declaration declared = std::visit(Declare(), message);
  CLOISTER_RETURN_IF_ERROR(Record(declared.subject, std::string(wire::NameOf(message)), bytes.size(),
                                  crypto::Sha256(bytes), declared.detail.dump()));
  return link_->Submit(message, stop);
}

absl::Status EgressGate::Upload(const wire::BlobHeader& header, const std::filesystem::path& file,
                                const transport::StopSource& stop) {
  CLOISTER_RETURN_IF_ERROR(CheckFile(header, file));
  std::string type(wire::NameOf(header.purpose));
  std::transform(type.begin(), type.end(), type.begin(), [](char c) { return static_cast<char>(tolower(c)); });
  CLOISTER_RETURN_IF_ERROR(Record(header.job.value(), type, header.size_bytes, header.digest, ""));
  return link_->Upload(header, file, stop);
}

}  // namespace cloister::site
