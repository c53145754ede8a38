#pragma once
// SPDX-License-Identifier: Apache-2.0
// Small pieces that several of the status page's pages share.

#include <string>
#include <vector>

#include "coordinator/web/pages.h"

namespace cloister::coordinator {

std::string PhaseChip(const PageContext& context, wire::ExperimentPhase phase);
// A participant's state, with its reason for people as a tooltip.
std::string ParticipantChip(const PageContext& context, const wire::ParticipantStatus& site);
std::string ReleaseChip(const PageContext& context, wire::ReleaseState state);
std::string VerdictChip(const PageContext& context, const std::string& verdict, const std::string& detail);

// "3 min ago", "in 12 days".
std::string Ago(const PageContext& context, int64_t unix_ms);
// "44.8 MB".
std::string Size(uint64_t bytes);
// "2026-03-01 08:15".
std::string Minute(int64_t unix_ms);

// A table for each rule: models across, "pooled" and sites down.
std::string GatesHtml(const PageContext& context, const std::vector<wire::GateStatus>& gates);
// The loss of each round as a line with its first and last value; empty with fewer than two rounds.
std::string LossChart(const PageContext& context, const std::vector<ModelRecord>& models);

}  // namespace cloister::coordinator
