// SPDX-License-Identifier: Apache-2.0
#include "protocols/plan/documents.h"

#include <nlohmann/json.hpp>

#include "protocols/plan/json_text.h"

namespace cloister::plan {
namespace {

Digest ReadDigest(StrictYaml& yaml, const std::string& key) {
  const absl::StatusOr<Digest> digest = Digest::FromHex(yaml.Text(key));
  if (!digest.ok()) yaml.Fail(key, std::string(digest.status().message()));
  return digest.ok() ? *digest : Digest();
}

template <typename IdType>
IdType ReadId(StrictYaml& yaml, const std::string& key) {
  const absl::StatusOr<IdType> id = IdType::Parse(yaml.Text(key));
  if (!id.ok()) yaml.Fail(key, std::string(id.status().message()));
  return id.ok() ? *id : IdType();
}

GateResult ReadGateResult(StrictYaml yaml) {
  GateResult result;
  result.rule = yaml.Text("rule");
  result.model_id = yaml.Text("model_id");
  result.scope = yaml.Text("scope");
  result.verdict = yaml.OneOf("verdict", {"pass", "fail", "not_estimable"});
  result.detail = yaml.Text("detail");
  return result;
}

SiteResult ReadSiteResult(StrictYaml yaml) {
  SiteResult result;
  result.site = ReadId<SiteId>(yaml, "site");
  result.model_id = yaml.Text("model_id");
  result.summary = yaml.Text("summary");
  return result;
}

ReleaseMember ReadMember(StrictYaml yaml) {
  ReleaseMember member;
  member.id = yaml.Text("id");
  if (const absl::Status status = CheckIdentifier(member.id, "model id"); !status.ok()) {
    yaml.Fail("id", std::string(status.message()));
  }
  member.model = ReadDigest(yaml, "model");
  member.size_bytes = yaml.Uint64("size_bytes");
  return member;
}

// One document has one digest: what a party signs must be what we would have written.
absl::Status CheckCanonical(const Bytes& canonical, const Bytes& document, const std::string& what) {
  if (canonical == document) return absl::OkStatus();
  return absl::InvalidArgumentError("the " + what + " is not in its canonical form");
}

}  // namespace

Bytes AcceptanceDocument(const Acceptance& acceptance) {
  return JsonText({{"plan", acceptance.plan.hex()},
                   {"site", acceptance.site.value()},
                   {"sealing_key", HexEncode(acceptance.sealing_key)},
                   {"graph_commitment", acceptance.graph_commitment.hex()}});
}

absl::StatusOr<Acceptance> ParseAcceptance(const Bytes& document) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml yaml, StrictYaml::Parse(document, "acceptance"));
  Acceptance acceptance;
  acceptance.plan = ReadDigest(yaml, "plan");
  acceptance.site = ReadId<SiteId>(yaml, "site");
  const absl::StatusOr<Bytes> key = HexDecode(yaml.Text("sealing_key"));
  if (!key.ok() || key->size() != 32) yaml.Fail("sealing_key", "a sealing key has 32 bytes in hexadecimal");
  acceptance.graph_commitment = ReadDigest(yaml, "graph_commitment");
  CLOISTER_RETURN_IF_ERROR(yaml.Finish());
  acceptance.sealing_key = *key;
  CLOISTER_RETURN_IF_ERROR(CheckCanonical(AcceptanceDocument(acceptance), document, "acceptance"));
  return acceptance;
}

Bytes ReleaseDocument(const ReleaseManifest& manifest) {
  nlohmann::json json = {
      {"release", manifest.id.value()},
      {"version", manifest.version},
      {"device_uid", manifest.device_uid},
      {"job", manifest.job.value()},
      {"plan", manifest.plan.hex()},
      {"task", nlohmann::json::parse(TaskJson(manifest.task))},
      {"architecture", manifest.architecture},
      {"members", nlohmann::json::array()},
      {"combiner", manifest.combiner},
      {"operating_point", manifest.operating_point},
      {"operating_point_rule", manifest.operating_point_rule},
      {"gates", nlohmann::json::array()},
      {"results", nlohmann::json::array()},
      {"sites", manifest.sites},
      {"rounds", manifest.rounds},
      {"code_version", manifest.code_version},
      {"published", manifest.published},
  };
  for (const ReleaseMember& member : manifest.members) {
    json["members"].push_back({{"id", member.id}, {"model", member.model.hex()}, {"size_bytes", member.size_bytes}});
  }
  for (const GateResult& gate : manifest.gates) {
    json["gates"].push_back({{"rule", gate.rule},
                             {"model_id", gate.model_id},
                             {"scope", gate.scope},
                             {"verdict", gate.verdict},
                             {"detail", gate.detail}});
  }
  for (const SiteResult& result : manifest.results) {
    json["results"].push_back(
        {{"site", result.site.value()}, {"model_id", result.model_id}, {"summary", result.summary}});
  }
  return JsonText(json);
}

absl::StatusOr<ReleaseManifest> ParseRelease(const Bytes& document) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml yaml, StrictYaml::Parse(document, "release"));
  ReleaseManifest manifest;
  manifest.id = ReadId<ReleaseId>(yaml, "release");
  manifest.version = yaml.Text("version");
  manifest.device_uid = yaml.Text("device_uid");
  manifest.job = ReadId<JobId>(yaml, "job");
  manifest.plan = ReadDigest(yaml, "plan");
  manifest.task = ReadTask(yaml.Map("task"));
  manifest.architecture = yaml.Text("architecture");
  for (const StrictYaml& member : yaml.MapList("members")) manifest.members.push_back(ReadMember(member));
  if (manifest.members.empty() || manifest.members.size() > 100) yaml.Fail("members", "a release has 1 to 100 members");
  manifest.combiner = yaml.OneOf("combiner", {"mean_probability", "mean_logit"});
  manifest.operating_point = yaml.Real("operating_point", 0, 1);
  manifest.operating_point_rule = yaml.Text("operating_point_rule");
  for (const StrictYaml& gate : yaml.MapList("gates")) manifest.gates.push_back(ReadGateResult(gate));
  for (const StrictYaml& result : yaml.MapList("results")) manifest.results.push_back(ReadSiteResult(result));
  manifest.sites = yaml.TextList("sites");
  manifest.rounds = static_cast<int>(yaml.Int("rounds", 0, 1'000'000));
  manifest.code_version = yaml.Text("code_version");
  manifest.published = yaml.Text("published");
  CLOISTER_RETURN_IF_ERROR(yaml.Finish());
  CLOISTER_RETURN_IF_ERROR(CheckCanonical(ReleaseDocument(manifest), document, "release manifest"));
  return manifest;
}

}  // namespace cloister::plan
