// Picks thresholds on cached confidences.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nas/thresholds/curve.h"

namespace offramp::nas {

// How thresholds are chosen.
enum class TuneKind { exact, coordinate, shares, grid, shared, genes };
std::vector<std::string> tune_kinds();
// Throws Error(usage) with the nearest spelling.
TuneKind parse_tune_kind(const std::string& name);
std::string tune_kind_name(TuneKind kind);

struct TuneOptions {
  TuneKind kind = TuneKind::exact;
  std::optional<i64> target;  // average cost per sample
  double tolerance = 0;       // exact, coordinate, shares: accuracy that may be given up for less cost
  i64 quantiles = 0;          // exact, coordinate: as in accuracy_cost_curve
  double min_accuracy = 0;    // shared: nothing below it is taken for the sake of the target
  bool two_sided = true;      // grid: a cost below the target is penalised as one above it
  Thresholds genes;           // genes: what the genotype says, one for each early exit
};

// The tuner of options.kind:
//   exact       pick over accuracy_cost_curve
//   coordinate  coordinate_search
//   shares      pick over those of share_sweep that none of them dominates
//   grid        grid_search
//   shared      shared_threshold
//   genes       nothing is tuned: options.genes as they are
CurvePoint tune(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options = {});

// Of the points whose average cost is <= target (all of them without a target; the cheapest one when there
// is none): the cheapest whose accuracy is within `tolerance` of the best. Ties: higher accuracy, then less
// cost, then larger thresholds. `curve` must not be empty.
const CurvePoint& pick(std::span<const CurvePoint> curve, i64 samples, const TuneOptions& options);

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

// Every combination of {0.1, 0.2, off} except all off (which is all there is without early exits), score =
// accuracy [%] minus 0.1 x deviation [%], deviation = |average cost - target| / target, or only what lies
// above the target where options.two_sided is false. Ties: less cost, then larger thresholds. Throws
// Error(usage) with more than 12 early exits, or without a target > 0. Source: AEBNAS (arXiv 2512.10671).
CurvePoint grid_search(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options);

// One threshold of {0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8} for all early exits, the first one's at least 0.7: the
// most accurate, then the smallest. While its average cost is above the target: from the last early exit
// backwards an exit's threshold is lowered by 0.1, down to 0.1 or until accuracy would fall below
// options.min_accuracy; such a step is undone and the exit before it is next. Source: NACHOS (arXiv
// 2401.13330) and its program, in which a step that fails stays in the thresholds, but not in the figures.
CurvePoint shared_threshold(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options);

}  // namespace offramp::nas
