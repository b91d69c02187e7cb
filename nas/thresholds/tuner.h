// Picks thresholds on cached confidences.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "nas/thresholds/curve.h"

namespace offramp::nas {

struct TuneOptions {
  std::optional<i64> target;  // average per sample
  double tolerance = 0;       // accuracy that may be given up for less cost
  i64 quantiles = 0;          // as in accuracy_cost_curve
};

// Of the points whose average cost is <= target (all of them without a target; the cheapest one when there
// is none): the cheapest whose accuracy is within `tolerance` of the best. Ties: higher accuracy, then less
// cost, then larger thresholds. `curve` must not be empty.
const CurvePoint& pick(std::span<const CurvePoint> curve, i64 samples, const TuneOptions& options);
// The same over accuracy_cost_curve.
CurvePoint tune(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options = {});

// The point of a curve farthest above the line between its ends, both axes scaled to [0,1]; ties: less cost.
const CurvePoint& curve_knee(std::span<const CurvePoint> curve);

// One exit at a time over the same grid, the others fixed, until nothing improves; from every exit off and
// from each exit alone taking everybody. Not exact, any number of exits. Same goal and ties as pick,
// but with a target `tolerance` is not used.
CurvePoint coordinate_search(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options = {});

// The budgeted-batch protocol: for q = 0.05, 0.10, ... 1.95 the thresholds at which exit k is left by a share
// of the samples proportional to q^k (the surest of those that came so far; as near as ties and rounding
// allow). 39 points in the order of q, not filtered: later ones cost more, not always for more accuracy.
// Source: Huang et al. 2018 (MSDNet).
std::vector<CurvePoint> share_sweep(const ExitTable& table, const ExitCosts& costs);

// The published tuner: every combination of {0.1, 0.2, off} except all off, score = accuracy [%] minus
// 0.1 x |average cost - target| / target [%], two-sided. Early exits whose bit in `enabled` is false stay
// off. Ties: less cost, then larger thresholds. Throws Error when no early exit is enabled, or target
// is not > 0. Source: AEBNAS (arXiv 2512.10671).
CurvePoint tune_aebnas(const ExitTable& table, const ExitCosts& costs, const std::vector<bool>& enabled,
                       double target);

}  // namespace offramp::nas
