#include "nas/parse.h"

#include <charconv>
#include <cmath>

#include "kernels/error.h"

namespace offramp::nas {

i64 parse_count(std::string_view text, const std::string& what, i64 low, i64 high) {
  auto bad = [&](const std::string& wanted) {
    return usage_error(what + ": '" + std::string(text) + "' is not " + wanted);
  };
  double unit = 1;
  std::string_view digits = text;
  if (!digits.empty()) {
    switch (digits.back()) {
      case 'k':
      case 'K':
        unit = 1e3;
        break;
      case 'M':
        unit = 1e6;
        break;
      case 'G':
        unit = 1e9;
        break;
      default:
        break;
    }
    if (unit > 1) digits.remove_suffix(1);
  }
  i64 whole = 0;
  const char* const end = digits.data() + digits.size();
  if (unit == 1) {
    const auto [stop, failure] = std::from_chars(digits.data(), end, whole);
    if (digits.empty() || failure == std::errc::invalid_argument || stop != end)
      throw bad("a whole number (k, M or G may follow)");
    if (failure != std::errc{}) throw bad("in range");
  } else {
    double value = 0;
    const auto [stop, failure] = std::from_chars(digits.data(), end, value, std::chars_format::fixed);
    // 1.1 * 1e6 is not exactly 1100000 in binary: the nearest whole number counts.
    const double scaled = value * unit, rounded = std::round(scaled);
    if (digits.empty() || failure != std::errc{} || stop != end || !(std::fabs(scaled) < 1e18) ||
        std::fabs(scaled - rounded) > 1e-6)
      throw bad("a whole number (k, M or G may follow)");
    whole = i64(rounded);
  }
  if (whole < low || whole > high)
    throw usage_error(what + ": " + std::string(text) + " is outside " + std::to_string(low) + " .. " +
                      std::to_string(high));
  return whole;
}

double parse_number(std::string_view text, const std::string& what) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (text.empty() || failure != std::errc{} || stop != end || !std::isfinite(value))
    throw usage_error(what + ": '" + std::string(text) + "' is not a finite number");
  return value;
}

u64 parse_seed(std::string_view text, const std::string& what) {
  u64 value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (text.empty() || failure != std::errc{} || stop != end)
    throw usage_error(what + ": '" + std::string(text) + "' is not a whole number from 0 to 2^64-1");
  return value;
}

std::vector<i64> parse_integers(std::string_view text, const std::string& what) {
  std::vector<i64> out;
  size_t begin = 0;
  while (true) {
    const size_t comma = text.find(',', begin);
    std::string_view item = text.substr(begin, comma - begin);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    i64 value = 0;
    const auto [stop, failure] = std::from_chars(item.data(), item.data() + item.size(), value);
    if (item.empty() || failure != std::errc{} || stop != item.data() + item.size())
      throw usage_error(what + ": '" + std::string(item) +
                        "' is not a whole number; wanted numbers separated by commas");
    out.push_back(value);
    if (comma == std::string_view::npos) return out;
    begin = comma + 1;
  }
}

std::pair<std::string, std::string> split_assignment(const std::string& text, const std::string& flag) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) throw usage_error(flag + ": '" + text + "' is not name=value");
  return {text.substr(0, at), text.substr(at + 1)};
}

}  // namespace offramp::nas
