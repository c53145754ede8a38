// SPDX-License-Identifier: Apache-2.0
#include "site_agent/web/portal.h"

#include <functional>

#include "protocols/base/file.h"
#include "protocols/transport/page.h"
#include "site_agent/storage/decisions.h"
#include "site_agent/web/pages.h"

namespace cloister::site {
namespace {

using transport::HttpRequest;
using transport::HttpResponse;

// Runs `make` and puts its HTML into the shell that all pages share.
HttpResponse Shown(const PortalOptions& options, SiteStore* store, const Clock* clock, const HttpRequest& request,
                   const char* title_en, const char* title_zh, int refresh_seconds,
                   const std::function<absl::StatusOr<std::string>(const PageContext&)>& make) {
  const PageContext context{store, &request, clock->Now(), options.policy};
  const absl::StatusOr<std::string> html = make(context);
  if (!html.ok()) return HttpResponse::Error(html.status());
  transport::Page page;
  page.title = context.Say(title_en, title_zh);
  page.product = "Cloister · " + options.site;
  page.language = request.language;
  page.path = request.path;
  page.user = request.user;
  page.csrf = request.csrf;
  page.navigation = {{context.Say("Overview", "概览"), "/"},
                     {context.Say("Cohorts", "队列"), "/cohorts"},
                     {context.Say("Experiments", "实验"), "/experiments"},
                     {context.Say("Releases and reports", "发布与报告"), "/releases"},
                     {context.Say("What left the building", "出院数据"), "/outbound"}};
  page.html = *html;
  page.refresh_seconds = refresh_seconds;
  return HttpResponse::Html(RenderPage(page));
}

std::string Field(const HttpRequest& request, const std::string& name) {
  const auto found = request.form.find(name);
  return found == request.form.end() ? "" : found->second;
}

// The text of a form field, cut to what a person would write.
std::string Words(const HttpRequest& request, const std::string& name) {
  return Field(request, name).substr(0, 500);
}

// A person's word on an experiment: approve or decline.
HttpResponse Approve(SiteStore* store, const Clock* clock, const HttpRequest& request) {
  const absl::StatusOr<Digest> plan = Digest::FromHex(Field(request, "plan"));
  if (!plan.ok()) return HttpResponse::Error(plan.status());
  const absl::StatusOr<JobId> job = JobId::Parse(Field(request, "job"));
  if (!job.ok()) return HttpResponse::Error(job.status());
  ApprovalRow row;
  row.job = *job;
  row.plan_digest = *plan;
  row.decision = Field(request, "decision") == "approve" ? ApprovalDecision::kApproved : ApprovalDecision::kDeclined;
  row.person = request.user;
  row.comment = Words(request, "comment");
  row.time_unix_ms = absl::ToUnixMillis(clock->Now());
  const absl::Status status = DecideExperiment(store, row, request.user);
  return status.ok() ? HttpResponse::Redirect("/experiments") : HttpResponse::Error(status);
}

// A clinician's word on a release.
HttpResponse Sign(SiteStore* store, const Clock* clock, const HttpRequest& request) {
  const absl::StatusOr<ReleaseId> release = ReleaseId::Parse(Field(request, "release"));
  if (!release.ok()) return HttpResponse::Error(release.status());
  const std::string decision = Field(request, "decision");
  SignOffRow row;
  row.release = *release;
  if (decision == "accept") {
    row.decision = SignOffDecision::kAccept;
  } else if (decision == "decline") {
    row.decision = SignOffDecision::kDecline;
  } else if (decision == "rollback") {
    row.decision = SignOffDecision::kRollback;
  } else {
    return HttpResponse::Error(absl::InvalidArgumentError("the decision is accept, decline or rollback"));
  }
  row.person = Words(request, "person");
  row.role = Words(request, "role");
  row.comment = Words(request, "comment");
  row.time_unix_ms = absl::ToUnixMillis(clock->Now());
  const absl::Status status = DecideRelease(store, row, request.user);
  return status.ok() ? HttpResponse::Redirect("/releases/" + release->value()) : HttpResponse::Error(status);
}

// The validation report of a release as it was written: a whole document of its own.
HttpResponse ReportFile(SiteStore* store, const HttpRequest& request) {
  const absl::StatusOr<ReleaseId> release = ReleaseId::Parse(request.match);
  if (!release.ok()) return HttpResponse::NotFound();
  const absl::StatusOr<ReleaseRow> row = store->releases().Get(*release);
  if (!row.ok() || row->report_html.empty()) return HttpResponse::NotFound();
  absl::StatusOr<Bytes> html = ReadFile(row->report_html, 64 << 20);
  if (!html.ok()) return HttpResponse::Error(html.status());
  HttpResponse response = HttpResponse::Html(*std::move(html));
  response.allow_inline_script = true;
  return response;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Portal>> Portal::Start(const PortalOptions& options, SiteStore* store,
                                                      const Clock* clock) {
  transport::HttpOptions http;
  http.host = options.host;
  http.port = options.port;
  http.product = "Cloister · " + options.site;
  http.users = options.users;
  http.users_file = options.users_file;
  auto server = std::make_unique<transport::HttpServer>(http, clock);

  const auto page = [&](const std::string& path, const char* title_en, const char* title_zh, int refresh_seconds,
                        const std::function<absl::StatusOr<std::string>(const PageContext&)>& make) {
    server->Get(path, [=](const HttpRequest& request) {
      return Shown(options, store, clock, request, title_en, title_zh, refresh_seconds, make);
    });
  };
  page("/", "Overview", "概览", 5, OverviewHtml);
  page("/cohorts", "Cohorts", "队列", 0, CohortsHtml);
  page("/experiments", "Experiments", "实验", 0, ExperimentsHtml);
  page("/releases", "Releases and reports", "发布与报告", 0, ReleasesHtml);
  page("/releases/*", "Release", "发布", 0, [](const PageContext& context) -> absl::StatusOr<std::string> {
    CLOISTER_ASSIGN_OR_RETURN(const ReleaseId release, ReleaseId::Parse(context.request->match));
    return ReleaseHtml(context, release);
  });
  page("/outbound", "What left the building", "出院数据", 0, OutboundHtml);
  server->Get("/reports/*", [store](const HttpRequest& request) { return ReportFile(store, request); });
  server->Post("/approve", [=](const HttpRequest& request) { return Approve(store, clock, request); });
  server->Post("/sign", [=](const HttpRequest& request) { return Sign(store, clock, request); });

  CLOISTER_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<Portal>(new Portal(options.site, std::move(server)));
}

}  // namespace cloister::site
