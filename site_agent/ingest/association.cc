// SPDX-License-Identifier: Apache-2.0
// Opening an association, and saying plainly why that failed.

#include "site_agent/ingest/association.h"

#include <absl/time/clock.h>
#include <dcmtk/dcmdata/dcuid.h>
#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/dcmnet/dul.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "site_agent/ingest/dicom_setup.h"

namespace cloister::site {
namespace {

std::string ListUs(const PacsConfig& config) {
  return fmt::format("list the AE title '{}' in the PACS as a known peer that may query, retrieve and store",
                     config.calling_ae_title);
}

absl::Status Rejected(const PacsConfig& config, T_ASC_Association* association) {
  T_ASC_RejectParameters reject{};
  ASC_getRejectParameters(association->params, &reject);
  switch (reject.reason) {
    case ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED:
      return absl::PermissionDeniedError(fmt::format(
          "{} says that is not its AE title; set the PACS's own AE title in the configuration", Describe(config)));
    case ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED:
      return absl::PermissionDeniedError(
          fmt::format("{} refuses our AE title '{}': {}", Describe(config), config.calling_ae_title, ListUs(config)));
    case ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED:
    case ASC_REASON_SP_PRES_TEMPORARYCONGESTION:
      return absl::UnavailableError(fmt::format("{} has too many associations; try later", Describe(config)));
    default:
      return absl::PermissionDeniedError(
          fmt::format("{} refused the association: {}", Describe(config), ListUs(config)));
  }
}

}  // namespace

std::string Describe(const PacsConfig& config) {
  return fmt::format("PACS '{}' at {}:{}", config.called_ae_title, config.host, config.port);
}

std::vector<std::string> UncompressedSyntaxes() {
  return {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax};
}

Association::Association(const PacsConfig& config) : config_(config), deadline_(absl::Now() + config.call_deadline) {}

Association::Association(Association&& other) noexcept
    : config_(other.config_),
      deadline_(other.deadline_),
      network_(std::exchange(other.network_, nullptr)),
      association_(std::exchange(other.association_, nullptr)),
      answered_(other.answered_) {}

Association::~Association() {
  if (association_ != nullptr) {
    if (association_->DULassociation != nullptr) {
      ASC_abortAssociation(association_);
    }
    ASC_destroyAssociation(&association_);
  }
  if (network_ != nullptr) {
    ASC_dropNetwork(&network_);
  }
}

void Association::Release() {
  if (association_ != nullptr && ASC_releaseAssociation(association_).good()) {
    ASC_destroyAssociation(&association_);
    association_ = nullptr;
  }
}

absl::StatusOr<Association> Association::Request(const PacsConfig& config,
                                                 const std::vector<ContextProposal>& proposals) {
  PrepareDicom();
  Association self(config);
  const int connect_seconds = static_cast<int>(std::max<int64_t>(1, absl::ToInt64Seconds(config.connect_timeout)));
  dcmConnectionTimeout.set(connect_seconds);
  CLOISTER_RETURN_IF_ERROR(NetworkStatus(ASC_initializeNetwork(NET_REQUESTOR, 0, connect_seconds, &self.network_),
                                         "cannot start the DICOM network"));
  T_ASC_Parameters* parameters = nullptr;
  CLOISTER_RETURN_IF_ERROR(NetworkStatus(ASC_createAssociationParameters(&parameters, ASC_MAXIMUMPDUSIZE),
                                         "cannot start the DICOM network"));
  ASC_setAPTitles(parameters, config.calling_ae_title.c_str(), config.called_ae_title.c_str(), nullptr);
  ASC_setPresentationAddresses(parameters, "localhost", fmt::format("{}:{}", config.host, config.port).c_str());
  OFCondition added = EC_Normal;
  for (size_t i = 0; i < proposals.size() && added.good(); ++i) {
    std::vector<const char*> syntaxes;
    for (const std::string& syntax : proposals[i].transfer_syntaxes) {
      syntaxes.push_back(syntax.c_str());
    }
    added = ASC_addPresentationContext(parameters, static_cast<T_ASC_PresentationContextID>(2 * i + 1),
                                       proposals[i].abstract_syntax.c_str(), syntaxes.data(),
                                       static_cast<int>(syntaxes.size()),
                                       proposals[i].scp_role ? ASC_SC_ROLE_SCP : ASC_SC_ROLE_DEFAULT);
  }
  if (added.bad()) {
    ASC_destroyAssociationParameters(&parameters);
    return NetworkStatus(added, "cannot propose presentation contexts");
  }
  const OFCondition asked = ASC_requestAssociation(self.network_, parameters, &self.association_, nullptr, nullptr,
                                                   DUL_NOBLOCK, self.TimeoutSeconds());
  if (asked == DUL_ASSOCIATIONREJECTED) {
    return Rejected(config, self.association_);
  }
  if (asked.bad()) {
    const absl::Status status = NetworkStatus(asked, Describe(config) + " does not answer");
    return absl::UnavailableError(
        std::string(status.message()) +
        "; check that the PACS is running, that host and port are right, and that no firewall is between");
  }
  if (ASC_countAcceptedPresentationContexts(parameters) == 0) {
    return absl::FailedPreconditionError(
        fmt::format("{} accepts none of the services we need: {}", Describe(config), ListUs(config)));
  }
  return self;
}

T_ASC_PresentationContextID Association::Context(const std::string& abstract_syntax,
                                                 const std::string& transfer_syntax) const {
  return transfer_syntax.empty()
             ? ASC_findAcceptedPresentationContextID(association_, abstract_syntax.c_str())
             : ASC_findAcceptedPresentationContextID(association_, abstract_syntax.c_str(), transfer_syntax.c_str());
}

int Association::TimeoutSeconds() const {
  const absl::Duration left = std::min(config_.response_timeout, deadline_ - absl::Now());
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Seconds(left), 1, 86400));
}

absl::Status Association::Explain(const OFCondition& condition, const std::string& what) const {
  if (condition.good()) {
    return absl::OkStatus();
  }
  if (PastDeadline()) {
    return absl::DeadlineExceededError(fmt::format("{}: {} took longer than {}", Describe(config_), what,
                                                   absl::FormatDuration(config_.call_deadline)));
  }
  if (!answered_ && (condition == DUL_PEERABORTEDASSOCIATION || condition == DUL_PEERREQUESTEDRELEASE)) {
    return absl::PermissionDeniedError(fmt::format("{} hung up on our {}; most likely it does not know us: {}",
                                                   Describe(config_), what, ListUs(config_)));
  }
  if (condition == DIMSE_NODATAAVAILABLE) {
    return absl::UnavailableError(
        fmt::format("{}: {}: silent for {}", Describe(config_), what, absl::FormatDuration(config_.response_timeout)));
  }
  return NetworkStatus(condition, fmt::format("{}: {}", Describe(config_), what));
}

}  // namespace cloister::site
