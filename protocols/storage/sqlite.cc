// SPDX-License-Identifier: Apache-2.0
#include "protocols/storage/sqlite.h"

#include <sqlite3.h>

#include <cerrno>

namespace cloister::storage::sqlite {
namespace {

sqlite3* Connection(void* connection) {
  return static_cast<sqlite3*>(connection);
}
sqlite3_stmt* Statement(void* statement) {
  return static_cast<sqlite3_stmt*>(statement);
}

// SQLite calls only ENOSPC "full"; a quota and a file size limit are I/O errors to it, and it does not keep their errno
// over the rollback that follows. What the C library has is then still theirs: Guard() clears it before each call.
bool IsFull(void* connection, int last_errno) {
  const int kept = connection == nullptr ? 0 : sqlite3_system_errno(Connection(connection));
  for (const int error : {kept, last_errno}) {
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) return true;
  }
  return false;
}

absl::Status Full(const std::string& message) {
  return absl::ResourceExhaustedError(message + "; the disk is full: free some space and try again");
}

bool OnlySpace(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f") == std::string_view::npos;
}

Value ReadColumn(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement, column)));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const int size = sqlite3_column_bytes(statement, column);
      return Blob{size == 0 ? Bytes() : Bytes(bytes, static_cast<size_t>(size))};
    }
    default:
      return Null();
  }
}

}  // namespace

void UseExtendedCodes(void* connection) {
  sqlite3_extended_result_codes(Connection(connection), 1);
}

absl::Status ToStatus(void* connection, int code, int last_errno, const std::string& message) {
  switch (code & 0xff) {
    case SQLITE_OK:
      return absl::OkStatus();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return absl::UnavailableError(message + "; another process keeps the database locked: try again");
    case SQLITE_FULL:
      return Full(message);
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return absl::ResourceExhaustedError(message);
    case SQLITE_IOERR:
      return IsFull(connection, last_errno) ? Full(message) : absl::UnavailableError(message);
    case SQLITE_CANTOPEN:
      return IsFull(connection, last_errno) ? Full(message) : absl::NotFoundError(message);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_CONSTRAINT:
      if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID) {
        return absl::AlreadyExistsError(message);
      }
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

bool InTransaction(void* connection) {
  return sqlite3_get_autocommit(Connection(connection)) == 0;
}

int ParameterCount(void* statement) {
  return sqlite3_bind_parameter_count(Statement(statement));
}

std::vector<Value> ReadRow(void* statement) {
  const int columns = sqlite3_data_count(Statement(statement));
  std::vector<Value> values;
  values.reserve(static_cast<size_t>(columns));
  for (int column = 0; column < columns; ++column) values.push_back(ReadColumn(Statement(statement), column));
  return values;
}

absl::StatusOr<std::vector<std::string>> Split(std::string_view script) {
  std::vector<std::string> statements;
  std::string statement;
  for (const char c : script) {
    statement.push_back(c);
    // Knows quotes, comments and the bodies of triggers.
    if (c == ';' && sqlite3_complete(statement.c_str()) != 0) {
      statements.push_back(std::move(statement));
      statement.clear();
    }
  }
  if (OnlySpace(statement)) return statements;
  if (sqlite3_complete((statement + ";").c_str()) == 0) {
    return absl::InternalError("an SQL script ends within a statement");
  }
  statements.push_back(std::move(statement));
  return statements;
}

}  // namespace cloister::storage::sqlite
