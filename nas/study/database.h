// A thin shell around SQLite: statements that clean up after themselves, and errors of this project. Only
// nas/study includes it.
#pragma once
#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>

#include "kernels/types.h"

namespace offramp::nas {

class Database {
 public:
  // flags: of sqlite3_open_v2. Throws Error(input) when the file cannot be opened.
  Database(const std::string& path, int flags);

  void run(const char* sql);  // any number of statements, results ignored
  i64 number(const char* sql);
  std::string text(const char* sql);
  sqlite3* handle() const { return db_.get(); }
  // The Error that `code` stands for, with the file's name and SQLite's own words.
  [[noreturn]] void fail(int code) const;

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> db_;
};

// Parameters are bound from left to right, columns read from left to right. NaN is stored as NULL and read as
// NaN.
class Statement {
 public:
  Statement(const Database& database, const char* sql);

  Statement& bind(i64 value);
  Statement& bind(double value);
  Statement& bind(std::string_view value);
  bool step();  // true: a row is there; false: done
  void finish() {
    while (step()) {
    }
  }

  i64 integer();
  double real();
  std::string text();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  const Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int parameter_ = 0, column_ = 0;
};

}  // namespace offramp::nas
