#include "nas/thresholds/curve.h"

#include <algorithm>
#include <limits>
#include <span>

#include "nas/thresholds/grid.h"
#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"

namespace offramp::nas {
namespace {

constexpr i64 kMaxExact = 4;          // early exits
constexpr i64 kOff = 0xFFFF;          // grid index of an exit that is off: above every other
constexpr i64 kMaxGrid = kOff - 1;    // so that indices stay below kOff
constexpr i64 kMaxGridOfTwo = 8192;   // bounds the work of two exits at 2^26 combinations
constexpr i64 kQuantilesOfMany = 64;  // 3 and 4 exits
constexpr i64 kBudgetsOfMore = 64;    // 5 exits and more

// A combination is written as four 16-bit grid indices, first exit on top, so that among combinations of the
// same exits a larger key is a larger threshold vector.
constexpr u64 key_of(i64 exit, i64 index) { return u64(index) << (16 * (kMaxExact - 1 - exit)); }
constexpr i64 index_in(u64 key, i64 exit) { return i64(key >> (16 * (kMaxExact - 1 - exit)) & 0xFFFF); }

struct Leg {  // an early exit as the enumeration sees it
  std::vector<float> grid;
  std::vector<i32> rank;   // [samples], 1..grid.size()
  std::vector<i32> right;  // [samples], 0 or 1
};

struct Legs {  // of one set of enabled exits
  std::vector<Leg> early;
  std::vector<i32> right_at_end;
};

Legs legs_of(const ExitTable& table, const std::vector<bool>& in_use, i64 quantiles, bool nobody) {
  const i64 early = table.exits - 1;
  Legs legs{std::vector<Leg>(static_cast<std::size_t>(early)), {}};
  const auto right_at = [&](i64 exit, std::vector<i32>& right) {
    right.resize(std::size_t(table.samples));
    for (i64 s = 0; s < table.samples; ++s) right[s] = table.correct(s, exit);
  };
  for (i64 e = 0; e < early; ++e) {
    if (!in_use[std::size_t(e)]) continue;
    Leg& leg = legs.early[std::size_t(e)];
    right_at(e, leg.right);
    leg.grid = threshold_grid(table, e, quantiles, nobody);
    leg.rank = threshold_ranks(table, e, leg.grid);
  }
  right_at(early, legs.right_at_end);
  return legs;
}

// What the enumeration of each set of exits has to go by; rules that do not look back have one for all.
class AllLegs {
 public:
  AllLegs(const ExitTable& table, i64 quantiles) : tables_(table), early_(table.exits - 1) {
    if (quantiles <= 0) quantiles = early_ == 1 ? kMaxGrid : early_ == 2 ? kMaxGridOfTwo : kQuantilesOfMany;
    quantiles = std::min(quantiles, kMaxGrid);
    for (u32 mask = 0; mask < (1u << early_); ++mask) {
      if (mask > 0 && !tables_.look_back()) break;
      const std::vector<bool> in_use =
          tables_.look_back() ? exits(mask) : std::vector<bool>(std::size_t(early_), true);
      legs_.push_back(legs_of(tables_.at(in_use), in_use, quantiles, tables_.look_back()));
    }
  }

  const Legs& of(u32 mask) const { return legs_[tables_.look_back() ? mask : 0]; }
  std::vector<bool> exits(u32 mask) const {
    std::vector<bool> in_use;
    for (i64 e = 0; e < early_; ++e) in_use.push_back(mask >> e & 1);
    return in_use;
  }

  Thresholds thresholds(u64 key) const {
    Thresholds thresholds(static_cast<std::size_t>(early_));
    const u32 mask = mask_of(key);
    for (i64 e = 0; e < early_; ++e)
      if (mask >> e & 1)
        thresholds[std::size_t(e)] = of(mask).early[std::size_t(e)].grid[std::size_t(index_in(key, e))];
    return thresholds;
  }
  bool larger(u64 a, u64 b) const {
    if (!tables_.look_back() || mask_of(a) == mask_of(b)) return a > b;
    return larger_thresholds(thresholds(a), thresholds(b));
  }

 private:
  u32 mask_of(u64 key) const {
    u32 mask = 0;
    for (i64 e = 0; e < early_; ++e) mask |= u32(index_in(key, e) != kOff) << e;
    return mask;
  }

  ExitTables tables_;
  i64 early_;
  std::vector<Legs> legs_;
};

// Cheapest combination for each number of correct answers; exact, since that number is an integer.
class Cheapest {
 public:
  Cheapest(i64 samples, const AllLegs& legs) : legs_(legs), best_(std::size_t(samples) + 1) {}

