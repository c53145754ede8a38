#pragma once
// SPDX-License-Identifier: Apache-2.0
// Where results go: the PACS, or a fake of the tests.

#include <filesystem>
#include <vector>

#include "site_agent/ingest/pacs_client.h"

namespace cloister::site {

class ResultSink {
 public:
  virtual ~ResultSink() = default;
  // As PacsClient::StoreFiles.
  virtual absl::StatusOr<StoreOutcome> Store(const std::vector<std::filesystem::path>& files) = 0;
};

class PacsResultSink final : public ResultSink {
 public:
  explicit PacsResultSink(PacsClient client) : client_(std::move(client)) {}
  absl::StatusOr<StoreOutcome> Store(const std::vector<std::filesystem::path>& files) override {
    return client_.StoreFiles(files);
  }

 private:
  PacsClient client_;
};

}  // namespace cloister::site
