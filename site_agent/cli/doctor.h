#pragma once
// SPDX-License-Identifier: Apache-2.0
// What `cloister-site doctor` looks at, one function a subject. Each says what it found, and what to do where something
// is wrong. Changes nothing but a job folder of its own, which it removes.

#include <functional>
#include <string>
#include <vector>

#include "site_agent/cli/command.h"

namespace cloister::site {

enum class Health {
  kOk,
  kNote,     // works, but somebody should know
  kProblem,  // something this site does will fail
};
// "ok", "note", "problem".
std::string_view HealthName(Health health);

struct Finding {
  std::string subject;  // "certificates"
  Health health = Health::kOk;
  std::string text;
  std::string advice;  // what to do; "" when nothing
};

struct Patient {
  SiteConfig config;
  SiteStore* store = nullptr;
  const Clock* clock = nullptr;
  bool agent_alive = false;
  absl::Duration network_timeout = absl::Seconds(5);
};

using Examination = std::function<std::vector<Finding>(const Patient& patient)>;

// In the order they are made.
const std::vector<Examination>& Examinations();

// doctor_local.cc
std::vector<Finding> ExamineFolders(const Patient& patient);
std::vector<Finding> ExamineCertificates(const Patient& patient);
std::vector<Finding> ExaminePolicy(const Patient& patient);
std::vector<Finding> ExamineLabels(const Patient& patient);
std::vector<Finding> ExamineAgent(const Patient& patient);
std::vector<Finding> ExaminePortal(const Patient& patient);
// doctor_network.cc
std::vector<Finding> ExamineCoordinator(const Patient& patient);
std::vector<Finding> ExaminePacs(const Patient& patient);
std::vector<Finding> ExamineOwnPort(const Patient& patient);
// doctor_worker.cc
std::vector<Finding> ExamineWorker(const Patient& patient);

// A TCP port as a server would take it. OK: it is free; ALREADY_EXISTS: in use; PERMISSION_DENIED: below 1024.
absl::Status TryPort(const std::string& host, int port);

}  // namespace cloister::site
