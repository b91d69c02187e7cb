// Coordinate search over the thresholds of one network.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "nas/thresholds/grid.h"
#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"

namespace offramp::nas {
namespace {

constexpr i64 kQuantiles = 64;

// A total order of points: either accuracy under a budget, or cost above a floor.
struct Goal {
  std::optional<i64> budget;  // total cost
  i64 floor = 0;              // correct answers, where there is no budget

  bool reached(const CurvePoint& p) const { return budget ? p.total_cost <= *budget : p.correct >= floor; }
  bool better(const CurvePoint& a, const CurvePoint& b) const {
    const bool ra = reached(a), rb = reached(b);
    if (ra != rb) return ra;
    const bool accuracy_first = budget ? ra : !ra;
    const bool same_correct = a.correct == b.correct, same_cost = a.total_cost == b.total_cost;
    if (accuracy_first && !same_correct) return a.correct > b.correct;
    if (!same_cost) return a.total_cost < b.total_cost;
    if (!same_correct) return a.correct > b.correct;
    return larger_thresholds(a.thresholds, b.thresholds);
  }
};

class Search {
 public:
  Search(const ExitTable& table, const ExitCosts& costs, i64 quantiles)
      : tables_(table),
        exits_(table.exits),
        costs_(costs),
        quantiles_(quantiles > 0 ? quantiles : kQuantiles) {}

  CurvePoint measured(const Thresholds& thresholds) {
    const PolicyResult result = apply_policy(tables_.at(thresholds), costs_, thresholds);
    return {thresholds, result.correct, result.total_cost};
  }

  // The best point along the threshold of `exit`, the others as in `from`.
  CurvePoint along(i64 exit, const CurvePoint& from, const Goal& goal) {
    CurvePoint best = without(exit, from), with = best;
    Thresholds& on = with.thresholds;
    on[std::size_t(exit)] = 0.0f;
    const ExitTable& table = tables_.at(on);
    const Leg& leg = leg_of(table, exit, on);
    const std::vector<float>& grid = leg.grid;
    const std::vector<i64> leave = costs_of_leaving(costs_, on);
    Thresholds others = on;  // but charged as if `exit` were on
    others[std::size_t(exit)].reset();
    std::vector<i64> gain(grid.size() + 1, 0),
        more(grid.size() + 1, 0);  // by rank: sent on instead of leaving
    with.correct = with.total_cost = 0;
    for (i64 s = 0; s < table.samples; ++s) {
      const i64 other = exit_taken(others, std::span(table.confidence).subspan(s * table.exits, table.exits));
      const bool right = table.correct(s, other);
      if (other < exit) {
        with.correct += right;
        with.total_cost += leave[other];
      } else {
        const i32 rank = leg.rank[s];
        with.correct += table.correct(s, exit);
        with.total_cost += leave[exit];
        gain[rank] += i64(right) - i64(table.correct(s, exit));
        more[rank] += leave[other] - leave[exit];
      }
    }
    for (std::size_t k = 0; k < grid.size(); ++k) {
      with.correct += gain[k];
      with.total_cost += more[k];
      on[std::size_t(exit)] = grid[k];
      if (goal.better(with, best)) best = with;
    }
    return best;
  }

  CurvePoint climb(CurvePoint point, const Goal& goal) {
    for (bool improved = true; improved;) {
      improved = false;
      for (i64 e = 0; e + 1 < exits_; ++e) {
        CurvePoint next = along(e, point, goal);
        if (goal.better(next, point)) point = std::move(next), improved = true;
      }
    }
    return point;
  }

  CurvePoint best_of_starts(const Goal& goal) {
    const Thresholds off(std::size_t(exits_ - 1));
    CurvePoint best = climb(measured(off), goal);
    // Rules that look back find little in one exit alone: all of them at once as well.
    Thresholds all = off;
    for (i64 e = 0; e + 1 < exits_; ++e) {
      Thresholds start = off;
      start[std::size_t(e)] = 0.0f;
      start[std::size_t(e)] = leg_of(tables_.at(start), e, start).grid[0];
      all[std::size_t(e)] = 0.0f;
      CurvePoint point = climb(measured(start), goal);
      if (goal.better(point, best)) best = std::move(point);
    }
    if (tables_.look_back()) {
      for (i64 e = 0; e + 1 < exits_; ++e) all[std::size_t(e)] = leg_of(tables_.at(all), e, all).grid.back();
      CurvePoint point = climb(measured(all), goal);
      if (goal.better(point, best)) best = std::move(point);
    }
    return best;
  }

 private:
  struct Leg {
    std::vector<float> grid;
    std::vector<i32> rank;
  };
  const Leg& leg_of(const ExitTable& table, i64 exit, const Thresholds& thresholds) {
    const auto key = std::pair(exit, tables_.look_back() ? exits_in_use(thresholds) : std::vector<bool>());
    auto found = legs_.find(key);
    if (found == legs_.end()) {
      Leg leg{threshold_grid(table, exit, quantiles_, tables_.look_back()), {}};
      leg.rank = threshold_ranks(table, exit, leg.grid);
      found = legs_.emplace(key, std::move(leg)).first;
    }
    return found->second;
  }
  CurvePoint without(i64 exit, const CurvePoint& from) {
    Thresholds off = from.thresholds;
    off[std::size_t(exit)].reset();
    return measured(off);
  }

  ExitTables tables_;
  i64 exits_;
  const ExitCosts& costs_;
  i64 quantiles_;
  std::map<std::pair<i64, std::vector<bool>>, Leg> legs_;
};

}  // namespace

CurvePoint coordinate_search(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options) {
  require_exit_table(table);
  require_exit_costs(costs, table.exits);
  Search search(table, costs, options.quantiles);
  if (options.target) {
    const i64 most = std::numeric_limits<i64>::max() / table.samples;
    return search.best_of_starts({.budget = std::min(*options.target, most) * table.samples});
  }
  // First the best accuracy there is, then the cheapest way to nearly that.
  const CurvePoint best = search.best_of_starts({.floor = table.samples + 1});
  const i64 floor = best.correct - i64(std::floor(options.tolerance * double(table.samples) + 1e-9));
  const Goal cheap{.floor = floor};
  const CurvePoint from_best = search.climb(best, cheap), other = search.best_of_starts(cheap);
  return cheap.better(other, from_best) ? other : from_best;
}

}  // namespace offramp::nas
