#pragma once
// SPDX-License-Identifier: Apache-2.0
// What a fuzz target is made of. Each file <name>_fuzz.cc defines FuzzOne and Seeds; target.cc makes the program of
// them:
//   fuzz_<name> --seeds FOLDER      writes the seeds
//   fuzz_<name> FILE...             replays inputs
//   fuzz_<name> CORPUS              fuzzes (libFuzzer, which clang alone has)

#include <initializer_list>
#include <vector>

#include "protocols/base/bytes.h"

namespace cloister::fuzz {

// Decodes `input`, which may be anything. Ends the process when what it decodes to breaks an invariant.
void FuzzOne(ByteView input);

// Valid inputs to begin with.
std::vector<Bytes> Seeds();

// Ends the process with `invariant` when it does not hold.
void Require(bool holds, const char* invariant);

// The same, with the two byte strings that differ in the message.
void RequireSame(ByteView bytes, ByteView expected, const char* invariant);

// The choice of one of `count` decoders that the first byte of `input` makes, which is taken off it. Empty: 0.
size_t TakeChoice(ByteView& input, size_t count);
// `input` with the choice in front.
Bytes WithChoice(size_t choice, ByteView input);

}  // namespace cloister::fuzz
