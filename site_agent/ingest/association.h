#pragma once
// SPDX-License-Identifier: Apache-2.0
// One association we opened, aborted when dropped without Release. Internal to ingest; not thread-safe.

#include <absl/time/time.h>
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dimse.h>

#include <memory>
#include <string>
#include <vector>

#include "protocols/base/status.h"
#include "site_agent/ingest/pacs_client.h"

namespace cloister::site {

// At most 128 of them in one association.
struct ContextProposal {
  std::string abstract_syntax;
  std::vector<std::string> transfer_syntaxes;  // the first is preferred
  bool scp_role = false;                       // C-GET: we receive on this context
};

// Explicit, then implicit VR little endian.
std::vector<std::string> UncompressedSyntaxes();

class Association {
 public:
  // UNAVAILABLE: nobody answers at host and port. PERMISSION_DENIED: refused; the message says which AE title to list
  // where. FAILED_PRECONDITION: none of the proposals was accepted.
  static absl::StatusOr<Association> Request(const PacsConfig& config, const std::vector<ContextProposal>& proposals);
  Association(Association&& other) noexcept;
  Association& operator=(Association&&) = delete;
  ~Association();

  // Says goodbye; what the peer thinks of that does not matter any more.
  void Release();

  T_ASC_Association* get() const { return association_; }
  // The context accepted for `abstract_syntax` (and `transfer_syntax` unless ""), or 0.
  T_ASC_PresentationContextID Context(const std::string& abstract_syntax,
                                      const std::string& transfer_syntax = "") const;

  // Seconds to wait for the peer's next message: response_timeout, or what is left until the deadline; at least 1.
  int TimeoutSeconds() const;
  bool PastDeadline() const { return absl::Now() >= deadline_; }
  // The Status for a DIMSE call that failed: DEADLINE_EXCEEDED past the deadline, PERMISSION_DENIED when the peer hung
  // up on our first request (so Orthanc refuses strangers), else NetworkStatus with a hint.
  absl::Status Explain(const OFCondition& condition, const std::string& what) const;
  // The peer has answered; from now on a hang-up is a broken connection.
  void NoteAnswer() { answered_ = true; }

  DIC_US NextMessageId() { return association_->nextMsgID++; }

 private:
  explicit Association(const PacsConfig& config);

  PacsConfig config_;
  absl::Time deadline_;
  T_ASC_Network* network_ = nullptr;
  T_ASC_Association* association_ = nullptr;
  bool answered_ = false;
};

// "PACS 'ORTHANC' at 10.0.0.5:4242".
std::string Describe(const PacsConfig& config);

}  // namespace cloister::site
