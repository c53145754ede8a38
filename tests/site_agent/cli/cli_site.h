#pragma once
// SPDX-License-Identifier: Apache-2.0
// A site in a temporary folder and the command line in this process: what a person types, and what they see.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "protocols/plan/experiment.h"
#include "site_agent/cli/command.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_consortium.h"

namespace cloister::site {

struct Shown {
  int status = -1;
  std::string out;
  std::string err;

  nlohmann::json Json() const { return nlohmann::json::parse(out, nullptr, false); }
};

class CliSite : public ::testing::Test {
 protected:
  void SetUp() override;

  // "cloister-site" and these arguments; --config of the site is added unless `with_config` is false.
  Shown Run(std::vector<std::string> arguments, const std::string& input = "", bool with_config = true);

  std::filesystem::path File(const std::string& name) const { return dir_.path() / name; }
  void Write(const std::string& name, const std::string& text) const;
  // site.yaml; `more` goes to its end.
  void WriteConfig(const std::string& more = "");
  // Keys, requests and certificates of `consortium` for "north".
  void EnrolNorth();
  // What `cloister ca approve` would send back for site.csr.
  Bytes Approve(const crypto::CertificateAuthority& ca, int validity_days = 3000) const;

  SiteStore& store();
  // A valid plan, offered as `job`. `name` makes plans different.
  ExperimentRow Offer(const std::string& job, const std::string& name = "chest-pneumonia");
  // A release of `job` in `state`, with numbers unless it is still offered.
  ReleaseRow AddRelease(const std::string& release, ReleaseState state);
  std::vector<audit::Record> AuditLog();

  testing::TempDir dir_;
  FakeClock clock_{testing::kTestNow};
  testing::TestConsortium consortium_;
  int pacs_port_ = 0;  // nobody listens there
  int coordinator_port_ = 0;
  std::unique_ptr<SiteStore> store_;
};

}  // namespace cloister::site
