// SPDX-License-Identifier: Apache-2.0
#include "site_agent/agent/offer_desk.h"

#include <fmt/format.h>

#include "protocols/base/log.h"
#include "protocols/crypto/hash.h"
#include "protocols/plan/documents.h"
#include "protocols/secagg/graph_seed.h"
#include "site_agent/agent/site_keys.h"
#include "site_agent/agent/status_text.h"

namespace cloister::site {
namespace {

constexpr absl::Duration kCohortRetry = absl::Seconds(10);      // the PACS or the label file is not well
constexpr absl::Duration kSmallCohortRetry = absl::Minutes(5);  // new studies may have come

wire::RefusalReason ToWire(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNotApproved:
      return wire::RefusalReason::kNotApproved;
    case Refusal::kTaskNotAllowed:
      return wire::RefusalReason::kTaskNotAllowed;
    case Refusal::kCohortTooSmall:
      return wire::RefusalReason::kCohortTooSmall;
    case Refusal::kSecureAggregationRequired:
      return wire::RefusalReason::kSecureAggregationRequired;
    case Refusal::kMinimumSitesTooLow:
      return wire::RefusalReason::kMinimumSitesTooLow;
    case Refusal::kOutsideHours:
      return wire::RefusalReason::kOutsideHours;
    case Refusal::kSignatureInvalid:
      return wire::RefusalReason::kSignatureInvalid;
    case Refusal::kPlanInvalid:
      return wire::RefusalReason::kPlanInvalid;
    case Refusal::kUnsupportedModel:
      return wire::RefusalReason::kUnsupportedModel;
    case Refusal::kNoCohort:
      return wire::RefusalReason::kNoCohort;
    case Refusal::kDeclined:
      return wire::RefusalReason::kDeclined;
  }
  return wire::RefusalReason::kNotApproved;
}

}  // namespace

std::optional<wire::ExperimentAnswer> OfferDesk::Refuse(Refusal refusal, const std::string& detail) {
  if (said_ == refusal) {
    return std::nullopt;
  }
  said_ = refusal;
  (void)site_->store->experiments().SetRefused(job_, std::string(RefusalName(refusal)), detail, site_->NowUnixMs());
  site_->Tell(job_.value(), fmt::format("refused, {}: {}", RefusalName(refusal), detail));
  wire::ExperimentAnswer answer;
  answer.job = job_;
  answer.refusal = ToWire(refusal);
  return answer;
}

void OfferDesk::SayOnce(const std::string& trouble) {
  if (waits_for_ != trouble) {
    waits_for_ = trouble;
    Log()->error("{}: {}", job_.value(), trouble);
  }
}

absl::StatusOr<plan::Experiment> OfferDesk::Verify(const wire::ExperimentOffer& offer) {
  const Digest digest = crypto::Sha256(offer.plan.document);
  const absl::StatusOr<std::string> sponsor =
      crypto::VerifySignature(offer.plan.certificate, *site_->ca, plan::kPlanDomain, offer.plan.document,
                              offer.plan.signature, crypto::Role::kOperator, site_->clock->Now());
  absl::StatusOr<plan::Experiment> plan = plan::ParsePlan(offer.plan.document);
  ExperimentRow row;
  row.job = job_;
  row.plan_digest = digest;
  row.plan = offer.plan.document;
  row.name = plan.ok() ? plan->name : "(unreadable)";
  row.task = plan.ok() ? plan->task.name : "";
  row.sponsor = sponsor.value_or("(unverified)");
  row.received_unix_ms = site_->NowUnixMs();
  if (const absl::Status noted = site_->store->experiments().AddOffer(row); !noted.ok()) {
    // Another plan under a known name is the offer's fault, a database that is not well is not.
    return absl::IsFailedPrecondition(noted) ? noted : absl::UnavailableError(noted.message());
  }
  CLOISTER_RETURN_IF_ERROR(sponsor.status());
  return plan;
}

std::optional<int> OfferDesk::Patients(const plan::Experiment& plan) {
  const std::string key = "freeze/" + job_.value();
  if (site_->clock->Now() < cohort_again_) {
    return std::nullopt;
  }
  const std::optional<absl::Status> status =
      site_->background->Ensure(kCohortLane, key, [site = site_, job = job_, plan](const transport::StopSource& stop) {
        return site->cohorts->Freeze(job, plan, stop).status();
      });
  if (!status.has_value()) {
    return std::nullopt;
  }
  const absl::StatusOr<FrozenCohort> cohort = status->ok() ? site_->cohorts->Frozen(job_) : *status;
  if (!cohort.ok()) {
    site_->background->Forget(key);
    cohort_again_ = site_->clock->Now() + kCohortRetry;
    if (waits_for_ != TextOf(cohort.status())) {
      waits_for_ = TextOf(cohort.status());
      (void)site_->store->experiments().SetDetail(job_, waits_for_);
      Log()->warn("{}: no cohort yet, trying again: {}", job_.value(), waits_for_);
    }
    return std::nullopt;
  }
  return cohort->Patients();
}

