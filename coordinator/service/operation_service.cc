// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/operation_service.h"

#include <atomic>
#include <mutex>

#include "protocols/transport/grpc_status.h"
#include "protocols/transport/late_answer.h"
#include "protocols/wire/codec.h"

namespace cloister::coordinator {
namespace {

using transport::LateAnswer;
using transport::ToGrpc;

// `start` hands a callback to the driver; the callback writes the reply with `encode`.
template <typename T, typename Start, typename Encode>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& refused, Start start,
                                 Encode encode) {
  if (!refused.ok()) {
    return LateAnswer::Now(context, refused);
  }
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  start([reactor, encode](absl::StatusOr<T> result) {
    if (result.ok()) {
      encode(*result);
    }
    reactor->Finish(ToGrpc(result.status()));
  });
  return reactor;
}

// Streams events: asks the driver for the next ones, writes them one after the other, asks again.
class WatchReactor final : public grpc::ServerWriteReactor<wire::v1::ExperimentEvent> {
 public:
  WatchReactor(Driver* driver, JobId job, uint64_t after) : driver_(driver), job_(std::move(job)), after_(after) {
    Ask();
  }
  explicit WatchReactor(const absl::Status& refused) : driver_(nullptr), after_(0) { Finish(ToGrpc(refused)); }

  void OnWriteDone(bool ok) override {
    if (!ok || cancelled_) {
      Finish(grpc::Status::CANCELLED);
    } else {
      WriteNext();
    }
  }

  void OnCancel() override {
    {
      std::lock_guard lock(mutex_);
      cancelled_ = true;
    }
    if (driver_ != nullptr) {
      driver_->WakeWatchers(job_);  // if we wait there, we hear of it
    }
  }

  void OnDone() override { delete this; }

 private:
  void Ask() {
    bool asked = false;
    {
      std::lock_guard lock(mutex_);  // so that a cancellation wakes what was asked before it, or is seen here
      asked = !cancelled_ && driver_->NextEvents(job_, after_, [this](absl::StatusOr<Driver::Events> events) {
        Take(std::move(events));
      });
    }
    if (!asked) {
      Finish(cancelled_ ? grpc::Status::CANCELLED
                        : ToGrpc(absl::UnavailableError("the coordinator is stopping; try again")));
    }
  }

  void Take(absl::StatusOr<Driver::Events> events) {
    if (!events.ok()) {
      Finish(ToGrpc(events.status()));
    } else if (cancelled_) {
      Finish(grpc::Status::CANCELLED);
    } else {
      events_ = *std::move(events);
      next_ = 0;
      WriteNext();
    }
  }

  void WriteNext() {
    if (next_ < events_.events.size()) {
      const wire::ExperimentEvent& event = events_.events[next_++];
      after_ = event.sequence;
      message_ = wire::Encode(event);
      StartWrite(&message_);
    } else if (events_.ended && events_.events.empty()) {
      Finish(grpc::Status::OK);
    } else {
      Ask();
    }
  }

  Driver* const driver_;
  const JobId job_;
  uint64_t after_;
  Driver::Events events_;
  size_t next_ = 0;
  wire::v1::ExperimentEvent message_;
  std::mutex mutex_;
  std::atomic<bool> cancelled_{false};  // set under mutex_
};

}  // namespace

absl::StatusOr<transport::Peer> OperationService::Identify(const grpc::CallbackServerContext& context) const {
  CLOISTER_ASSIGN_OR_RETURN(transport::Peer peer, identify_(context));
  CLOISTER_RETURN_IF_ERROR(transport::RequireRole(peer, crypto::Role::kOperator));
  return peer;
}

grpc::ServerUnaryReactor* OperationService::SubmitExperiment(grpc::CallbackServerContext* context,
                                                             const wire::v1::SubmitExperimentRequest* request,
                                                             wire::v1::SubmitExperimentReply* reply) {
  const absl::StatusOr<transport::Peer> peer = Identify(*context);
  const absl::StatusOr<wire::SignedDocument> plan = wire::Decode(request->plan());
  return Answer<JobId>(
      context, peer.ok() ? plan.status() : peer.status(),
      [&](auto then) { driver_->SubmitExperiment(*peer, *plan, std::move(then)); },
      [reply](const JobId& job) { reply->set_job_id(job.value()); });
}

