// Steps as lines of text: what benchmarks, tables of latency and their users write and read.
#include <charconv>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nn/plan/dims_fields.h"
#include "nn/plan/plan.h"

namespace offramp::nn {
namespace {

// The default value of the variant's alternative that has this name.
template <std::size_t i = 0>
StepDims dims_of(std::string_view op) {
  if constexpr (i == std::variant_size_v<StepDims>) {
    const std::vector<std::string> known(std::begin(kOpNames), std::end(kOpNames));
    throw input_error("there is no operation '" + std::string(op) + "'" + did_you_mean(op, known));
  } else {
    if (op == kOpNames[i]) return StepDims(std::in_place_index<i>);
    return dims_of<i + 1>(op);
  }
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view blank = " \t\r";
  for (std::size_t at = text.find_first_not_of(blank); at != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(blank, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(blank, end);
  }
  return words;
}

// The largest value of a field's type.
template <class T>
constexpr i64 most() {
  if constexpr (std::is_same_v<T, Act>) return i64(Act::sigmoid);
  if constexpr (std::is_enum_v<T> || std::is_same_v<T, bool>) return 1;  // the other enums have two values
  return INT64_MAX;
}

}  // namespace

std::string dims_text(const StepDims& dims) {
  std::string text(op_name(dims));
  StepDims copy = dims;
  visit_fields(copy, [&](const char* name, auto& value) {
    text += std::string(" ") + name + "=" + std::to_string(i64(value));
  });
  return text;
}

StepDims parse_dims(std::string_view text) {
  const auto bad = [&](const std::string& what) {
    return input_error("'" + std::string(text) + "': " + what);
  };
  const std::vector<std::string_view> words = words_of(text);
  if (words.empty()) throw input_error("an operation with its fields is wanted, got an empty line");
  StepDims dims = dims_of(words[0]);
  std::map<std::string_view, i64> given;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t sign = words[i].find('=');
    if (sign == std::string_view::npos) throw bad("'" + std::string(words[i]) + "' is not name=number");
    const std::string_view name = words[i].substr(0, sign), number = words[i].substr(sign + 1);
    i64 value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size())
      throw bad("'" + std::string(number) + "' is not an integer");
    if (!given.emplace(name, value).second) throw bad("'" + std::string(name) + "' is given twice");
  }
  visit_fields(dims, [&](const char* name, auto& field) {
    using T = std::remove_reference_t<decltype(field)>;
    const auto found = given.find(name);
    if (found == given.end()) throw bad(std::string("'") + name + "' is missing");
    if (found->second < 0 || found->second > most<T>())
      throw bad(std::string("'") + name + "' is out of range");
    field = T(found->second);
    given.erase(found);
  });
  if (!given.empty()) throw bad("there is no field '" + std::string(given.begin()->first) + "'");
  try {
    require_valid(dims);
  } catch (const Error& e) {
    throw bad(e.what());
  }
  return dims;
}

}  // namespace offramp::nn
