// SPDX-License-Identifier: Apache-2.0
// Facts as JSON: {"event": "sum_answered", "time_ms": ..., ...}. Stored facts must stay readable: names here are never
// changed.
#include "coordinator/rounds/events.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace cloister::coordinator {
namespace {

using nlohmann::json;

constexpr std::array<const char*, std::variant_size_v<Event>> kNames = {
    "site_known",  "site_accepted", "site_refused",     "baseline_done",   "sum_answered", "summary_came",
    "site_failed", "site_heard",    "release_answered", "phase_closed",    "sum_broken",   "sum_finished",
    "decided",     "published",     "work_failed",      "abort_requested", "tick",         "graph_revealed"};

json ToJson(const SumKey& sum) {
  return {{"kind", plan::SumKindName(sum.kind)}, {"round", sum.round}, {"attempt", sum.attempt}};
}

// Notes the first error; a reader that has failed gives empty values.
class Reader {
 public:
  explicit Reader(const json& object) : object_(object) {}

  template <typename T>
  T Get(const char* key) {
    const auto found = object_.find(key);
    if (found != object_.end()) {
      if constexpr (std::is_same_v<T, std::string>) {
        if (found->is_string()) {
          return found->template get<std::string>();
        }
      } else if constexpr (std::is_same_v<T, bool>) {
        if (found->is_boolean()) {
          return found->template get<bool>();
        }
      } else if (found->is_number_integer()) {
        return found->template get<T>();
      }
    }
    Note(absl::DataLossError(fmt::format("stored fact: {} is missing or of another type", key)));
    return T{};
  }
  template <typename IdType>
  IdType Id(const char* key) {
    absl::StatusOr<IdType> id = IdType::Parse(Get<std::string>(key));
    Note(id.status());
    return id.ok() ? *std::move(id) : IdType();
  }
  Digest Hash(const char* key) {
    const absl::StatusOr<Digest> digest = Digest::FromHex(Get<std::string>(key));
    Note(digest.status());
    return digest.ok() ? *digest : Digest();
  }
  template <typename Enum>
  Enum Number(const char* key, int most) {
    const int value = Get<int>(key);
    if (value < 1 || value > most) {
      Note(absl::DataLossError(fmt::format("stored fact: {} is {}", key, value)));
    }
    return static_cast<Enum>(value);
  }
  SumKey Sum() {
    const auto found = object_.find("sum");
    if (found == object_.end() || !found->is_object()) {
      Note(absl::DataLossError("stored fact: no sum"));
      return {};
    }
    Reader reader(*found);
    SumKey sum;
    const std::string kind = reader.Get<std::string>("kind");
    sum.kind = kind == "train"      ? plan::SumKind::kTrain
               : kind == "validate" ? plan::SumKind::kValidate
                                    : plan::SumKind::kCalibrate;
    sum.round = reader.Get<uint32_t>("round");
    sum.attempt = reader.Get<uint32_t>("attempt");
    if (kind != plan::SumKindName(sum.kind)) {
      Note(absl::DataLossError("stored fact: unknown kind of sum"));
    }
    Note(reader.status());
    return sum;
  }
  std::vector<std::string> Texts(const char* key) {
    std::vector<std::string> texts;
    const auto found = object_.find(key);
    if (found == object_.end() || !found->is_array()) {
      Note(absl::DataLossError(fmt::format("stored fact: {} is no list", key)));
      return texts;
    }
    for (const json& text : *found) {
      if (!text.is_string()) {
        Note(absl::DataLossError(fmt::format("stored fact: {} holds another type", key)));
        return {};
      }
      texts.push_back(text.get<std::string>());
    }
    return texts;
  }
  bool Has(const char* key) const { return object_.contains(key); }
  const absl::Status& status() const { return status_; }
  void Note(const absl::Status& status) {
    if (status_.ok() && !status.ok()) {
      status_ = absl::DataLossError(status.message());
    }
  }

