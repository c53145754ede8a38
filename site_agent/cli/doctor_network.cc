// SPDX-License-Identifier: Apache-2.0
// Coordinator, PACS, our own DICOM port: what is reached by network. Every look has a deadline.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "protocols/base/descriptor.h"
#include "protocols/transport/identity.h"
#include "site_agent/cli/doctor.h"
#include "site_agent/cli/site_pacs.h"
#include "site_agent/link/grpc_coordinator_link.h"

namespace cloister::site {
namespace {

// A study that no PACS has: the question is whether it answers.
constexpr char kNoSuchStudy[] = "1.2.826.0.1.3680043.10.543.0.0.0.1";

}  // namespace

absl::Status TryPort(const std::string& host, int port) {
  const Descriptor descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (!descriptor.valid() || inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::OkStatus();  // a name or IPv6: the server itself will say
  }
  setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(descriptor.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      listen(descriptor.get(), 1) == 0) {
    return absl::OkStatus();
  }
  if (errno == EACCES) {
    return absl::PermissionDeniedError(fmt::format("port {} needs more rights than this account has", port));
  }
  return absl::AlreadyExistsError(fmt::format("port {} cannot be used: {}", port, std::strerror(errno)));
}

std::vector<Finding> ExamineCoordinator(const Patient& patient) {
  transport::ChannelOptions options;
  options.target = patient.config.coordinator;
  options.tls = transport::TlsFilesOf(patient.config.certificates);
  options.role = crypto::Role::kSite;
  options.renew_command = "cloister-site enroll --renew";
  const auto problem = [&](const absl::Status& status) -> std::vector<Finding> {
    return {{"coordinator", Health::kProblem, std::string(status.message()),
             absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)
                 ? "check \"coordinator\" in site.yaml, and that this machine may dial that address (https_proxy is "
                   "honoured)"
                 : "the coordinator's operator can tell more"}};
  };
  if (!transport::CheckOwnCertificate(options.tls, options.role, patient.clock->Now()).ok()) {
    return {{"coordinator", Health::kProblem,
             fmt::format("{} was not tried, because it asks for our certificate", options.target),
             "see the certificates above"}};
  }
  const auto channel = transport::CoordinatorChannel::Create(options, patient.clock);
  if (!channel.ok()) {
    return problem(channel.status());
  }
  GrpcCoordinatorLink::Options link_options;
  link_options.agent_version = CLOISTER_VERSION;
  link_options.call_timeout = patient.network_timeout;
  GrpcCoordinatorLink link(*channel, link_options);
  const absl::StatusOr<wire::Work> work = link.PullWork(0, absl::ZeroDuration(), transport::StopSource());
  if (!work.ok()) {
    return problem(work.status());
  }
  return {{"coordinator", Health::kOk,
           fmt::format("{} answers, mutual TLS; {} open work item{}", patient.config.coordinator, work->items.size(),
                       work->items.size() == 1 ? "" : "s"),
           ""}};
}

std::vector<Finding> ExaminePacs(const Patient& patient) {
  const SiteConfig& config = patient.config;
  PacsConfig pacs = PacsOf(config);
  pacs.connect_timeout = patient.network_timeout;
  pacs.response_timeout = 2 * patient.network_timeout;
  pacs.call_deadline = 3 * patient.network_timeout;
  const std::string where = fmt::format("{} at {}:{}", config.pacs_ae_title, config.pacs_host, config.pacs_port);
  const absl::StatusOr<PacsClient> client = PacsClient::Create(pacs);
  if (!client.ok()) {
    return {{"PACS", Health::kProblem, std::string(client.status().message()), "correct \"pacs\" in site.yaml"}};
  }
  if (const absl::Status echo = client->Echo(); !echo.ok()) {
    return {{"PACS", Health::kProblem, std::string(echo.message()),
             absl::IsUnavailable(echo) ? "its address is pacs.host and pacs.port in site.yaml" : ""}};
  }
  StudyQuery query;
  query.study_instance_uid = kNoSuchStudy;
  if (const absl::Status find = client->FindStudies(query).status(); !find.ok()) {
    return {{"PACS", Health::kProblem, fmt::format("C-ECHO works, C-FIND does not: {}", std::string(find.message())),
             fmt::format("in the PACS, list AE title {} with this machine's address and port {}, allowed to query and "
                         "to retrieve",
                         config.ae_title, config.scp_port)}};
  }
  return {{"PACS", Health::kOk, fmt::format("{} answers C-ECHO and C-FIND to {}", where, config.ae_title), ""}};
}

std::vector<Finding> ExamineOwnPort(const Patient& patient) {
  const SiteConfig& config = patient.config;
  if (config.scp_port == 0) {
    return {{"DICOM port", config.retrieve == RetrieveBy::kMove ? Health::kProblem : Health::kNote,
             "dicom.port is 0: a new port at every start, which no PACS can be told",
             "choose a fixed dicom.port in site.yaml"}};
  }
  const std::string inbound =
      config.retrieve == RetrieveBy::kMove
          ? fmt::format(
                "C-MOVE needs the PACS to dial in here: AE title {} and port {} listed there, and open inside "
                "the hospital's network",
                config.ae_title, config.scp_port)
          : "";
  if (patient.agent_alive) {
    return {{"DICOM port", Health::kOk, fmt::format("{} is held by the running agent", config.scp_port), inbound}};
  }
  if (const absl::Status free = TryPort("0.0.0.0", config.scp_port); !free.ok()) {
    return {{"DICOM port", Health::kProblem, std::string(free.message()),
             absl::IsPermissionDenied(free) ? "choose a dicom.port above 1023 in site.yaml"
                                            : "stop the other program, or choose another dicom.port in site.yaml and "
                                              "in the PACS"}};
  }
  return {{"DICOM port", Health::kOk, fmt::format("{} is free for {}", config.scp_port, config.ae_title), inbound}};
}

}  // namespace cloister::site
