// SPDX-License-Identifier: Apache-2.0
// The reader of every YAML and JSON file, asked for every type under keys that are there and keys that are not.
#include "protocols/base/strict_yaml.h"

#include "tests/fuzz/target.h"

namespace cloister::fuzz {
namespace {

constexpr int kDepth = 3;

void ReadMap(StrictYaml yaml, int depth) {
  yaml.Text("text", "otherwise");
  yaml.OneOf("word", {"required", "optional", ""}, "");
  const int64_t number = yaml.Int("int", -5, 70'000, 0);
  Require(number >= -5 && number <= 70'000, "a whole number is in its range");
  yaml.Uint64("uint64", 0);
  const double real = yaml.Real("real", -1, 1e6, 0.0);
  Require(real >= -1 && real <= 1e6, "a number is in its range, and a number");
  yaml.Bool("bool", false);
  Require(yaml.DurationMs("duration", 0) >= 0, "no duration is negative");
  yaml.TextList("list", std::vector<std::string>());
  yaml.Where("text");
  if (depth == 0) return;
  ReadMap(yaml.Map("map", false), depth - 1);
  for (const StrictYaml& item : yaml.MapList("maps", false)) ReadMap(item, depth - 1);
}

}  // namespace

void FuzzOne(ByteView input) {
  absl::StatusOr<StrictYaml> yaml = StrictYaml::Parse(Bytes(input), "file");
  if (!yaml.ok()) return;
  ReadMap(*yaml, kDepth);
  const absl::Status first = yaml->Finish();
  Require(yaml->Finish() == first, "Finish says the same again");
}

std::vector<Bytes> Seeds() {
  return {R"(text: "a \u00e9" # comment
word: required
int: 7
uint64: 18446744073709551615
real: 1.5e-3
bool: true
duration: 90s
list: [a, 'b', "c"]
map: {text: b, map: {int: 1}}
maps:
  - {bool: false}
  - duration: 2h
    text: |
      two
      lines
)",
          R"({"text":"a","int":1,"list":["x"],"map":{"real":2},"maps":[{"word":"optional"}]})"};
}

}  // namespace cloister::fuzz