absl::StatusOr<Decision> OfferDesk::DecideNow(const plan::Experiment& plan, const Digest& digest) {
  CLOISTER_ASSIGN_OR_RETURN(const Policy policy, site_->policy());
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<ApprovalRow> approval,
                            site_->store->experiments().NewestApproval(job_, digest));
  Facts facts;
  if (approval.has_value()) {
    facts.person = approval->decision == ApprovalDecision::kApproved ? PersonsWord::kApproved : PersonsWord::kDeclined;
  }
  facts.label_file_configured = site_->config->LabelsOf(plan.task.name) != nullptr;
  facts.architectures = site_->architectures;
  const absl::TimeZone zone = absl::LocalTimeZone();
  Decision decision = Decide(policy, plan, facts, site_->clock->Now(), zone);
  if (!decision.accepted()) {
    return decision;
  }
  // The same sums under another job's name, over fewer sites, would tell the difference: no policy says yes to that.
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<JobId> earlier,
                            site_->store->experiments().DecidedElsewhere(digest, job_));
  if (earlier.has_value() && facts.person != PersonsWord::kApproved) {
    return Decision{Refusal::kNotApproved,
                    fmt::format("this very plan was decided about before, as {}: once more only after a person "
                                "approves {} too",
                                earlier->value(), job_.value())};
  }
  facts.patients = Patients(plan);
  if (!facts.patients.has_value()) {
    return absl::UnavailableError("the cohort is not ready");
  }
  return Decide(policy, plan, facts, site_->clock->Now(), zone);
}

std::optional<wire::ExperimentAnswer> OfferDesk::Accept(const Digest& plan_digest) {
  const absl::StatusOr<crypto::SecretBytes> secret = LoadJobSecret(site_->config->data, job_);
  const absl::StatusOr<crypto::X25519KeyPair> key = secret.ok() ? SealingKey(*secret) : secret.status();
  if (!key.ok()) {
    Log()->error("{}: cannot accept: {}", job_.value(), key.status().ToString());
    return std::nullopt;
  }
  plan::Acceptance acceptance;
  acceptance.plan = plan_digest;
  acceptance.site = site_->site();
  acceptance.sealing_key = key->public_key();
  acceptance.graph_commitment =
      secagg::GraphCommitment(job_, acceptance.site, secagg::GraphReveal(job_, acceptance.site, *secret).view());
  const crypto::Signer signer = site_->signer();
  wire::SignedDocument signed_acceptance;
  signed_acceptance.document = plan::AcceptanceDocument(acceptance);
  signed_acceptance.signature = signer.Sign(plan::kAcceptanceDomain, signed_acceptance.document);
  signed_acceptance.certificate = signer.certificate().der();
  const absl::Status stored =
      site_->store->experiments().SetAccepted(job_, signed_acceptance.document, site_->NowUnixMs());
  if (!stored.ok()) {
    Log()->error("{}: cannot accept: {}", job_.value(), stored.ToString());
    return std::nullopt;
  }
  wire::ExperimentAnswer answer;
  answer.job = job_;
  answer.acceptance = std::move(signed_acceptance);
  return answer;
}

std::optional<wire::ExperimentAnswer> OfferDesk::Look(const wire::ExperimentOffer& offer) {
  const Digest digest = crypto::Sha256(offer.plan.document);
  const absl::StatusOr<ExperimentRow> known = site_->store->experiments().Get(job_);
  if (known.ok() && known->state == ExperimentState::kAccepted && known->plan_digest == digest) {
    return Accept(digest);  // the coordinator has not heard it yet
  }
  const absl::StatusOr<plan::Experiment> plan = Verify(offer);
  if (absl::IsUnavailable(plan.status())) {
    SayOnce("cannot note the offer: " + TextOf(plan.status()));
    return std::nullopt;
  }
  if (!plan.ok()) {
    return Refuse(absl::IsUnauthenticated(plan.status()) ? Refusal::kSignatureInvalid : Refusal::kPlanInvalid,
                  TextOf(plan.status()));
  }
  const absl::StatusOr<Decision> decision = DecideNow(*plan, digest);
  if (!decision.ok()) {
    if (!absl::IsUnavailable(decision.status())) {
      SayOnce("cannot decide: " + TextOf(decision.status()));
    }
    return std::nullopt;
  }
  if (!decision->accepted()) {
    if (*decision->refusal == Refusal::kCohortTooSmall || *decision->refusal == Refusal::kNoCohort) {
      (void)site_->store->cohorts().DropManifest(job_);
      site_->background->Forget("freeze/" + job_.value());
      cohort_again_ = site_->clock->Now() + kSmallCohortRetry;
    }
    return Refuse(*decision->refusal, decision->detail);
  }
  std::optional<wire::ExperimentAnswer> answer = Accept(digest);
  if (answer.has_value()) {
    said_.reset();
    site_->Tell(job_.value(), fmt::format("accepted the experiment {} (plan {})", plan->name, digest.short_hex()));
  }
  return answer;
}

}  // namespace cloister::site
