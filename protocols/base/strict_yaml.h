#pragma once
// SPDX-License-Identifier: Apache-2.0
// One strict reader for every YAML or JSON file a person or a peer writes (JSON is YAML). Each field is named once,
// where it is read; whatever was not read is an error. Errors read "file:line:column: what is wrong; what is allowed".
//
//   StrictYaml root = ...;
//   config.port = root.Int("port", 1, 65535);              // required
//   config.name = root.Text("name", "unnamed");            // with a default
//   StrictYaml tls = root.Map("tls");                      // nested
//   CLOISTER_RETURN_IF_ERROR(root.Finish());               // the first error of the whole tree, or an unknown key

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/status.h"

namespace cloister {

// A mapping in a document. Getters never fail by themselves: they note the first error, which Finish() of the root
// returns, and return the default (or an empty value). Copies share the document. Not thread-safe.
class StrictYaml {
 public:
  // INVALID_ARGUMENT: not YAML, not UTF-8, not a mapping at the top, or more than 1 MiB. `file` is the name used in
  // errors.
  static absl::StatusOr<StrictYaml> Parse(const std::string& text, const std::string& file);

  bool Has(const std::string& key) const;

  std::string Text(const std::string& key, std::optional<std::string> otherwise = std::nullopt);
  // One of `allowed`; a near miss is suggested.
  std::string OneOf(const std::string& key, const std::vector<std::string>& allowed,
                    std::optional<std::string> otherwise = std::nullopt);
  int64_t Int(const std::string& key, int64_t least, int64_t most, std::optional<int64_t> otherwise = std::nullopt);
  uint64_t Uint64(const std::string& key, std::optional<uint64_t> otherwise = std::nullopt);
  double Real(const std::string& key, double least, double most, std::optional<double> otherwise = std::nullopt);
  bool Bool(const std::string& key, std::optional<bool> otherwise = std::nullopt);
  // "90s", "15m", "2h" or "500ms"; in milliseconds.
  int64_t DurationMs(const std::string& key, std::optional<int64_t> otherwise = std::nullopt);
  std::vector<std::string> TextList(const std::string& key,
                                    std::optional<std::vector<std::string>> otherwise = std::nullopt);

  // A nested mapping; an absent one reads as empty when `required` is false.
  StrictYaml Map(const std::string& key, bool required = true);
  // The mappings of a sequence; empty when absent and not required.
  std::vector<StrictYaml> MapList(const std::string& key, bool required = true);

  // Notes `problem` at the value of `key` (or at this mapping when absent), unless an earlier error stands.
  void Fail(const std::string& key, const std::string& problem);
  // "file:line:column" of the value of `key`.
  std::string Where(const std::string& key) const;

  // INVALID_ARGUMENT: the first error of the document, or the first key nobody read. Call on the root, last.
  absl::Status Finish();

 private:
  struct Document;
  struct Node;
  StrictYaml(std::shared_ptr<Document> document, size_t node) : document_(std::move(document)), node_(node) {}

  std::shared_ptr<Document> document_;
  size_t node_;
};

}  // namespace cloister
