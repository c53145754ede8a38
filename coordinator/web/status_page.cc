// SPDX-License-Identifier: Apache-2.0
#include "coordinator/web/status_page.h"

#include <future>

#include "coordinator/web/pages.h"
#include "protocols/transport/page.h"

namespace cloister::coordinator {
namespace {

using transport::HttpRequest;
using transport::HttpResponse;

// Waits for the answer of the driver's owner thread.
template <typename T>
T Wait(const std::function<void(Driver::Then<T>)>& ask) {
  auto promise = std::make_shared<std::promise<T>>();
  std::future<T> future = promise->get_future();
  ask([promise](T value) { promise->set_value(std::move(value)); });
  if (future.wait_for(std::chrono::seconds(5)) != std::future_status::ready) {
    return T(absl::UnavailableError("the coordinator is busy; reload the page"));
  }
  return future.get();
}

HttpResponse InShell(const HttpRequest& request, const char* title_en, const char* title_zh,
                     const absl::StatusOr<std::string>& html) {
  if (!html.ok()) return HttpResponse::Error(html.status());
  const PageLanguage language{request.language == "zh"};
  transport::Page page;
  page.title = language.Say(title_en, title_zh);
  page.product = language.Say("Cloister · Coordinator", "Cloister · 协调方");
  page.language = request.language;
  page.path = request.path;
  page.user = request.user;
  page.csrf = request.csrf;
  page.navigation = {{language.Say("Overview", "概览"), "/"}};
  page.html = *html;
  page.refresh_seconds = 5;
  return HttpResponse::Html(RenderPage(page));
}

absl::StatusOr<std::string> Overview(Driver* driver, const HttpRequest& request, absl::Time now) {
  using Experiments = absl::StatusOr<std::vector<wire::ExperimentStatus>>;
  using Releases = absl::StatusOr<std::vector<wire::ReleaseStatus>>;
  using Sites = absl::StatusOr<std::vector<wire::SiteStatus>>;
  CLOISTER_ASSIGN_OR_RETURN(const auto experiments,
                            Wait<Experiments>([&](auto then) { driver->ListExperiments(then); }));
  CLOISTER_ASSIGN_OR_RETURN(const auto releases, Wait<Releases>([&](auto then) { driver->ListReleases(then); }));
  CLOISTER_ASSIGN_OR_RETURN(const auto sites, Wait<Sites>([&](auto then) { driver->ListSites(then); }));
  return OverviewHtml(PageLanguage{request.language == "zh"}, experiments, releases, sites, now);
}

absl::StatusOr<std::string> Experiment(Driver* driver, const HttpRequest& request) {
  using Status = absl::StatusOr<wire::ExperimentStatus>;
  using Models = absl::StatusOr<std::vector<ModelRecord>>;
  CLOISTER_ASSIGN_OR_RETURN(const JobId job, JobId::Parse(request.match));
  CLOISTER_ASSIGN_OR_RETURN(const auto status, Wait<Status>([&](auto then) { driver->GetExperiment(job, then); }));
  CLOISTER_ASSIGN_OR_RETURN(const auto models, Wait<Models>([&](auto then) { driver->ListModels(job, then); }));
  return ExperimentHtml(PageLanguage{request.language == "zh"}, status, models);
}

}  // namespace

absl::StatusOr<std::unique_ptr<StatusPage>> StatusPage::Start(const StatusPageOptions& options, Driver* driver,
                                                              const Clock* clock) {
  transport::HttpOptions http;
  http.host = options.host;
  http.port = options.port;
  http.product = "Cloister · Coordinator";
  http.users = options.users;
  auto server = std::make_unique<transport::HttpServer>(http, clock);
  server->Get("/", [=](const HttpRequest& request) {
    return InShell(request, "Federation", "联邦概览", Overview(driver, request, clock->Now()));
  });
  server->Get("/experiments/*", [=](const HttpRequest& request) {
    return InShell(request, "Experiment", "实验", Experiment(driver, request));
  });
  CLOISTER_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<StatusPage>(new StatusPage(std::move(server)));
}

}  // namespace cloister::coordinator