 private:
  const json& object_;
  absl::Status status_;
};

// ---- one pair for each event ----

void Write(const SiteKnown& e, json& j) {
  j["site"] = e.site.value();
}
void Read(Reader& r, SiteKnown& e) {
  e.site = r.Id<SiteId>("site");
}

void Write(const SiteAccepted& e, json& j) {
  j["site"] = e.site.value();
}
void Read(Reader& r, SiteAccepted& e) {
  e.site = r.Id<SiteId>("site");
}

void Write(const SiteRefused& e, json& j) {
  j["site"] = e.site.value();
  j["reason"] = static_cast<int>(e.reason);
}
void Read(Reader& r, SiteRefused& e) {
  e.site = r.Id<SiteId>("site");
  e.reason = r.Number<wire::RefusalReason>("reason", static_cast<int>(wire::RefusalReason::kDeclined));
}

void Write(const BaselineDone& e, json& j) {
  j["site"] = e.site.value();
  j["shared"] = e.shared;
}
void Read(Reader& r, BaselineDone& e) {
  e.site = r.Id<SiteId>("site");
  e.shared = r.Get<bool>("shared");
}

void Write(const SumAnswered& e, json& j) {
  j["sum"] = ToJson(e.sum);
  j["phase"] = static_cast<int>(e.phase);
  j["site"] = e.site.value();
  j["enough"] = e.enough;
}
void Read(Reader& r, SumAnswered& e) {
  e.sum = r.Sum();
  e.phase = r.Number<wire::SumPhase>("phase", static_cast<int>(wire::SumPhase::kUnmask));
  e.site = r.Id<SiteId>("site");
  e.enough = r.Get<bool>("enough");
}

void Write(const SummaryCame& e, json& j) {
  j["site"] = e.site.value();
}
void Read(Reader& r, SummaryCame& e) {
  e.site = r.Id<SiteId>("site");
}

void Write(const SiteFailed& e, json& j) {
  j["site"] = e.site.value();
  if (e.sum) {
    j["sum"] = ToJson(*e.sum);
  }
  j["reason"] = static_cast<int>(e.reason);
  if (e.about) {
    j["about"] = e.about->value();
  }
}
void Read(Reader& r, SiteFailed& e) {
  e.site = r.Id<SiteId>("site");
  if (r.Has("sum")) {
    e.sum = r.Sum();
  }
  e.reason = r.Number<wire::FailureReason>("reason", static_cast<int>(wire::FailureReason::kBadShare));
  if (r.Has("about")) {
    e.about = r.Id<SiteId>("about");
  }
}

void Write(const SiteHeard& e, json& j) {
  j["site"] = e.site.value();
}
void Read(Reader& r, SiteHeard& e) {
  e.site = r.Id<SiteId>("site");
}

void Write(const ReleaseAnswered& e, json& j) {
  j["site"] = e.site.value();
  j["state"] = static_cast<int>(e.state);
}
void Read(Reader& r, ReleaseAnswered& e) {
  e.site = r.Id<SiteId>("site");
  e.state = r.Number<wire::ReleaseState>("state", static_cast<int>(wire::ReleaseState::kInvalid));
}

void Write(const PhaseClosed& e, json& j) {
  j["sum"] = ToJson(e.sum);
  j["phase"] = static_cast<int>(e.phase);
  json next = json::array();
  for (const SiteId& site : e.next) {
    next.push_back(site.value());
  }
  j["next"] = std::move(next);
}
void Read(Reader& r, PhaseClosed& e) {
  e.sum = r.Sum();
  e.phase = r.Number<wire::SumPhase>("phase", static_cast<int>(wire::SumPhase::kUnmask));
  for (const std::string& text : r.Texts("next")) {
    absl::StatusOr<SiteId> site = SiteId::Parse(text);
    r.Note(site.status());
    if (site.ok()) {
      e.next.push_back(*std::move(site));
    }
  }
}

void Write(const SumBroken& e, json& j) {
  j["sum"] = ToJson(e.sum);
  j["why"] = e.why;
  if (e.culprit) {
    j["culprit"] = e.culprit->value();
  }
}
void Read(Reader& r, SumBroken& e) {
  e.sum = r.Sum();
  e.why = r.Get<std::string>("why");
  if (r.Has("culprit")) {
    e.culprit = r.Id<SiteId>("culprit");
  }
}

void Write(const SumFinished& e, json& j) {
  j["sum"] = ToJson(e.sum);
  j["note"] = e.note;
  if (e.refused) {
    j["refused"] = e.refused->why;
    j["parent"] = e.refused->parent.hex();
    j["result"] = e.refused->result.hex();
  }
}
void Read(Reader& r, SumFinished& e) {
  e.sum = r.Sum();
  e.note = r.Get<std::string>("note");
  if (r.Has("refused")) {
    e.refused = RefusedAggregate{r.Get<std::string>("refused"), r.Hash("parent"), r.Hash("result")};
  }
}

void Write(const Decided& e, json& j) {
  j["members"] = e.members;
  j["note"] = e.note;
}
void Read(Reader& r, Decided& e) {
  e.members = r.Texts("members");
  e.note = r.Get<std::string>("note");
}

void Write(const Published& e, json& j) {
  j["release"] = e.release.value();
}
void Read(Reader& r, Published& e) {
  e.release = r.Id<ReleaseId>("release");
}

void Write(const WorkFailed& e, json& j) {
  j["why"] = e.why;
}
void Read(Reader& r, WorkFailed& e) {
  e.why = r.Get<std::string>("why");
}

void Write(const AbortRequested& e, json& j) {
  j["reason"] = e.reason;
}
void Read(Reader& r, AbortRequested& e) {
  e.reason = r.Get<std::string>("reason");
}

void Write(const Tick&, json&) {}
void Read(Reader&, Tick&) {}

void Write(const GraphRevealed& e, json& j) {
  j["site"] = e.site.value();
  j["reveal"] = e.reveal.hex();
}
void Read(Reader& r, GraphRevealed& e) {
  e.site = r.Id<SiteId>("site");
  const absl::StatusOr<Digest> reveal = Digest::FromHex(r.Get<std::string>("reveal"));
  r.Note(reveal.status());
  if (reveal.ok()) {
    e.reveal = *reveal;
  }
}

template <size_t... I>
std::optional<Event> EmptyEvent(const std::string& name, std::index_sequence<I...>) {
  std::optional<Event> event;
  ((name == kNames[I] ? static_cast<void>(event.emplace(std::in_place_index<I>)) : static_cast<void>(0)), ...);
  return event;
}

}  // namespace

