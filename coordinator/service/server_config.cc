// SPDX-License-Identifier: Apache-2.0
#include "coordinator/service/server_config.h"

#include "protocols/base/file.h"
#include "protocols/base/strict_yaml.h"

namespace cloister::coordinator {

absl::StatusOr<ServerConfig> ReadServerConfig(const std::filesystem::path& file) {
  const absl::StatusOr<Bytes> text = ReadFile(file, 1 << 20);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(file.string() + " does not exist; make one with: cloister-coordinator init --config " +
                               file.string());
  }
  CLOISTER_RETURN_IF_ERROR(text.status());
  CLOISTER_ASSIGN_OR_RETURN(StrictYaml root, StrictYaml::Parse(*text, file.string()));
  const std::filesystem::path folder = std::filesystem::absolute(file).parent_path();
  ServerConfig config;
  config.listen = root.Text("listen");
  config.data = folder / root.Text("data", "data");
  config.certificates = folder / root.Text("certificates", "certificates");
  StrictYaml web = root.Map("web", false);
  config.web_host = web.Text("host", "127.0.0.1");
  config.web_port = static_cast<int>(web.Int("port", 0, 65535, 0));
  config.web_users = folder / web.Text("users", "users");
  config.log_level = root.OneOf("log_level", {"trace", "debug", "info", "warning", "error"}, "info");
  CLOISTER_RETURN_IF_ERROR(root.Finish());
  return config;
}

std::string SampleServerConfig() {
  return R"(# Cloister coordinator. Relative paths are relative to this file.
listen: 0.0.0.0:7600          # sites and operators dial this; mutual TLS
data: data                    # database and blobs
certificates: certificates    # made by: cloister enroll --id ID --role coordinator --folder certificates
web:                          # the status page
  host: 127.0.0.1
  port: 7601                  # 0: none
  users: users                # made by: cloister-coordinator web-user NAME
)";
}

}  // namespace cloister::coordinator
