// Numbers and lists as users write them, on the command line and in configurations.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/types.h"

namespace offramp::nas {

// "17M" -> 17000000, "1.5k" -> 1500. Throws Error(usage) on anything that is not a whole number in range.
i64 parse_count(std::string_view text, const std::string& what, i64 low = 0, i64 high = i64{1} << 50);
double parse_number(std::string_view text, const std::string& what);
u64 parse_seed(std::string_view text, const std::string& what);
// "3,5,-1" -> {3,5,-1}
std::vector<i64> parse_integers(std::string_view text, const std::string& what);
// "name=value", value may be empty
std::pair<std::string, std::string> split_assignment(const std::string& text, const std::string& flag);

}  // namespace offramp::nas
