// Comma-separated files with a header line; fields in double quotes may hold commas.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "kernels/types.h"

namespace offramp::nas {

// One line, by the columns' names. Throws Error(input) naming the file, the column and the line.
class CsvRow {
 public:
  CsvRow(std::string where, const std::vector<std::string>& names, std::vector<std::string> fields)
      : where_(std::move(where)), names_(names), fields_(std::move(fields)) {}
  const std::string& text(const std::string& name) const;
  i64 count(const std::string& name) const;
  double number(const std::string& name) const;

 private:
  std::string where_;  // "front.csv:3"
  const std::vector<std::string>& names_;
  std::vector<std::string> fields_;
};

// Every line behind the header. Throws Error(input) when the file cannot be read.
void each_csv_row(const std::string& path, const std::function<void(const CsvRow&)>& f);

}  // namespace offramp::nas
