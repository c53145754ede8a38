// SPDX-License-Identifier: Apache-2.0
// inspect: a worker looks at the files, a batch at a time; a file that ends the worker is one more finding.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "protocols/base/file.h"
#include "protocols/base/utf8.h"
#include "site_agent/agent/agent.h"
#include "site_agent/agent/worker_process.h"
#include "site_agent/cli/command.h"
#include "site_agent/cli/scratch_folder.h"
#include "site_agent/cli/text.h"

namespace cloister::site {
namespace {

using Json = nlohmann::json;

constexpr size_t kFilesAtOnce = 512;

struct InspectOptions {
  std::vector<std::string> paths;
  bool json = false;
  int time_limit_seconds = 120;
};

std::string Field(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? Printable(found->get<std::string>()) : "";
}

int Number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int>() : 0;
}

std::string Geometry(const Json& finding) {
  if (Number(finding, "rows") == 0) {
    return "-";
  }
  std::string text = fmt::format("{}x{}", Number(finding, "rows"), Number(finding, "columns"));
  if (Number(finding, "samples_per_pixel") > 1) {
    text += fmt::format("x{}", Number(finding, "samples_per_pixel"));
  }
  text += fmt::format(" {} bit", Number(finding, "bits_stored"));
  const auto spacing = finding.find("pixel_spacing_mm");
  if (spacing != finding.end() && spacing->is_array() && spacing->size() == 2 && spacing->at(0).is_number() &&
      spacing->at(1).is_number()) {
    text += fmt::format(" {:.3g}x{:.3g} mm", spacing->at(0).get<double>(), spacing->at(1).get<double>());
  }
  return text;
}

std::string Remarks(const Json& finding) {
  std::string remarks = Field(finding, "message");
  if (const auto notes = finding.find("notes"); notes != finding.end() && notes->is_array()) {
    for (const Json& note : *notes) {
      remarks += (remarks.empty() ? "" : "; ") + (note.is_string() ? Printable(note.get<std::string>()) : "");
    }
  }
  return remarks;
}

// Prints findings as they come: a line each, or the elements of one JSON list.
class Findings {
 public:
  Findings(Session* session, bool json) : session_(session), json_(json) {}

  void Add(const std::filesystem::path& file, Json finding) {
    ++counts_[Field(finding, "verdict") == "refused" ? "refused " + Field(finding, "code") : Field(finding, "verdict")];
    ++files_;
    if (json_) {
      finding["file"] = file.string();
      session_->out() << (files_ == 1 ? "[\n" : ",\n") << finding.dump(-1, ' ', false, Json::error_handler_t::replace);
      return;
    }
    const std::string remarks = Remarks(finding);
    const std::string samples = Field(finding, "samples_sha256");
    session_->out() << fmt::format("{:<8}  {:<27}  {:<8}  {:<30}  {:>5}  {:<64}  {}{}\n", Field(finding, "verdict"),
                                   Field(finding, "code"), Field(finding, "modality"), Geometry(finding),
                                   std::max(Number(finding, "frames"), 0), samples.empty() ? "-" : samples,
                                   Printable(file.string()), remarks.empty() ? "" : "  (" + remarks + ")");
    session_->out().flush();
  }

  void Refuse(const std::filesystem::path& file, const std::string& code, const std::string& message) {
    Add(file, {{"verdict", "refused"}, {"code", code}, {"message", message}, {"samples_sha256", nullptr}});
  }

  void Finish() {
    if (json_) {
      session_->out() << (files_ == 0 ? "[]\n" : "\n]\n");
    }
    session_->err() << fmt::format("{} file{}", files_, files_ == 1 ? "" : "s");
    for (const auto& [what, count] : counts_) {
      session_->err() << fmt::format(", {} {}", count, what);
    }
    session_->err() << "\n";
  }

 private:
  Session* session_;
  bool json_;
  int64_t files_ = 0;
  std::map<std::string, int64_t> counts_;
};

class Inspector {
 public:
  Inspector(WorkerCommand command, Findings* findings) : command_(std::move(command)), findings_(findings) {}