grpc::ServerUnaryReactor* OperationService::AbortExperiment(grpc::CallbackServerContext* context,
                                                            const wire::v1::AbortExperimentRequest* request,
                                                            wire::v1::ExperimentStatus* reply) {
  const absl::StatusOr<transport::Peer> peer = Identify(*context);
  const absl::StatusOr<JobId> job = JobId::Parse(request->job_id());
  const absl::Status length = request->reason().size() <= wire::kMaxTextBytes
                                  ? absl::OkStatus()
                                  : absl::InvalidArgumentError("reason: too long");
  return Answer<wire::ExperimentStatus>(
      context,
      !peer.ok() ? peer.status()
      : job.ok() ? length
                 : job.status(),
      [&](auto then) { driver_->AbortExperiment(*peer, *job, request->reason(), std::move(then)); },
      [reply](const wire::ExperimentStatus& status) { *reply = wire::Encode(status); });
}

grpc::ServerUnaryReactor* OperationService::ListExperiments(grpc::CallbackServerContext* context,
                                                            const wire::v1::ListExperimentsRequest*,
                                                            wire::v1::ListExperimentsReply* reply) {
  return Answer<std::vector<wire::ExperimentStatus>>(
      context, Identify(*context).status(), [&](auto then) { driver_->ListExperiments(std::move(then)); },
      [reply](const std::vector<wire::ExperimentStatus>& list) {
        for (const wire::ExperimentStatus& status : list) {
          *reply->add_experiments() = wire::Encode(status);
        }
      });
}

grpc::ServerUnaryReactor* OperationService::GetExperiment(grpc::CallbackServerContext* context,
                                                          const wire::v1::GetExperimentRequest* request,
                                                          wire::v1::ExperimentStatus* reply) {
  const absl::Status peer = Identify(*context).status();
  const absl::StatusOr<JobId> job = JobId::Parse(request->job_id());
  return Answer<wire::ExperimentStatus>(
      context, peer.ok() ? job.status() : peer, [&](auto then) { driver_->GetExperiment(*job, std::move(then)); },
      [reply](const wire::ExperimentStatus& status) { *reply = wire::Encode(status); });
}

grpc::ServerWriteReactor<wire::v1::ExperimentEvent>* OperationService::WatchExperiment(
    grpc::CallbackServerContext* context, const wire::v1::WatchExperimentRequest* request) {
  const absl::Status peer = Identify(*context).status();
  absl::StatusOr<JobId> job = JobId::Parse(request->job_id());
  if (!peer.ok() || !job.ok()) {
    return new WatchReactor(peer.ok() ? job.status() : peer);
  }
  return new WatchReactor(driver_, *std::move(job), request->after_sequence());
}

grpc::ServerUnaryReactor* OperationService::ListReleases(grpc::CallbackServerContext* context,
                                                         const wire::v1::ListReleasesRequest*,
                                                         wire::v1::ListReleasesReply* reply) {
  return Answer<std::vector<wire::ReleaseStatus>>(
      context, Identify(*context).status(), [&](auto then) { driver_->ListReleases(std::move(then)); },
      [reply](const std::vector<wire::ReleaseStatus>& list) {
        for (const wire::ReleaseStatus& release : list) {
          *reply->add_releases() = wire::Encode(release);
        }
      });
}

grpc::ServerUnaryReactor* OperationService::GetRelease(grpc::CallbackServerContext* context,
                                                       const wire::v1::GetReleaseRequest* request,
                                                       wire::v1::ReleaseStatus* reply) {
  const absl::Status peer = Identify(*context).status();
  const absl::StatusOr<ReleaseId> release = ReleaseId::Parse(request->release_id());
  return Answer<wire::ReleaseStatus>(
      context, peer.ok() ? release.status() : peer, [&](auto then) { driver_->GetRelease(*release, std::move(then)); },
      [reply](const wire::ReleaseStatus& status) { *reply = wire::Encode(status); });
}

grpc::ServerUnaryReactor* OperationService::ListSites(grpc::CallbackServerContext* context,
                                                      const wire::v1::ListSitesRequest*,
                                                      wire::v1::ListSitesReply* reply) {
  return Answer<std::vector<wire::SiteStatus>>(
      context, Identify(*context).status(), [&](auto then) { driver_->ListSites(std::move(then)); },
      [reply](const std::vector<wire::SiteStatus>& list) {
        for (const wire::SiteStatus& site : list) {
          *reply->add_sites() = wire::Encode(site);
        }
      });
}

}  // namespace cloister::coordinator
