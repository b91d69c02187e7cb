// Lists of numbers and names as text, "1,2,null,nan": what the archive's cells and messages show. Reading
// gives back the same bits (NaN payloads excepted).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "nas/thresholds/exit_table.h"

namespace offramp::nas {

std::string text_of(const std::vector<i32>& values);
std::string text_of(const std::vector<i64>& values);
std::string text_of(const std::vector<double>& values);
std::string text_of(const Thresholds& values);
std::string text_of(const std::vector<std::string>& values);  // names without commas

// Throw Error(input) naming the text when it is not such a list.
void parse_list(std::string_view text, std::vector<i32>& values);
void parse_list(std::string_view text, std::vector<i64>& values);
void parse_list(std::string_view text, std::vector<double>& values);
void parse_list(std::string_view text, Thresholds& values);
void parse_list(std::string_view text, std::vector<std::string>& values);

}  // namespace offramp::nas
