// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/config.h"

#include "protocols/base/file.h"
#include "protocols/base/strict_yaml.h"
#include "protocols/transport/channel.h"

namespace cloister::coordinator {
namespace {

constexpr char kSample[] = R"yaml(# Cloister coordinator. Relative paths are relative to this file.
listen: 0.0.0.0:7600               # the one address and port that sites and operators dial
data: data                         # database, models, masked vectors in transit; 0700
certificates: certificates         # ca.pem tls.pem tls.key signing.pem signing.key, see cloister-coordinator init

web:                               # the status page; keep it on this machine and go there through ssh or a proxy
  host: 127.0.0.1
  port: 7700                       # 0: none
  users: web-users                 # made by cloister-coordinator web-user

limits:
  model: 8192                      # MiB, of one model
# log_level: debug
)yaml";

}  // namespace

absl::StatusOr<CoordinatorConfig> ParseCoordinatorConfig(const std::string& text, const std::filesystem::path& file) {
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml root, StrictYaml::Parse(text, file.string()));
  const std::filesystem::path base = std::filesystem::absolute(file).parent_path();
  const auto path_of = [&](const std::string& value) { return (base / value).lexically_normal(); };

  CoordinatorConfig config;
  config.listen = root.Text("listen", "0.0.0.0:7600");
  // Port 0 (any free one) is for tests; everything else is what a site could dial.
  const size_t colon = config.listen.rfind(':');
  const bool any_port = colon != std::string::npos && config.listen.substr(colon) == ":0";
  if (absl::Status status = any_port ? absl::OkStatus() : transport::CheckTarget(config.listen); !status.ok()) {
    root.Fail("listen", std::string(status.message()));
  }
  config.data = path_of(root.Text("data", "data"));
  config.certificates = path_of(root.Text("certificates", "certificates"));
  config.log_level = root.OneOf("log_level", {"trace", "debug", "info", "warning", "error"}, "info");

  StrictYaml web = root.Map("web", false);
  config.web_host = web.Text("host", "127.0.0.1");
  config.web_port = static_cast<int>(web.Int("port", 0, 65535, 0));
  config.web_users = path_of(web.Text("users", "web-users"));

  StrictYaml limits = root.Map("limits", false);
  config.most_model_bytes = static_cast<uint64_t>(limits.Int("model", 1, int64_t{1} << 20, 8192)) << 20;
  CLOISTER_RETURN_IF_ERROR(root.Finish());
  return config;
}

absl::StatusOr<CoordinatorConfig> ReadCoordinatorConfig(const std::filesystem::path& file) {
  const absl::StatusOr<Bytes> text = ReadFile(file, uint64_t{1} << 20);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(file.string() + ": no such file; cloister-coordinator init --folder DIR writes one");
  }
  CLOISTER_RETURN_IF_ERROR(text.status());
  return ParseCoordinatorConfig(*text, file);
}

std::string SampleCoordinatorConfig() {
  return kSample;
}

}  // namespace cloister::coordinator