std::string NameOf(const SumKey& sum) {
  std::string name;
  switch (sum.kind) {
    case plan::SumKind::kTrain:
      name = fmt::format("training round {}", sum.round);
      break;
    case plan::SumKind::kValidate:
      name = "validation";
      break;
    case plan::SumKind::kCalibrate:
      name = "calibration";
      break;
  }
  return sum.attempt == 0 ? name : fmt::format("{}, attempt {}", name, sum.attempt + 1);
}

std::string NameOf(const Event& event) {
  return kNames[event.index()];
}

std::string EncodeFact(const Fact& fact) {
  json j = {{"event", NameOf(fact.event)}, {"time_ms", absl::ToUnixMillis(fact.time)}};
  std::visit([&j](const auto& event) { Write(event, j); }, fact.event);
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

absl::StatusOr<Fact> DecodeFact(const std::string& text) {
  const json j = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!j.is_object()) {
    return absl::DataLossError("stored fact: not a JSON object");
  }
  Reader reader(j);
  Fact fact;
  fact.time = absl::FromUnixMillis(reader.Get<int64_t>("time_ms"));
  const std::string name = reader.Get<std::string>("event");
  std::optional<Event> event = EmptyEvent(name, std::make_index_sequence<std::variant_size_v<Event>>());
  if (!event) {
    return absl::DataLossError("stored fact: unknown event \"" + name + "\"");
  }
  fact.event = *std::move(event);
  std::visit([&reader](auto& value) { Read(reader, value); }, fact.event);
  CLOISTER_RETURN_IF_ERROR(reader.status());
  return fact;
}

}  // namespace cloister::coordinator
