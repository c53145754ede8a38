#pragma once
// SPDX-License-Identifier: Apache-2.0
// Enumerations as text. NameOf: the stable code that logs, databases and both UIs show ("COHORT_TOO_SMALL"). Advice:
// one sentence for a person that says what it means and what to do.

#include <optional>
#include <string>
#include <string_view>

#include "protocols/wire/operator_messages.h"

namespace cloister::wire {

enum class Language { kEnglish, kChinese };

std::string_view NameOf(SumKind kind);           // TRAIN
std::string_view NameOf(SumPhase phase);         // ADVERTISE
std::string_view NameOf(ModelKind kind);         // GLOBAL
std::string_view NameOf(RefusalReason reason);   // COHORT_TOO_SMALL
std::string_view NameOf(FailureReason reason);   // WORKER_CRASHED
std::string_view NameOf(ReleaseState state);     // VERIFIED
std::string_view NameOf(BlobPurpose purpose);    // MASKED_VECTOR
std::string_view NameOf(ExperimentPhase phase);  // TRAINING
// "experiment_answer", "baseline_ready", "sum_message", "site_summary", "release_answer", "site_failure".
std::string_view NameOf(const SiteMessage& message);
// "experiment_offer", "baseline_task", "sum_step", "release_offer", "experiment_closed".
std::string_view NameOf(const WorkItem& item);

// The value with this name, or nothing.
template <typename Enum>
std::optional<Enum> FromName(std::string_view name);
template <>
std::optional<SumKind> FromName(std::string_view name);
template <>
std::optional<SumPhase> FromName(std::string_view name);
template <>
std::optional<ModelKind> FromName(std::string_view name);
template <>
std::optional<RefusalReason> FromName(std::string_view name);
template <>
std::optional<FailureReason> FromName(std::string_view name);
template <>
std::optional<ReleaseState> FromName(std::string_view name);
template <>
std::optional<BlobPurpose> FromName(std::string_view name);
template <>
std::optional<ExperimentPhase> FromName(std::string_view name);

// True when a later look at the same offer may end otherwise: a person, the clock or new studies can change it.
bool MayChange(RefusalReason reason);

std::string_view Advice(RefusalReason reason, Language language = Language::kEnglish);
std::string_view Advice(FailureReason reason, Language language = Language::kEnglish);
std::string_view Advice(ReleaseState state, Language language = Language::kEnglish);
// The phase in words: "Training", "等待医院加入".
std::string_view Title(ExperimentPhase phase, Language language = Language::kEnglish);

}  // namespace cloister::wire
