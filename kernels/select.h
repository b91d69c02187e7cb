// Walking a table of rows: the first row that this target can run and that accepts the dims. The last row of
// every table accepts everything, so there is always one.
#pragma once
#include "kernels/target.h"

namespace offramp::kernels {

// A row is {name, target, accepts(dims), run...}; a table is a range of rows, best first.
template <class Table, class Dims>
constexpr const auto& select_row(const Table& table, Target target, const Dims& dims) {
  for (const auto& row : table)
    if (row.target <= target && row.accepts(dims)) return row;
  return table.back();
}

// For families whose rows accept everything.
template <class Table>
constexpr const auto& select_row(const Table& table, Target target) {
  for (const auto& row : table)
    if (row.target <= target) return row;
  return table.back();
}

}  // namespace offramp::kernels
