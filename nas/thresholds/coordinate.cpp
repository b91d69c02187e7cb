// Coordinate search over the thresholds of one network.
#include <algorithm>
#include <cmath>
#include <limits>

#include "nas/thresholds/grid.h"
#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"

namespace offramp::nas {
namespace {

constexpr i64 kQuantiles = 64;

// A total order of points: either accuracy under a budget, or cost above a floor.
struct Goal {
  std::optional<i64> budget;  // total MACs
  i64 floor = 0;              // correct answers, where there is no budget

  bool reached(const CurvePoint& p) const { return budget ? p.total_macs <= *budget : p.correct >= floor; }
  bool better(const CurvePoint& a, const CurvePoint& b) const {
    const bool ra = reached(a), rb = reached(b);
    if (ra != rb) return ra;
    const bool accuracy_first = budget ? ra : !ra;
    const bool same_correct = a.correct == b.correct, same_macs = a.total_macs == b.total_macs;
    if (accuracy_first && !same_correct) return a.correct > b.correct;
    if (!same_macs) return a.total_macs < b.total_macs;
    if (!same_correct) return a.correct > b.correct;
    return larger_thresholds(a.thresholds, b.thresholds);
  }
};

struct Search {
  const ExitTable& table;
  const ExitCosts& costs;
  std::vector<std::vector<float>> grids;
  std::vector<std::vector<i32>> ranks;

  CurvePoint measured(const Thresholds& thresholds) const {
    const PolicyResult result = apply_policy(table, costs, thresholds);
    return {thresholds, result.correct, result.total_macs};
  }

  // The best point along the threshold of `exit`, the others as in `from`.
  CurvePoint along(i64 exit, const CurvePoint& from, const Goal& goal) const {
    Thresholds off = from.thresholds, on = from.thresholds;
    off[exit].reset();
    on[exit] = 0.0f;
    const std::vector<i64> leave_off = macs_of_leaving(costs, off), leave_on = macs_of_leaving(costs, on);
    const std::vector<float>& grid = grids[exit];
    std::vector<i64> gain(grid.size() + 1, 0),
        more(grid.size() + 1, 0);  // by rank: sent on instead of leaving
    CurvePoint without{off, 0, 0}, with{on, 0, 0};
    for (i64 s = 0; s < table.samples; ++s) {
      const i64 other = exit_taken(off, std::span(table.confidence).subspan(s * table.exits, table.exits));
      const bool right = table.correct(s, other);
      without.correct += right;
      without.total_macs += leave_off[other];
      if (other < exit) {
        with.correct += right;
        with.total_macs += leave_on[other];
      } else {
        const i32 rank = ranks[exit][s];
        with.correct += table.correct(s, exit);
        with.total_macs += leave_on[exit];
        gain[rank] += i64(right) - i64(table.correct(s, exit));
        more[rank] += leave_on[other] - leave_on[exit];
      }
    }
    CurvePoint best = without;
    for (std::size_t k = 0; k < grid.size(); ++k) {
      with.correct += gain[k];
      with.total_macs += more[k];
      with.thresholds[exit] = grid[k];
      if (goal.better(with, best)) best = with;
    }
    return best;
  }

  CurvePoint climb(CurvePoint point, const Goal& goal) const {
    for (bool improved = true; improved;) {
      improved = false;
      for (i64 e = 0; e + 1 < table.exits; ++e) {
        CurvePoint next = along(e, point, goal);
        if (goal.better(next, point)) point = std::move(next), improved = true;
      }
    }
    return point;
  }

  CurvePoint best_of_starts(const Goal& goal) const {
    const Thresholds off(std::size_t(table.exits - 1));
    CurvePoint best = climb(measured(off), goal);
    for (i64 e = 0; e + 1 < table.exits; ++e) {
      Thresholds start = off;
      start[e] = grids[e][0];
      CurvePoint point = climb(measured(start), goal);
      if (goal.better(point, best)) best = std::move(point);
    }
    return best;
  }
};

}  // namespace

CurvePoint coordinate_search(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options) {
  require_exit_table(table);
  require_exit_costs(costs, table.exits);
  Search search{table, costs, {}, {}};
  for (i64 e = 0; e + 1 < table.exits; ++e) {
    search.grids.push_back(threshold_grid(table, e, options.quantiles > 0 ? options.quantiles : kQuantiles));
    search.ranks.push_back(threshold_ranks(table, e, search.grids.back()));
  }
  if (options.target_macs) {
    const i64 most = std::numeric_limits<i64>::max() / table.samples;
    return search.best_of_starts({.budget = std::min(*options.target_macs, most) * table.samples});
  }
  // First the best accuracy there is, then the cheapest way to nearly that.
  const CurvePoint best = search.best_of_starts({.floor = table.samples + 1});
  const i64 floor = best.correct - i64(std::floor(options.tolerance * double(table.samples) + 1e-9));
  const Goal cheap{.floor = floor};
  const CurvePoint from_best = search.climb(best, cheap), other = search.best_of_starts(cheap);
  return cheap.better(other, from_best) ? other : from_best;
}

}  // namespace offramp::nas
