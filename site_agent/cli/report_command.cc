// SPDX-License-Identifier: Apache-2.0
// report: the numbers of a release at this site.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "site_agent/cli/command.h"
#include "site_agent/cli/text.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

struct ReportOptions {
  std::string release;
  bool json = false;
  bool row = false;
};

// The newest one that was validated here when none is named. NOT_FOUND; FAILED_PRECONDITION: no numbers yet.
absl::StatusOr<ReleaseRow> FindRelease(SiteStore& store, const std::string& name) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<ReleaseRow> rows, store.releases().List());
  for (const ReleaseRow& row : rows) {
    if (name.empty() ? !row.numbers.empty() : row.release.value() == name) {
      if (row.numbers.empty()) {
        return absl::FailedPreconditionError(
            fmt::format("release {} has no report yet: it is {} ({})", name, ReleaseStateName(row.state), row.detail));
      }
      return row;
    }
  }
  return absl::NotFoundError(name.empty() ? "no release has been validated here yet; see cloister-site releases"
                                          : fmt::format("release {} was not offered to this site; cloister-site "
                                                        "releases lists them",
                                                        name));
}

Json At(const Json& object, std::initializer_list<const char*> path) {
  Json at = object;
  for (const char* key : path) {
    const auto found = at.find(key);
    if (!at.is_object() || found == at.end()) {
      return nullptr;
    }
    Json next = *found;
    at = std::move(next);
  }
  return at;
}

double Number(const Json& object, const char* key) {
  const Json value = At(object, {key});
  return value.is_number() ? value.get<double>() : 0;
}

int64_t Count(const Json& object, const char* key) {
  return static_cast<int64_t>(Number(object, key));
}

std::string ReasonInWords(const Json& estimate) {
  const Json reason = At(estimate, {"not_estimable"});
  std::string words = reason.is_string() ? reason.get<std::string>() : "not measured";
  std::replace(words.begin(), words.end(), '_', ' ');
  return Printable(words);
}

// "0.870 (0.781-0.959)"; else "not estimable", with its reason where there is room.
std::string EstimateInWords(const Json& estimate, bool with_reason) {
  if (At(estimate, {"value"}).is_number()) {
    return fmt::format("{:.3f} ({:.3f}-{:.3f})", Number(estimate, "value"), Number(estimate, "lower"),
                       Number(estimate, "upper"));
  }
  return with_reason ? "not estimable: " + ReasonInWords(estimate) : "not estimable";
}

// The columns of deploy/quickstart.sh's table.
std::string RowOf(const std::string& site, const Json& numbers) {
  const auto cell = [&](std::initializer_list<const char*> path) { return EstimateInWords(At(numbers, path), false); };
  return fmt::format("{:<11} {:>9} {:>11}  {:<22} {:<22} {:<18} {:<18}\n", site, Count(numbers, "patients"),
                     fmt::format("{:.1f}%", 100 * Number(numbers, "prevalence")), cell({"local_only", "auc"}),
                     cell({"federated", "auc"}), cell({"federated", "sensitivity"}),
                     cell({"federated", "specificity"}));
}

// Of a report from before there was any: not stated.
std::string PrivacyInWords(const Json& numbers) {
  if (At(numbers, {"differential_privacy", "unit"}).is_string()) {
    const Json privacy = At(numbers, {"differential_privacy"});
    return fmt::format("differential privacy for each {}, epsilon {:.2f} at delta {:g}",
                       Printable(At(privacy, {"unit"}).get<std::string>()),
                       std::ceil(Number(privacy, "epsilon") * 100) / 100, Number(privacy, "delta"));
  }
  return numbers.contains("differential_privacy") ? "no differential privacy" : "not stated";
}

std::string InWords(const ReleaseRow& row, const Json& numbers) {
  const auto cell = [&](std::initializer_list<const char*> path) { return EstimateInWords(At(numbers, path), true); };
  std::string text =
      FactsText({{"Release", fmt::format("{} {}, {}: {}", row.release.value(), Printable(row.version),
                                         ReleaseStateName(row.state), Printable(row.detail))},
                 {"Task", Printable(row.task)},
                 {"Patients", fmt::format("{}, of them {} positive ({:.1f}%); {} held out for this report",
                                          Count(numbers, "patients"), Count(numbers, "positive_patients"),
                                          100 * Number(numbers, "prevalence"), Count(numbers, "test_patients"))},
                 {"Operating point", fmt::format("{:.3f}", Number(numbers, "operating_point"))},
                 {"AUC, local only", cell({"local_only", "auc"})},
                 {"AUC, federated", cell({"federated", "auc"})},
                 {"Sensitivity", cell({"federated", "sensitivity"})},
                 {"Specificity", cell({"federated", "specificity"})},
                 {"Privacy", PrivacyInWords(numbers)}});
  const Json gates = At(numbers, {"gates"});
  std::vector<std::vector<std::string>> lines;
  if (gates.is_array()) {
    for (const Json& gate : gates) {
      const auto word = [&](const char* key) {
        const Json value = At(gate, {key});
        return value.is_string() ? Printable(value.get<std::string>()) : "";
      };
      lines.push_back({"  " + word("verdict"), word("rule"), word("detail")});
    }
  }
  text += lines.empty() ? "No gate is decided at this site.\n" : "Gates decided here\n" + Columns(lines);
  return text + FactsText({{"Report", row.report_html}, {"", row.report_json}}) +
         "Intervals are 95%; nothing of this leaves the hospital.\n";
}

absl::StatusOr<int> Report(Session& session, const ReportOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, session.Config());
  CLOISTER_ASSIGN_OR_RETURN(const auto store, session.Store(config));
  CLOISTER_ASSIGN_OR_RETURN(const ReleaseRow row, FindRelease(*store, options.release));
  Json numbers = Json::parse(row.numbers, nullptr, false);
  if (!numbers.is_object()) {
    return absl::DataLossError(fmt::format("the stored numbers of release {} are damaged", row.release.value()));
  }
  if (options.row) {
    session.out() << RowOf(config.site.value(), numbers);
  } else if (options.json) {
    numbers["state"] = ReleaseStateName(row.state);
    numbers["detail"] = row.detail;
    numbers["report_html"] = row.report_html;
    numbers["report_json"] = row.report_json;
    session.out() << JsonLines(numbers);
  } else {
    session.out() << InWords(row, numbers);
  }
  return kDone;
}

}  // namespace

void AddReportCommand(CommandSet& commands) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* command =
      commands.Add("report", "How a release does on this site's own patients: the numbers of its validation report",
                   {"cloister-site report                          the newest", "cloister-site report rel-3f2a",
                    "cloister-site report --json | jq .federated.auc.value"},
                   [options](Session& session) { return Report(session, *options); });
  command->add_option("RELEASE", options->release, "See cloister-site releases; the newest when not given");
  CLI::Option* json = command->add_flag("--json", options->json, "For scripts: one object, with the reports' paths");
  command
      ->add_flag("--row", options->row,
                 "One line: site, patients, prevalence, AUC local only and federated, "
                 "sensitivity, specificity")
      ->excludes(json);
}

}  // namespace cloister::site
