#include "nas/study/csv.h"

#include <algorithm>

#include "kernels/error.h"
#include "nas/parse.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

constexpr i64 kMaxText = i64{1} << 24;

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields{""};
  bool quoted = false;
  for (char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

// What is wrong is the file, not how the program was called.
template <class F>
auto as_input(F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    throw input_error(e.what());
  }
}

}  // namespace

const std::string& CsvRow::text(const std::string& name) const {
  const auto found = std::size_t(std::find(names_.begin(), names_.end(), name) - names_.begin());
  if (found >= fields_.size()) throw input_error(where_ + ": no '" + name + "'");
  return fields_[found];
}
i64 CsvRow::count(const std::string& name) const {
  return as_input([&] { return parse_count(text(name), where_ + ": " + name); });
}
double CsvRow::number(const std::string& name) const {
  return as_input([&] { return parse_number(text(name), where_ + ": " + name); });
}

void each_csv_row(const std::string& path, const std::function<void(const CsvRow&)>& f) {
  const std::string text = read_file(path, kMaxText);
  std::vector<std::string> names;
  i64 line = 1;
  for (std::size_t at = 0, end; at < text.size(); at = end + 1, ++line) {
    end = std::min(text.find('\n', at), text.size());
    std::vector<std::string> fields = fields_of(text.substr(at, end - at));
    if (line == 1)
      names = std::move(fields);
    else
      f(CsvRow(path + ":" + std::to_string(line), names, std::move(fields)));
  }
}

}  // namespace offramp::nas
