// SPDX-License-Identifier: Apache-2.0
#include "coordinator/web/status_site.h"

#include <algorithm>
#include <future>

#include "coordinator/web/pages.h"

namespace cloister::coordinator {
namespace {

using transport::HttpRequest;
using transport::HttpResponse;

constexpr int kRefreshSeconds = 2;
constexpr std::chrono::seconds kPatience{10};

// Waits for what the driver says. UNAVAILABLE: it is busy for longer than a person waits.
template <typename T, typename Start>
absl::StatusOr<T> Await(Start start) {
  auto promise = std::make_shared<std::promise<absl::StatusOr<T>>>();
  std::future<absl::StatusOr<T>> future = promise->get_future();
  start([promise](absl::StatusOr<T> result) { promise->set_value(std::move(result)); });
  if (future.wait_for(kPatience) != std::future_status::ready) {
    return absl::UnavailableError("the coordinator is busy; try again in a moment");
  }
  return future.get();
}

struct Everything {
  std::vector<wire::ExperimentStatus> experiments;
  std::vector<wire::SiteStatus> sites;
  std::vector<wire::ReleaseStatus> releases;
};

absl::StatusOr<Everything> AskAll(Driver* driver) {
  Everything all;
  CLOISTER_ASSIGN_OR_RETURN(all.experiments, Await<std::vector<wire::ExperimentStatus>>(
                                                 [&](auto then) { driver->ListExperiments(std::move(then)); }));
  CLOISTER_ASSIGN_OR_RETURN(
      all.sites, Await<std::vector<wire::SiteStatus>>([&](auto then) { driver->ListSites(std::move(then)); }));
  CLOISTER_ASSIGN_OR_RETURN(
      all.releases, Await<std::vector<wire::ReleaseStatus>>([&](auto then) { driver->ListReleases(std::move(then)); }));
  return all;
}

absl::StatusOr<std::string> Overview(Driver* driver, const PageContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(const Everything all, AskAll(driver));
  return OverviewHtml(context, all.experiments, all.sites, all.releases);
}

absl::StatusOr<std::string> OneExperiment(Driver* driver, const PageContext& context, const JobId& job) {
  CLOISTER_ASSIGN_OR_RETURN(const wire::ExperimentStatus status, Await<wire::ExperimentStatus>([&](auto then) {
                              driver->GetExperiment(job, std::move(then));
                            }));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ModelRecord> models, Await<std::vector<ModelRecord>>([&](auto then) {
                              driver->ListModels(job, std::move(then));
                            }));
  CLOISTER_ASSIGN_OR_RETURN(
      std::vector<wire::ExperimentEvent> events,
      Await<std::vector<wire::ExperimentEvent>>([&](auto then) { driver->LastEvents(job, std::move(then)); }));
  std::reverse(events.begin(), events.end());
  return ExperimentHtml(context, status, models, events);
}

absl::StatusOr<std::string> OneRelease(Driver* driver, const PageContext& context, const ReleaseId& id) {
  CLOISTER_ASSIGN_OR_RETURN(const wire::ReleaseStatus release,
                            Await<wire::ReleaseStatus>([&](auto then) { driver->GetRelease(id, std::move(then)); }));
  CLOISTER_ASSIGN_OR_RETURN(const plan::ReleaseManifest manifest, plan::ParseRelease(release.manifest.document));
  return ReleaseHtml(context, release, manifest);
}

}  // namespace

absl::StatusOr<std::unique_ptr<StatusSite>> StatusSite::Start(const StatusSiteOptions& options, Driver* driver,
                                                              const Clock* clock) {
  transport::HttpOptions http;
  http.host = options.host;
  http.port = options.port;
  http.product = "Cloister · Coordinator";
  http.users_file = options.users_file;
  auto server = std::make_unique<transport::HttpServer>(http, clock);

  using Make = std::function<absl::StatusOr<std::string>(const PageContext&, const HttpRequest&)>;
  const auto page = [&](const std::string& path, const std::string& title_en, const std::string& title_zh,
                        const Make& make) {
    server->Get(path, [=, product = http.product](const HttpRequest& request) {
      PageContext context;
      context.language = request.language == "zh" ? wire::Language::kChinese : wire::Language::kEnglish;
      context.now = clock->Now();
      const absl::StatusOr<std::string> html = make(context, request);
      if (!html.ok()) {
        return HttpResponse::Error(html.status());
      }
      transport::Page shell;
      shell.title = request.match.empty() ? context.Say(title_en.c_str(), title_zh.c_str()) : request.match;
      shell.product = product;
      shell.language = request.language;
      shell.path = request.path;
      shell.user = request.user;
      shell.csrf = request.csrf;
      shell.navigation = {{context.Say("Overview", "概览"), "/"}};
      shell.html = *html;
      shell.refresh_seconds = kRefreshSeconds;
      return HttpResponse::Html(RenderPage(shell));
    });
  };
  page("/", "Federation", "联邦概览",
       [driver](const PageContext& context, const HttpRequest&) { return Overview(driver, context); });
  page("/experiments/*", "Experiment", "实验",
       [driver](const PageContext& context, const HttpRequest& request) -> absl::StatusOr<std::string> {
         CLOISTER_ASSIGN_OR_RETURN(const JobId job, JobId::Parse(request.match));
         return OneExperiment(driver, context, job);
       });
  page("/releases/*", "Release", "发布",
       [driver](const PageContext& context, const HttpRequest& request) -> absl::StatusOr<std::string> {
         CLOISTER_ASSIGN_OR_RETURN(const ReleaseId release, ReleaseId::Parse(request.match));
         return OneRelease(driver, context, release);
       });
  server->Get("/status.json", [driver](const HttpRequest&) {
    const absl::StatusOr<Everything> all = AskAll(driver);
    return all.ok() ? HttpResponse::Json(StatusJson(all->experiments, all->sites, all->releases))
                    : HttpResponse::Error(all.status());
  });
  CLOISTER_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<StatusSite>(new StatusSite(std::move(server)));
}

}  // namespace cloister::coordinator
