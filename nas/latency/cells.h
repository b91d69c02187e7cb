// Lines of tab-separated cells: what the table and the list of missing keys are made of.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "nas/space/space.h"

namespace offramp::nas {

std::vector<std::string_view> split_cells(std::string_view text, char at);
// Throw Error(input) naming the text.
i64 cell_count(std::string_view text, i64 low, i64 high);
double cell_time(std::string_view text);  // microseconds, >= 0
Genotype cell_genotype(std::string_view text);
// Four cells from cells[0].
Task cell_task(const std::string_view* cells);
std::string task_cells(const Task& task);  // with tabs between them

}  // namespace offramp::nas
