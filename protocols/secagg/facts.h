#pragma once
// SPDX-License-Identifier: Apache-2.0
// Facts: what a site must never contradict, across kill -9 and replay. The driver stores every fact of a Step durably,
// insert-or-must-equal, BEFORE it sends the Step's reply, and gives all stored facts of a scope back to Create.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/bytes.h"
#include "protocols/secagg/params.h"

namespace cloister::secagg {

// key: "<job>/<round>/<kind>/<attempt>/<what>", or "<job>/<round>/<kind>/closed" once a share was released.
struct Fact {
  std::string key;
  Digest value;
};

using Facts = std::map<std::string, Digest>;

// "<job>/<round>/<kind>/": the prefix of all facts that a session of these parameters wants (every attempt).
std::string FactScope(const SumParams& params);

// The newest attempt of this round that `facts` hold an advert of, or none.
std::optional<uint32_t> NewestAttempt(const SumParams& params, const Facts& facts);

}  // namespace cloister::secagg
