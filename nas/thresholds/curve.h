// The whole accuracy-cost curve of a network with early exits: every threshold vector of a grid, exits off
// included, is counted, and those that nobody beats are kept.
#pragma once
#include <vector>

#include "nas/thresholds/exit_table.h"

namespace offramp::nas {

struct CurvePoint {
  Thresholds thresholds;
  i64 correct = 0;
  i64 total_cost = 0;  // sum over the samples of the table
  friend bool operator==(const CurvePoint&, const CurvePoint&) = default;
};

// The least whole number that an average cost does not exceed.
inline i64 average_up(i64 total, i64 samples) { return total / samples + (total % samples != 0); }

// Ascending in total_cost and in correct, never empty: non-dominated, of equal points the larger thresholds
// (larger_thresholds).
//
// Exact over (grid of each early exit + off), up to 4 early exits. quantiles = 0: every distinct confidence
// for up to 2 early exits, 64 quantiles for 3 and 4. For each vector of the outer exits the samples that stay
// are counted into histograms of the last two exits, after which a combination is a running sum, O(1). More
// than 4 early exits: coordinate search at evenly spaced budgets (not exact). Throws Error on a malformed
// table.
std::vector<CurvePoint> accuracy_cost_curve(const ExitTable& table, const ExitCosts& costs,
                                            i64 quantiles = 0);

// Those of `points` that none of them beats, ordered as a curve.
std::vector<CurvePoint> non_dominated(std::vector<CurvePoint> points);

// At most `count` points (>= 2): the ends and evenly spaced ones between.
std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& curve, i64 count);

}  // namespace offramp::nas