  void offer(i64 correct, i64 cost, u64 key) {
    Entry& entry = best_[std::size_t(correct)];
    if (cost < entry.cost || (cost == entry.cost && legs_.larger(key, entry.key))) entry = {cost, key};
  }

  template <class Take>
  void front(Take&& take) const {  // dearest and most accurate first
    i64 bound = std::numeric_limits<i64>::max();
    for (std::size_t c = best_.size(); c-- > 0;)
      if (best_[c].cost < bound) take(i64(c), bound = best_[c].cost, best_[c].key);
  }

 private:
  struct Entry {
    i64 cost = std::numeric_limits<i64>::max();
    u64 key = 0;
  };
  const AllLegs& legs_;
  std::vector<Entry> best_;
};

// All combinations of one set of enabled exits.
class Enumeration {
 public:
  Enumeration(const Legs& legs, const std::vector<i64>& leave, std::vector<i64> enabled, Cheapest& cheapest)
      : legs_(legs.early),
        end_(legs.right_at_end),
        leave_(leave),
        enabled_(std::move(enabled)),
        cheapest_(cheapest) {}

  void run() {
    key_ = 0;
    for (i64 e = 0; e < kMaxExact; ++e)
      if (std::find(enabled_.begin(), enabled_.end(), e) == enabled_.end() && e < i64(legs_.size()))
        key_ |= key_of(e, kOff);
    std::vector<i32> all(end_.size());
    for (std::size_t s = 0; s < all.size(); ++s) all[s] = i32(s);
    if (enabled_.empty()) {
      i64 correct = 0;
      for (i32 right : end_) correct += right;
      cheapest_.offer(correct, i64(all.size()) * leave_.back(), key_);
    } else if (enabled_.size() == 1) {
      clear_histogram(enabled_[0]);
      i64 correct = 0;
      for (i32 s : all) correct += add_to_histogram(enabled_[0], s);
      scan_last(enabled_[0], i64(all.size()), correct, 0, key_);
    } else {
      outer(0, all, 0, 0, key_);
    }
  }

 private:
  // `stay` got past the exits before number `depth` of the enabled ones; correct and cost are of those who
  // left.
  void outer(std::size_t depth, const std::vector<i32>& stay, i64 correct, i64 cost, u64 key) {
    if (depth + 2 == enabled_.size()) return last_two(stay, correct, cost, key);
    const i64 exit = enabled_[depth];
    const Leg& leg = legs_[exit];
    std::vector<i32> past;
    for (i64 k = 1; k < i64(leg.grid.size());
         ++k) {  // k = 0: nobody stays; without the exits behind it is cheaper
      past.clear();
      i64 right = 0;
      for (i32 s : stay) {
        if (leg.rank[s] <= k)
          past.push_back(s);
        else
          right += leg.right[s];
      }
      outer(depth + 1, past, correct + right, cost + i64(stay.size() - past.size()) * leave_[exit],
            key | key_of(exit, k));
    }
  }

  void last_two(const std::vector<i32>& stay, i64 correct, i64 cost, u64 key) {
    const i64 a = enabled_[enabled_.size() - 2], b = enabled_.back();
    const Leg& leg = legs_[a];
    const std::size_t steps = leg.grid.size();
    // Samples in the order in which a rising threshold of `a` lets them pass.
    begin_.assign(steps + 2, 0);
    for (i32 s : stay) ++begin_[leg.rank[s] + 1];
    for (std::size_t k = 1; k < begin_.size(); ++k) begin_[k] += begin_[k - 1];
    order_.resize(stay.size());
    i64 left_right = 0;
    fill_ = begin_;
    for (i32 s : stay) {
      order_[fill_[leg.rank[s]]++] = s;
      left_right += leg.right[s];
    }
    clear_histogram(b);
    i64 passed = 0, passed_right = 0;  // past a; right there: at b
    for (std::size_t k = 1; k < steps; ++k) {
      for (i64 i = begin_[k]; i < begin_[k + 1]; ++i) {
        const i32 s = order_[i];
        left_right -= leg.right[s];
        passed_right += add_to_histogram(b, s);
        ++passed;
      }
      scan_last(b, passed, correct + left_right + passed_right,
                cost + (i64(stay.size()) - passed) * leave_[a], key | key_of(a, i64(k)));
    }
  }

