// SPDX-License-Identifier: Apache-2.0
#include "protocols/base/strict_yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>

#include "protocols/base/utf8.h"

namespace cloister {

// One mapping of the document and what has been read of it. A null node stands for an absent optional mapping.
struct StrictYaml::Node {
  YAML::Node yaml;
  std::set<std::string> read;
};

struct StrictYaml::Document {
  std::string file;
  std::vector<Node> nodes;
  std::string first_error;
};

namespace {

constexpr size_t kMaxBytes = 1 << 20;

std::string At(const std::string& file, const YAML::Mark& mark) {
  if (mark.is_null()) return file;
  return fmt::format("{}:{}:{}", file, mark.line + 1, mark.column + 1);
}

// Levenshtein distance, for "did you mean".
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// " (did you mean 'x'?)", or nothing when no candidate is near.
template <typename Candidates>
std::string Suggestion(const std::string& word, const Candidates& candidates) {
  std::string best;
  size_t best_distance = 3;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best.empty() ? "" : fmt::format(" (did you mean '{}'?)", best);
}

template <typename Number>
std::optional<Number> ParseNumber(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseDurationMs(const std::string& text) {
  static constexpr std::pair<const char*, int64_t> kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  const size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string::npos || digits > 9) return std::nullopt;
  for (const auto& [name, milliseconds] : kUnits) {
    if (text.substr(digits) == name) return *ParseNumber<int64_t>(text.substr(0, digits)) * milliseconds;
  }
  return std::nullopt;
}

// The first key that a mapping anywhere below `node` holds twice, as an error, or "".
std::string FindDuplicateKey(const YAML::Node& node, const std::string& file) {
  std::set<std::string> seen;
  if (node.IsMap()) {
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return At(file, entry.first.Mark()) + ": a key must be a plain word";
      if (!seen.insert(entry.first.Scalar()).second) {
        return fmt::format("{}: '{}' stands here a second time", At(file, entry.first.Mark()), entry.first.Scalar());
      }
      if (std::string below = FindDuplicateKey(entry.second, file); !below.empty()) return below;
    }
  } else if (node.IsSequence()) {
    for (const auto& item : node) {
      if (std::string below = FindDuplicateKey(item, file); !below.empty()) return below;
    }
  }
  return "";
}

// Notices the first alias of a document: a few nested ones make a small file stand for an enormous tree.
class AliasDetector final : public YAML::EventHandler {
 public:
  bool found() const { return found_; }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { found_ = true; }
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  bool found_ = false;
};

bool UsesAliases(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  AliasDetector detector;
  parser.HandleNextDocument(detector);
  return detector.found();
}

}  // namespace

absl::StatusOr<StrictYaml> StrictYaml::Parse(const std::string& text, const std::string& file) {
  if (text.size() > kMaxBytes) {
    return absl::InvalidArgumentError(fmt::format("{}: {} bytes; at most {} are read", file, text.size(), kMaxBytes));
  }
  // What is read goes on into JSON, which replaces what is not UTF-8: it would be another text than was read.
  if (!IsUtf8(text)) return absl::InvalidArgumentError(file + ": the file is not UTF-8 text");
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap())
      return absl::InvalidArgumentError(file + ":1:1: the file must be a mapping of 'key: value' lines");
    if (UsesAliases(text)) return absl::InvalidArgumentError(file + ": anchors and aliases (&, *) are not allowed");
    auto document = std::make_shared<Document>();
    document->file = file;
    document->first_error = FindDuplicateKey(root, file);
    document->nodes.push_back({root, {}});
    return StrictYaml(std::move(document), 0);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", At(file, error.mark), error.msg));
  }
}

bool StrictYaml::Has(const std::string& key) const {
  const YAML::Node& yaml = document_->nodes[node_].yaml;
  return yaml.IsMap() && yaml[key].IsDefined();
}

std::string StrictYaml::Where(const std::string& key) const {
  const YAML::Node& yaml = document_->nodes[node_].yaml;
  if (!yaml.IsMap()) return document_->file;
  return At(document_->file, Has(key) ? yaml[key].Mark() : yaml.Mark());
}

void StrictYaml::Fail(const std::string& key, const std::string& problem) {
  if (document_->first_error.empty()) document_->first_error = Where(key) + ": " + problem;
}

std::string StrictYaml::Text(const std::string& key, std::optional<std::string> otherwise) {
  document_->nodes[node_].read.insert(key);
  if (!Has(key)) {
    if (!otherwise) Fail(key, fmt::format("'{}' is missing", key));
    return otherwise.value_or("");
  }
  const YAML::Node value = document_->nodes[node_].yaml[key];
  if (!value.IsScalar()) {
    Fail(key, fmt::format("'{}' must be a single value", key));
    return otherwise.value_or("");
  }
  return value.Scalar();
}

