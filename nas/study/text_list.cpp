#include "nas/study/text_list.h"

#include <charconv>

#include "kernels/error.h"

namespace offramp::nas {
namespace {

template <class T>
void append(std::string& text, T value) {
  char buffer[64];
  text.append(buffer,
              std::to_chars(buffer, buffer + sizeof buffer, value).ptr);  // shortest form that reads back
}
void append(std::string& text, const std::optional<float>& value) {
  if (value)
    append(text, *value);
  else
    text += "null";
}

void append(std::string& text, const std::string& name) { text += name; }

template <class List>
std::string joined(const List& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i) text += ',';
    append(text, values[i]);
  }
  return text;
}

template <class T>
bool read(std::string_view item, T& value) {
  const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), value);
  return error == std::errc{} && end == item.data() + item.size();
}
bool read(std::string_view item, std::optional<float>& value) {
  if (item == "null") {
    value.reset();
    return true;
  }
  float number = 0;
  const bool good = read(item, number);
  value = number;
  return good;
}

bool read(std::string_view item, std::string& name) {
  name = item;
  return true;
}

template <class List>
void split(std::string_view text, List& values) {
  values.clear();
  if (text.empty()) return;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    typename List::value_type value{};
    if (!read(text.substr(begin, end - begin), value))
      throw input_error("list of numbers: cannot read item " + std::to_string(values.size()) + " of \"" +
                        std::string(text.substr(0, 80)) + "\"");
    values.push_back(value);
    begin = end + 1;
  }
}

}  // namespace

std::string text_of(const std::vector<i32>& values) { return joined(values); }
std::string text_of(const std::vector<i64>& values) { return joined(values); }
std::string text_of(const std::vector<double>& values) { return joined(values); }
std::string text_of(const Thresholds& values) { return joined(values); }
std::string text_of(const std::vector<std::string>& values) { return joined(values); }

void parse_list(std::string_view text, std::vector<i32>& values) { split(text, values); }
void parse_list(std::string_view text, std::vector<i64>& values) { split(text, values); }
void parse_list(std::string_view text, std::vector<double>& values) { split(text, values); }
void parse_list(std::string_view text, Thresholds& values) { split(text, values); }
void parse_list(std::string_view text, std::vector<std::string>& values) { split(text, values); }

}  // namespace offramp::nas