  // A file, or all files under a folder in the order of their names. Links are not followed.
  absl::Status Visit(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      return Take(path);
    }
    std::vector<std::filesystem::path> entries;
    for (auto it = std::filesystem::directory_iterator(path, error); !error && it != end(it); it.increment(error)) {
      entries.push_back(it->path());
    }
    if (error) {
      findings_->Refuse(path, "UNREADABLE", error.message());
      return absl::OkStatus();
    }
    std::sort(entries.begin(), entries.end());
    for (const std::filesystem::path& entry : entries) {
      const std::filesystem::file_status status = std::filesystem::symlink_status(entry, error);
      if (std::filesystem::is_directory(status)) {
        CLOISTER_RETURN_IF_ERROR(Visit(entry));
      } else if (std::filesystem::is_regular_file(status)) {
        CLOISTER_RETURN_IF_ERROR(Take(entry));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Flush() {
    size_t done = 0;
    while (done < files_.size()) {
      CLOISTER_ASSIGN_OR_RETURN(const size_t looked_at, RunOnce(done));
      done += looked_at;
    }
    files_.clear();
    return absl::OkStatus();
  }

 private:
  absl::Status Take(const std::filesystem::path& file) {
    if (!IsUtf8(file.string())) {  // the job file is JSON
      CLOISTER_RETURN_IF_ERROR(Flush());
      findings_->Refuse(file, "FILE_NAME", "the name is not UTF-8: rename the file to inspect it");
      return absl::OkStatus();
    }
    files_.push_back(file);
    return files_.size() < kFilesAtOnce ? absl::OkStatus() : Flush();
  }

  // One worker for the files from `first` on; how many of them are now decided.
  absl::StatusOr<size_t> RunOnce(size_t first) {
    Json job = {{"kind", "inspect"},
                {"threads", command_.threads},
                {"memory_mb", command_.limits.memory_bytes >> 20},
                {"files", Json::array()}};
    for (size_t i = first; i < files_.size(); ++i) {
      std::error_code error;
      const std::filesystem::path resolved = std::filesystem::weakly_canonical(files_[i], error);
      job["files"].push_back((error ? std::filesystem::absolute(files_[i]) : resolved).string());
    }
    const std::filesystem::path results = command_.folder / "inspected.jsonl";
    std::error_code ignored;
    std::filesystem::remove(results, ignored);
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(command_.folder / "job.json", job.dump(), 0600));
    const std::variant<Json, WorkerError> outcome = RunWorker(command_, transport::StopSource(), nullptr);

    size_t done = 0;
    std::ifstream in(results);
    for (std::string line; first + done < files_.size() && std::getline(in, line) && !in.eof();) {
      Json finding = Json::parse(line, nullptr, false);
      if (!finding.is_object()) {
        break;
      }
      findings_->Add(files_[first + done++], std::move(finding));
    }
    const WorkerError* error = std::get_if<WorkerError>(&outcome);
    if (error == nullptr) {
      return first + done == files_.size() ? absl::StatusOr<size_t>(done)
                                           : absl::InternalError("the worker ended without looking at every file");
    }
    const bool by_the_file = error->failure == WorkerFailure::kCrashed || error->failure == WorkerFailure::kTimedOut ||
                             error->failure == WorkerFailure::kOutOfMemory;
    if (!by_the_file || first + done == files_.size()) {
      return absl::InternalError(fmt::format("the worker {}: {}: {}", command_.program.string(),
                                             WorkerFailureName(error->failure), error->message));
    }
    findings_->Refuse(files_[first + done], std::string(WorkerFailureName(error->failure)),
                      "its decoder " + error->message);
    return done + 1;
  }

  WorkerCommand command_;
  Findings* findings_;
  std::vector<std::filesystem::path> files_;
};

// Works without a site.yaml too: a person may want to know before there is one.
absl::StatusOr<SiteConfig> ConfigIfAny(const Session& session) {
  absl::StatusOr<SiteConfig> config = session.Config();
  if (absl::IsNotFound(config.status()) && session.config_file.empty()) {
    SiteConfig defaults;
    std::error_code error;
    defaults.data = std::filesystem::temp_directory_path(error) / fmt::format("cloister-{}", getuid());
    return defaults;
  }
  return config;
}

absl::StatusOr<int> Inspect(Session& session, const InspectOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const SiteConfig config, ConfigIfAny(session));
  for (const std::string& path : options.paths) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      return absl::NotFoundError(fmt::format("there is no {}", path));
    }
  }
  const ScratchFolder scratch(config.data / "jobs" / fmt::format("inspect-{}", getpid()));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(scratch.path()));
  std::error_code error;
  std::filesystem::permissions(scratch.path(), std::filesystem::perms::owner_all, error);
  WorkerCommand command;
  command.program = WorkerProgram(config);
  command.folder = scratch.path();
  command.limits.memory_bytes = config.worker_memory_mib << 20;
  command.limits.silence = absl::Seconds(options.time_limit_seconds);

  Findings findings(&session, options.json);
  Inspector inspector(command, &findings);
  for (const std::string& path : options.paths) {
    CLOISTER_RETURN_IF_ERROR(inspector.Visit(path));
  }
  CLOISTER_RETURN_IF_ERROR(inspector.Flush());
  findings.Finish();
  return kDone;
}

}  // namespace

void AddInspectCommand(CommandSet& commands) {
  const auto options = std::make_shared<InspectOptions>();
  CLI::App* inspect = commands.Add(
      "inspect",
      "What this site would do with DICOM files, and why: a line for each file with verdict, reason code, modality,\n"
      "size, frames, and the SHA-256 of the decoded stored samples. Decoding happens in the sandboxed worker, so\n"
      "that no file can harm this machine. Nothing is changed or kept. docs/reading-dicom.md explains the codes",
      {"cloister-site inspect /media/cdrom", "cloister-site inspect image.dcm",
       "cloister-site inspect --json exports/ | jq '.[] | select(.verdict == \"refused\") | .code' | sort | uniq -c"},
      [options](Session& session) { return Inspect(session, *options); });
  inspect->add_option("PATH", options->paths, "Files, and folders with all that is in them")->required();
  inspect->add_flag("--json", options->json, "For scripts: a list of objects");
  inspect->add_option("--time-limit", options->time_limit_seconds, "For one file; it is refused when it takes longer")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
}

}  // namespace cloister::site