std::string StrictYaml::OneOf(const std::string& key, const std::vector<std::string>& allowed,
                              std::optional<std::string> otherwise) {
  const std::string text = Text(key, otherwise);
  if (!Has(key) || std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  Fail(key, fmt::format("'{}' cannot be '{}'{}; allowed: {}", key, text, Suggestion(text, allowed),
                        fmt::join(allowed, ", ")));
  return otherwise.value_or("");
}

int64_t StrictYaml::Int(const std::string& key, int64_t least, int64_t most, std::optional<int64_t> otherwise) {
  const std::string text = Text(key, otherwise ? std::optional<std::string>("") : std::nullopt);
  if (!Has(key)) return otherwise.value_or(least);
  const std::optional<int64_t> value = ParseNumber<int64_t>(text);
  if (value && *value >= least && *value <= most) return *value;
  Fail(key, fmt::format("'{}' must be a whole number from {} to {}, not '{}'", key, least, most, text));
  return otherwise.value_or(least);
}

uint64_t StrictYaml::Uint64(const std::string& key, std::optional<uint64_t> otherwise) {
  const std::string text = Text(key, otherwise ? std::optional<std::string>("") : std::nullopt);
  if (!Has(key)) return otherwise.value_or(0);
  const std::optional<uint64_t> value = ParseNumber<uint64_t>(text);
  if (value) return *value;
  Fail(key, fmt::format("'{}' must be a whole number from 0 to 2^64-1, not '{}'", key, text));
  return otherwise.value_or(0);
}

double StrictYaml::Real(const std::string& key, double least, double most, std::optional<double> otherwise) {
  const std::string text = Text(key, otherwise ? std::optional<std::string>("") : std::nullopt);
  if (!Has(key)) return otherwise.value_or(least);
  const std::optional<double> value = ParseNumber<double>(text);
  if (value && std::isfinite(*value) && *value >= least && *value <= most) return *value;
  Fail(key, fmt::format("'{}' must be a number from {} to {}, not '{}'", key, least, most, text));
  return otherwise.value_or(least);
}

bool StrictYaml::Bool(const std::string& key, std::optional<bool> otherwise) {
  std::optional<std::string> text;
  if (otherwise) text = *otherwise ? "true" : "false";
  return OneOf(key, {"true", "false"}, text) == "true";
}

int64_t StrictYaml::DurationMs(const std::string& key, std::optional<int64_t> otherwise) {
  const std::string text = Text(key, otherwise ? std::optional<std::string>("") : std::nullopt);
  if (!Has(key)) return otherwise.value_or(0);
  if (const std::optional<int64_t> value = ParseDurationMs(text)) return *value;
  Fail(key, fmt::format("'{}' must be a duration like 500ms, 90s, 15m or 2h, not '{}'", key, text));
  return otherwise.value_or(0);
}

std::vector<std::string> StrictYaml::TextList(const std::string& key,
                                              std::optional<std::vector<std::string>> otherwise) {
  document_->nodes[node_].read.insert(key);
  if (!Has(key)) {
    if (!otherwise) Fail(key, fmt::format("'{}' is missing", key));
    return otherwise.value_or(std::vector<std::string>());
  }
  const YAML::Node value = document_->nodes[node_].yaml[key];
  std::vector<std::string> texts;
  bool plain = value.IsSequence();
  if (plain) {
    for (const auto& item : value) {
      plain = plain && item.IsScalar();
      if (plain) texts.push_back(item.Scalar());
    }
  }
  if (!plain) Fail(key, fmt::format("'{}' must be a list like [a, b]", key));
  return texts;
}

StrictYaml StrictYaml::Map(const std::string& key, bool required) {
  document_->nodes[node_].read.insert(key);
  YAML::Node value;
  if (Has(key)) {
    value.reset(document_->nodes[node_].yaml[key]);
    if (!value.IsMap()) Fail(key, fmt::format("'{}' must be a mapping", key));
  } else if (required) {
    Fail(key, fmt::format("'{}' is missing", key));
  }
  document_->nodes.push_back({value, {}});
  return StrictYaml(document_, document_->nodes.size() - 1);
}

std::vector<StrictYaml> StrictYaml::MapList(const std::string& key, bool required) {
  document_->nodes[node_].read.insert(key);
  std::vector<StrictYaml> items;
  if (!Has(key)) {
    if (required) Fail(key, fmt::format("'{}' is missing", key));
    return items;
  }
  const YAML::Node value = document_->nodes[node_].yaml[key];
  if (!value.IsSequence()) {
    Fail(key, fmt::format("'{}' must be a list", key));
    return items;
  }
  for (const auto& item : value) {
    if (!item.IsMap()) {
      Fail(key, fmt::format("every item of '{}' must be a mapping", key));
      return items;
    }
    document_->nodes.push_back({item, {}});
    items.push_back(StrictYaml(document_, document_->nodes.size() - 1));
  }
  return items;
}

absl::Status StrictYaml::Finish() {
  if (!document_->first_error.empty()) return absl::InvalidArgumentError(document_->first_error);
  for (const Node& node : document_->nodes) {
    if (!node.yaml.IsMap()) continue;
    for (const auto& entry : node.yaml) {
      const std::string key = entry.first.Scalar();
      if (node.read.count(key) != 0) continue;
      return absl::InvalidArgumentError(fmt::format("{}: unknown key '{}'{}; allowed: {}",
                                                    At(document_->file, entry.first.Mark()), key,
                                                    Suggestion(key, node.read), fmt::join(node.read, ", ")));
    }
  }
  return absl::OkStatus();
}

}  // namespace cloister