  void clear_histogram(i64 exit) { steps_.assign(legs_[exit].grid.size() + 1, {0, 0}); }
  // Returns whether the sample is right at `exit`.
  i64 add_to_histogram(i64 exit, i32 s) {
    const Leg& leg = legs_[exit];
    Step& step = steps_[leg.rank[s]];
    ++step.samples;
    step.gain += end_[s] - leg.right[s];
    return leg.right[s];
  }
  // The histogram's `reached` samples all leave at `exit` to begin with (`correct` counts them as right
  // there); a rising threshold sends them on to the end.
  void scan_last(i64 exit, i64 reached, i64 correct, i64 cost, u64 key) {
    cost += reached * leave_[exit];
    const i64 more = leave_.back() - leave_[exit];
    const u64 one = key_of(exit, 1);
    for (std::size_t k = 0; k + 1 < steps_.size(); ++k, key += one) {
      correct += steps_[k].gain;
      cost += steps_[k].samples * more;
      cheapest_.offer(correct, cost, key);
    }
  }

  struct Step {
    i32 samples, gain;
  };
  const std::vector<Leg>& legs_;
  const std::vector<i32>& end_;
  const std::vector<i64>& leave_;
  std::vector<i64> enabled_;
  Cheapest& cheapest_;
  u64 key_ = 0;
  std::vector<Step> steps_;
  std::vector<i64> begin_, fill_;
  std::vector<i32> order_;
};

std::vector<CurvePoint> exact_curve(const ExitTable& table, const ExitCosts& costs, i64 quantiles) {
  const i64 early = table.exits - 1;
  const AllLegs legs(table, quantiles);
  Cheapest cheapest(table.samples, legs);
  for (u32 mask = 0; mask < (1u << early); ++mask) {
    std::vector<i64> enabled;
    Thresholds on(static_cast<std::size_t>(early));
    for (i64 e = 0; e < early; ++e)
      if (mask >> e & 1) enabled.push_back(e), on[std::size_t(e)] = 0.0f;
    const std::vector<i64> leave = costs_of_leaving(costs, on);
    Enumeration(legs.of(mask), leave, std::move(enabled), cheapest).run();
  }
  std::vector<CurvePoint> curve;
  cheapest.front([&](i64 correct, i64 cost, u64 key) {
    curve.push_back({legs.thresholds(key), correct, cost});
  });
  std::reverse(curve.begin(), curve.end());
  return curve;
}

std::vector<CurvePoint> searched_curve(const ExitTable& table, const ExitCosts& costs, i64 quantiles) {
  const TuneOptions cheapest{.target = 0, .quantiles = quantiles};
  const TuneOptions best{.tolerance = 0, .quantiles = quantiles};
  std::vector<CurvePoint> found{coordinate_search(table, costs, cheapest),
                                coordinate_search(table, costs, best)};
  const i64 low = found[0].total_cost / table.samples, high = found[1].total_cost / table.samples;
  for (i64 i = 1; i < kBudgetsOfMore; ++i)
    found.push_back(coordinate_search(
        table, costs, {.target = low + (high - low) * i / kBudgetsOfMore, .quantiles = quantiles}));
  return non_dominated(std::move(found));
}

}  // namespace

std::vector<CurvePoint> accuracy_cost_curve(const ExitTable& table, const ExitCosts& costs, i64 quantiles) {
  require_exit_table(table);
  require_exit_costs(costs, table.exits);
  return table.exits - 1 <= kMaxExact ? exact_curve(table, costs, quantiles)
                                      : searched_curve(table, costs, quantiles);
}

std::vector<CurvePoint> non_dominated(std::vector<CurvePoint> points) {
  std::sort(points.begin(), points.end(), [](const CurvePoint& a, const CurvePoint& b) {
    if (a.total_cost != b.total_cost) return a.total_cost < b.total_cost;
    if (a.correct != b.correct) return a.correct > b.correct;
    return larger_thresholds(a.thresholds, b.thresholds);
  });
  std::vector<CurvePoint> curve;
  for (CurvePoint& point : points)
    if (curve.empty() || point.correct > curve.back().correct) curve.push_back(std::move(point));
  return curve;
}

std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& curve, i64 count) {
  const i64 n = i64(curve.size());
  count = std::max<i64>(count, 2);
  if (n <= count) return curve;
  std::vector<CurvePoint> kept;
  for (i64 i = 0; i < count; ++i) kept.push_back(curve[std::size_t(i * (n - 1) / (count - 1))]);
  return kept;
}

}  // namespace offramp::nas
