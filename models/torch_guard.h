#pragma once
// SPDX-License-Identifier: Apache-2.0
// The one place where LibTorch's exceptions become Status. Everything in models/ that calls LibTorch runs inside Guard.

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>

#include "protocols/base/status.h"

namespace cloister::models {
namespace internal {

inline absl::Status FromTorchMessage(std::string_view what, std::string message, absl::StatusCode code) {
  // Only the first line: the rest is a C++ or TorchScript backtrace.
  message = message.substr(0, message.find('\n'));
  for (const char* sign : {"not enough memory", "can't allocate memory", "out of memory"}) {
    if (message.find(sign) != std::string::npos) {
      return absl::ResourceExhaustedError(std::string(what) + ": out of memory");
    }
  }
  return absl::Status(code, std::string(what) + ": " + message);
}

}  // namespace internal

// Runs `body` (returning Status or StatusOr) and turns what LibTorch throws into a Status.
// RESOURCE_EXHAUSTED: out of memory. Anything else becomes `code`: INTERNAL where only our own mistake can throw,
// INVALID_ARGUMENT where foreign data or a foreign module can.
template <typename Body>
std::invoke_result_t<Body> Guard(std::string_view what, absl::StatusCode code, Body&& body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    return internal::FromTorchMessage(what, error.what_without_backtrace(), code);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(std::string(what) + ": out of memory");
  } catch (const std::exception& error) {
    return internal::FromTorchMessage(what, error.what(), code);
  }
}

}  // namespace cloister::models
