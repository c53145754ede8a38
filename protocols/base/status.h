#pragma once
// SPDX-License-Identifier: Apache-2.0
// The two macros every Status-returning function is written with. Nothing else about errors lives here.

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#define CLOISTER_RETURN_IF_ERROR(expression)                  \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

#define CLOISTER_CONCAT_INNER(a, b) a##b
#define CLOISTER_CONCAT(a, b) CLOISTER_CONCAT_INNER(a, b)

// CLOISTER_ASSIGN_OR_RETURN(auto x, F()): x holds F()'s value, or the function returns F()'s status.
#define CLOISTER_ASSIGN_OR_RETURN(lhs, expression) \
  CLOISTER_ASSIGN_OR_RETURN_INNER(CLOISTER_CONCAT(status_or_, __LINE__), lhs, expression)
#define CLOISTER_ASSIGN_OR_RETURN_INNER(result, lhs, expression) \
  auto result = (expression);                                    \
  if (!result.ok()) {                                            \
    return result.status();                                      \
  }                                                              \
  lhs = *std::move(result)

namespace cloister {

// `status` with "context: " in front of its message; OK stays OK.
absl::Status Annotate(const absl::Status& status, const std::string& context);

}  // namespace cloister
