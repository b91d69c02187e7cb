// Thresholds worth trying: between observed confidences, as floats, so that a choice made offline is the
// choice made at run time, sample by sample.
#pragma once
#include <vector>

#include "nas/thresholds/exit_table.h"

namespace offramp::nas {

// For early exit `exit`, ascending: first the threshold at which everybody leaves (0, or the lowest float
// when some confidence is negative), then cuts between neighbouring distinct confidences (above the lower,
// not above the upper). limit = 0: every cut; else at most `limit` values in all, at evenly spaced quantiles
// of the samples. "Nobody leaves" is not among them: that is an exit that is off; except with `nobody`, for
// rules that look back: there an exit at which nobody leaves still has a say, and one value more says so.
std::vector<float> threshold_grid(const ExitTable& table, i64 exit, i64 limit, bool nobody = false);

// How many of the grid's values each sample's confidence reaches: a sample leaves at grid[k] exactly when k <
// rank.
std::vector<i32> threshold_ranks(const ExitTable& table, i64 exit, const std::vector<float>& grid);

}  // namespace offramp::nas
