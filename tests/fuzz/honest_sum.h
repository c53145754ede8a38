#pragma once
// SPDX-License-Identifier: Apache-2.0
// A secure sum that went well, message by message: the valid beginning of sums that go on otherwise. Site 4 drops out
// after it dealt its shares, so that shares of both kinds are revealed.

#include <array>
#include <vector>

#include "protocols/secagg/client_session.h"
#include "protocols/secagg/server_session.h"
#include "tests/fuzz/consortium.h"

namespace cloister::fuzz {

inline constexpr int kPhases = 5;         // in which sites answer: ServerPhase
inline constexpr int kDropout = 4;        // the site
inline constexpr int kDropoutPhases = 2;  // in which it answers

// How many sites answer in `phase`: 1 to this.
constexpr int AnswersIn(int phase) {
  return phase < kDropoutPhases ? FuzzConsortium::kSites : kDropout - 1;
}

struct HonestSum {
  // What each site said, by phase and then by site from 0.
  std::array<std::vector<Bytes>, kPhases> answers;
  // What the coordinator told site 1 after each phase but the last.
  std::array<Bytes, kPhases - 1> told;
};

// Made on first use.
const HonestSum& TheSum();

SiteId SiteNumber(int number);
secagg::ServerSession NewServer();
secagg::ClientSession NewClient(int number);
// Masks zeros and commits to them.
secagg::ClientStep MaskAndCommit(secagg::ClientSession& session);

// `honest` with a part cut out and other bytes put in its place. `patch`: [u16 offset | u8 bytes to cut | new bytes].
Bytes Patched(ByteView honest, ByteView patch);

// `message`, which ends in a signature, with the one that site `number` would make.
Bytes SignedAgain(int number, std::string_view domain, ByteView message);

}  // namespace cloister::fuzz
