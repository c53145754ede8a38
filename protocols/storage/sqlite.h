#pragma once
// SPDX-License-Identifier: Apache-2.0
// What SOCI does not say about SQLite: result codes, the types of a row's values, the end of a statement. Handles are
// void* because SOCI declares SQLite's types in a namespace of its own. Only connection.cc includes this.

#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/status.h"
#include "protocols/storage/value.h"

namespace cloister::storage::sqlite {

// Tells constraint kinds and I/O errors apart from now on.
void UseExtendedCodes(void* connection);

// The Status for result `code`; `message` must hold no parameter values. `connection` (may be null) and `last_errno`
// tell a full disk from other I/O errors.
absl::Status ToStatus(void* connection, int code, int last_errno, const std::string& message);

// False after an error that made SQLite roll back by itself.
bool InTransaction(void* connection);

int ParameterCount(void* statement);

// The row that the statement stands on, by the types of the stored values.
std::vector<Value> ReadRow(void* statement);

// The statements of a script, each with its ';' (the last may lack it). INTERNAL: text after the last one that is no
// statement.
absl::StatusOr<std::vector<std::string>> Split(std::string_view script);

}  // namespace cloister::storage::sqlite
