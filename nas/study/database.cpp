#include "nas/study/database.h"

#include <cmath>
#include <limits>

#include "kernels/error.h"

namespace offramp::nas {
namespace {
constexpr int kBusyMs = 5000;  // readers and the writer wait for one another at most this long
}

Database::Database(const std::string& path, int flags) : path_(path) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
  db_.reset(db);
  if (code != SQLITE_OK)
    throw input_error("archive " + path_ +
                      ": cannot be opened: " + (db ? sqlite3_errmsg(db) : sqlite3_errstr(code)));
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, kBusyMs);
}

void Database::fail(int code) const {
  const std::string words = sqlite3_errmsg(db_.get());
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR:  // a table or column that is not there
    case SQLITE_MISMATCH:
      throw input_error("archive " + path_ + ": damaged or not an archive (" + words +
                        "); restore it from a copy or start a new run");
    case SQLITE_CONSTRAINT:
      throw Error("archive " + path_ + ": the row is there already (" + words + ")");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      throw input_error("archive " + path_ + ": cannot be written (" + words +
                        "); check the permissions of the file and its folder");
    case SQLITE_FULL:
      throw Error("archive " + path_ + ": the disk is full; make room, then resume");
    default:
      throw Error("archive " + path_ + ": " + words);
  }
}

void Database::run(const char* sql) {
  const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

i64 Database::number(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer() : 0;
}

std::string Database::text(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.text() : std::string();
}

Statement::Statement(const Database& database, const char* sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database.handle(), sql, -1, &statement, nullptr);
  statement_.reset(statement);
  if (code != SQLITE_OK) database_.fail(code);
}

Statement& Statement::bind(i64 value) {
  const int code = sqlite3_bind_int64(statement_.get(), ++parameter_, value);
  if (code != SQLITE_OK) database_.fail(code);
  return *this;
}

Statement& Statement::bind(double value) {
  const int code = std::isnan(value) ? sqlite3_bind_null(statement_.get(), ++parameter_)
                                     : sqlite3_bind_double(statement_.get(), ++parameter_, value);
  if (code != SQLITE_OK) database_.fail(code);
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  const int code = sqlite3_bind_text64(statement_.get(), ++parameter_, value.empty() ? "" : value.data(),
                                       value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) database_.fail(code);
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  column_ = 0;
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail(code);
  return false;
}

i64 Statement::integer() { return sqlite3_column_int64(statement_.get(), column_++); }

double Statement::real() {
  const int column = column_++;
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL
             ? std::numeric_limits<double>::quiet_NaN()
             : sqlite3_column_double(statement_.get(), column);
}

std::string Statement::text() {
  const int column = column_++;
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  const int bytes = sqlite3_column_bytes(statement_.get(), column);
  return text ? std::string(reinterpret_cast<const char*>(text), std::size_t(bytes)) : std::string();
}

}  // namespace offramp::nas
