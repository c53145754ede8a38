// SPDX-License-Identifier: Apache-2.0
// Starting, asking and stopping Orthanc, with the configuration template the quickstart uses.

#include "tests/support/orthanc.h"

#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <httplib.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "protocols/base/file.h"

namespace cloister::testing {
namespace {

constexpr absl::Duration kStartDeadline = absl::Seconds(20);

std::string FindProgram() {
  for (const char* path : {"/usr/sbin/Orthanc", "/usr/bin/Orthanc", "/usr/local/sbin/Orthanc"}) {
    if (access(path, X_OK) == 0) {
      return path;
    }
  }
  return "";
}

std::filesystem::path TemplateFolder() {  // <source>/deploy/pacs
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path() / "deploy" / "pacs";
}

absl::StatusOr<std::string> FillTemplate(const std::string& name, const std::map<std::string, std::string>& values) {
  CLOISTER_ASSIGN_OR_RETURN(std::string text, ReadFile(TemplateFolder() / name));
  for (const auto& [key, value] : values) {
    const std::string mark = "@" + key + "@";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

absl::Status HttpStatus(const std::string& path, int code) {
  const std::string message = fmt::format("Orthanc answers {} with {}", path, code);
  return code == 404 ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
}

absl::StatusOr<std::string> Body(const httplib::Result& result, const std::string& path) {
  if (!result) {
    return absl::UnavailableError("Orthanc does not answer " + path);
  }
  if (result->status / 100 != 2) {
    return HttpStatus(path, result->status);
  }
  return result->body;
}

std::string LastLines(const std::filesystem::path& log) {
  const absl::StatusOr<std::string> text = ReadFile(log);
  return !text.ok() ? "" : text->substr(text->size() > 1500 ? text->size() - 1500 : 0);
}

}  // namespace

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

bool Orthanc::Installed() {
  return !FindProgram().empty();
}

absl::StatusOr<std::unique_ptr<Orthanc>> Orthanc::Start(const OrthancOptions& options) {
  const std::string program = FindProgram();
  if (program.empty()) {
    return absl::NotFoundError("Orthanc is not installed");
  }
  std::unique_ptr<Orthanc> self(new Orthanc);
  const std::filesystem::path folder = self->folder_.path();
  self->ae_title_ = options.ae_title;
  self->dicom_port_ = FreePort();
  self->http_port_ = FreePort();
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(folder / "storage"));

  std::string modalities;
  for (const KnownModality& modality : options.modalities) {
    modalities += fmt::format("{}\"{}\": [\"{}\", \"127.0.0.1\", {}]", modalities.empty() ? "" : ", ",
                              modality.ae_title, modality.ae_title, modality.port);
  }
  std::string scripts;
  if (!options.auto_route_to.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string lua,
                              FillTemplate("route_to_agent.lua.in", {{"AGENT", options.auto_route_to}}));
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "route.lua", lua));
    scripts = fmt::format("\"{}\"", (folder / "route.lua").string());
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::string configuration,
                            FillTemplate("orthanc.json.in", {{"NAME", options.ae_title},
                                                             {"STORAGE", (folder / "storage").string()},
                                                             {"LUA_SCRIPTS", scripts},
                                                             {"HTTP_PORT", std::to_string(self->http_port_)},
                                                             {"AE_TITLE", options.ae_title},
                                                             {"DICOM_PORT", std::to_string(self->dicom_port_)},
                                                             {"MODALITIES", modalities}}));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(folder / "orthanc.json", configuration));

  const std::string config_path = (folder / "orthanc.json").string();
  const std::string log_path = (folder / "orthanc.log").string();
  setenv("TCP_NODELAY", "1", 1);  // inherited: without it every image takes 45 ms longer
  self->pid_ = fork();
  if (self->pid_ == 0) {
    const int log = open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execl(program.c_str(), program.c_str(), "--verbose", config_path.c_str(), nullptr);
    _exit(127);
  }
  for (const absl::Time deadline = absl::Now() + kStartDeadline; absl::Now() < deadline;) {
    if (self->Get("/system").ok()) {
      return self;
    }
    if (waitpid(self->pid_, nullptr, WNOHANG) == self->pid_) {
      self->pid_ = -1;
      break;
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::UnavailableError("Orthanc did not start: " + LastLines(log_path));
}

Orthanc::~Orthanc() {
  if (pid_ > 0) {  // its files go with it, so there is nothing to shut down in order
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void Orthanc::Stop() {
  if (pid_ <= 0) {
    return;
  }
  kill(pid_, SIGTERM);
  bool ended = false;
  for (int i = 0; i < 100 && !ended; ++i) {
    ended = waitpid(pid_, nullptr, WNOHANG) != 0;
    if (!ended) {
      absl::SleepFor(absl::Milliseconds(50));
    }
  }
  if (!ended) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
}

absl::StatusOr<std::string> Orthanc::Get(const std::string& path) const {
  return Body(httplib::Client("127.0.0.1", http_port_).Get(path), path);
}

absl::StatusOr<std::string> Orthanc::Post(const std::string& path, const std::string& body) const {
  return Body(httplib::Client("127.0.0.1", http_port_).Post(path, body, "application/octet-stream"), path);
}

absl::StatusOr<nlohmann::json> Orthanc::GetJson(const std::string& path) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string body, Get(path));
  nlohmann::json json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return absl::FailedPreconditionError("Orthanc answers " + path + " with something that is not JSON");
  }
  return json;
}

absl::Status Orthanc::Upload(const std::vector<std::filesystem::path>& files) const {
  for (const std::filesystem::path& file : files) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file));
    CLOISTER_RETURN_IF_ERROR(Post("/instances", bytes).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<nlohmann::json>> Orthanc::InstancesOfStudy(const std::string& study_instance_uid) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string found, Post("/tools/lookup", study_instance_uid));
  const nlohmann::json matches = nlohmann::json::parse(found, nullptr, /*allow_exceptions=*/false);
  std::vector<nlohmann::json> instances;
  for (const auto& match : matches) {
    if (match.value("Type", "") != "Study") {
      continue;
    }
    CLOISTER_ASSIGN_OR_RETURN(const nlohmann::json list, GetJson(match.value("Path", "") + "/instances"));
    for (const auto& instance : list) {
      CLOISTER_ASSIGN_OR_RETURN(instances.emplace_back(),
                                GetJson("/instances/" + instance.value("ID", "") + "/simplified-tags"));
    }
  }
  return instances;
}

}  // namespace cloister::testing
