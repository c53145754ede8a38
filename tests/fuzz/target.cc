// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/target.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "protocols/base/file.h"

namespace cloister::fuzz {
namespace {

int WriteSeeds(const std::string& folder) {
  int number = 0;
  for (const Bytes& seed : Seeds()) {
    const absl::Status written = WriteFileAtomically(fmt::format("{}/seed-{:03}", folder, number++), seed);
    if (!written.ok()) {
      std::fprintf(stderr, "%s\n", written.ToString().c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace

void Require(bool holds, const char* invariant) {
  if (holds) return;
  std::fprintf(stderr, "invariant broken: %s\n", invariant);
  std::abort();
}

void RequireSame(ByteView bytes, ByteView expected, const char* invariant) {
  if (bytes == expected) return;
  std::fprintf(stderr, "got      %s\nexpected %s\n", HexEncode(bytes).c_str(), HexEncode(expected).c_str());
  Require(false, invariant);
}

size_t TakeChoice(ByteView& input, size_t count) {
  if (input.empty()) return 0;
  const size_t choice = static_cast<unsigned char>(input.front()) % count;
  input.remove_prefix(1);
  return choice;
}

Bytes WithChoice(size_t choice, ByteView input) {
  return Bytes(1, static_cast<char>(choice)).append(input);
}

}  // namespace cloister::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cloister::fuzz::FuzzOne({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc == 3 && std::string_view((*argv)[1]) == "--seeds") std::exit(cloister::fuzz::WriteSeeds((*argv)[2]));
  return 0;
}

#ifdef CLOISTER_FUZZ_REPLAY
int main(int argc, char** argv) {
  LLVMFuzzerInitialize(&argc, &argv);
  for (int i = 1; i < argc; ++i) {
    const absl::StatusOr<cloister::Bytes> input = cloister::ReadFile(argv[i]);
    if (!input.ok()) {
      std::fprintf(stderr, "%s\n", input.status().ToString().c_str());
      return 1;
    }
    std::printf("%s\n", argv[i]);
    cloister::fuzz::FuzzOne(*input);
  }
  return 0;
}
#endif
