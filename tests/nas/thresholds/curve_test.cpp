#include "nas/thresholds/curve.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "nas/thresholds/grid.h"
#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"
#include "tests/nas/thresholds/table.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

using testing::random_costs;
using testing::random_table;

using Choices = std::vector<std::vector<std::optional<float>>>;

std::vector<CurvePoint> every_point(const ExitTable& table, const ExitCosts& costs, const Choices& choices) {
  std::vector<CurvePoint> all;
  std::vector<std::size_t> at(choices.size(), 0);
  for (;;) {
    Thresholds thresholds;
    for (std::size_t e = 0; e < at.size(); ++e) thresholds.push_back(choices[e][at[e]]);
    const PolicyResult result = apply_policy(table, costs, thresholds);
    all.push_back({thresholds, result.correct, result.total_cost});
    std::size_t e = 0;
    while (e < at.size() && ++at[e] == choices[e].size()) at[e++] = 0;
    if (e == at.size()) return all;
  }
}

std::vector<CurvePoint> best_of(std::vector<CurvePoint> all) {
  std::sort(all.begin(), all.end(), [](const CurvePoint& a, const CurvePoint& b) {
    if (a.total_cost != b.total_cost) return a.total_cost < b.total_cost;
    if (a.correct != b.correct) return a.correct > b.correct;
    return larger_thresholds(a.thresholds, b.thresholds);
  });
  std::vector<CurvePoint> curve;
  for (const CurvePoint& p : all)
    if (curve.empty() || p.correct > curve.back().correct) curve.push_back(p);
  return curve;
}

// The grid of the implementation and off.
Choices grid_choices(const ExitTable& table, i64 quantiles) {
  Choices choices;
  for (i64 e = 0; e + 1 < table.exits; ++e) {
    choices.push_back({std::nullopt});
    for (float t : threshold_grid(table, e, quantiles)) choices.back().push_back(t);
  }
  return choices;
}

TEST(Curve, EqualsBruteForceOverTheGrid) {
  struct Case {
    i64 early, samples, quantiles;
    u32 levels;
  };
  for (const Case& c : {Case{0, 30, 0, 0},
                        {1, 40, 0, 0},
                        {1, 40, 0, 4},
                        {2, 25, 0, 0},
                        {2, 25, 0, 3},
                        {2, 50, 6, 0},
                        {3, 40, 6, 0},
                        {3, 40, 6, 3},
                        {4, 30, 4, 0},
                        {4, 30, 4, 2},
                        {3, 1, 6, 0},
                        {4, 2, 3, 0}})
    for (u64 seed = 0; seed < 6; ++seed) {
      const ExitTable table = random_table(seed, c.samples, c.early + 1, c.levels);
      const ExitCosts costs = random_costs(seed, c.early + 1);
      EXPECT_EQ(accuracy_cost_curve(table, costs, c.quantiles),
                best_of(every_point(table, costs, grid_choices(table, c.quantiles))))
          << c.early << " early exits, " << c.samples << " samples, seed " << seed;
    }
}

// Rules that look back: the grid of an exit is that of its set, and an exit at which nobody leaves counts.
TEST(Curve, EqualsBruteForceOverTheGridsOfRulesThatLookBack) {
  i64 with_silent_exit = 0;
  for (auto rule : {testing::LooksBack::patience, testing::LooksBack::cumulative})
    for (i64 early : {1, 2, 3, 4})
      for (u64 seed = 0; seed < 6; ++seed) {
        const ExitTable table = looking_back(random_table(seed, 40, early + 1), rule);
        const ExitCosts costs = random_costs(seed, early + 1);
        const i64 quantiles = early < 3 ? 0 : 5;
        std::vector<CurvePoint> all;
        for (u32 mask = 0; mask < (1u << early); ++mask) {
          std::vector<bool> in_use;
          for (i64 e = 0; e < early; ++e) in_use.push_back(mask >> e & 1);
          const ExitTable among = table.among(in_use);
          Choices choices;
          for (i64 e = 0; e < early; ++e) {
            if (!in_use[std::size_t(e)]) {
              choices.push_back({std::nullopt});
              continue;
            }
            choices.emplace_back();
            for (float t : threshold_grid(among, e, quantiles, true)) choices.back().push_back(t);
          }
          for (CurvePoint& p : every_point(table, costs, choices)) all.push_back(std::move(p));
        }
        const std::vector<CurvePoint> got = accuracy_cost_curve(table, costs, quantiles);
        EXPECT_EQ(got, best_of(std::move(all))) << early << " early exits, seed " << seed;
        for (const CurvePoint& p : got) {
          const PolicyResult result = apply_policy(table, costs, p.thresholds);
          for (i64 e = 0; e < early; ++e)
            with_silent_exit += p.thresholds[std::size_t(e)] && result.left[std::size_t(e)] == 0;
        }
      }
  EXPECT_GT(with_silent_exit, 0) << "no exit was in use without anybody leaving there";
}

// Independent of the grid: every observed confidence as a threshold, off, and everybody leaves.
TEST(Curve, NoThresholdsAtAllAreBetterForUpToTwoExits) {
  for (i64 early : {1, 2})
    for (u64 seed = 0; seed < 6; ++seed) {
      const ExitTable table = random_table(seed + 100, 30, early + 1);
      const ExitCosts costs = random_costs(seed, early + 1);
      Choices choices;
      for (i64 e = 0; e < early; ++e) {
        choices.push_back({std::nullopt, -1.0f});
        for (i64 s = 0; s < table.samples; ++s)
          choices.back().push_back(table.confidence[s * table.exits + e]);
      }
      const std::vector<CurvePoint> want = best_of(every_point(table, costs, choices));
      const std::vector<CurvePoint> got = accuracy_cost_curve(table, costs);
      ASSERT_EQ(got.size(), want.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].correct, want[i].correct);
        EXPECT_EQ(got[i].total_cost, want[i].total_cost);
      }
    }
}

TEST(Curve, EveryPointIsWhatThePolicyDoes) {
  const ExitTable table = random_table(1, 500, 5);
  const ExitCosts costs = random_costs(1, 5);
  const std::vector<CurvePoint> curve = accuracy_cost_curve(table, costs, 16);
  EXPECT_GT(curve.size(), 20u);
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const PolicyResult result = apply_policy(table, costs, curve[i].thresholds);
    EXPECT_EQ(result.correct, curve[i].correct);
    EXPECT_EQ(result.total_cost, curve[i].total_cost);
    if (i > 0) {
      EXPECT_GT(curve[i].correct, curve[i - 1].correct);
      EXPECT_GT(curve[i].total_cost, curve[i - 1].total_cost);
    }
  }
  // Nothing is cheaper than everybody leaving at the cheapest place.
  i64 cheapest = costs.head.back();
  for (i64 b : costs.body) cheapest += b;
  for (i64 e = 0, walked = 0; e < 4; ++e) {
    walked += costs.body[e];
    cheapest = std::min(cheapest, walked + costs.head[e]);
  }
  EXPECT_EQ(curve.front().total_cost, cheapest * table.samples);
}

TEST(Curve, MoreThanFourExitsAreSearched) {
  const ExitTable table = random_table(5, 200, 7);
  const ExitCosts costs = random_costs(5, 7);
  const std::vector<CurvePoint> curve = accuracy_cost_curve(table, costs, 16);
  EXPECT_GT(curve.size(), 5u);
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const PolicyResult result = apply_policy(table, costs, curve[i].thresholds);
    EXPECT_EQ(result.correct, curve[i].correct);
    EXPECT_EQ(result.total_cost, curve[i].total_cost);
    if (i > 0) {
      EXPECT_GT(curve[i].correct, curve[i - 1].correct);
    }
  }
}

TEST(Tuner, CoordinateSearchOfRulesThatLookBackReachesTwoExitsOptimum) {
  i64 equal = 0, cases = 0;
  for (auto rule : {testing::LooksBack::patience, testing::LooksBack::cumulative})
    for (u64 seed = 0; seed < 6; ++seed) {
      const ExitTable table = looking_back(random_table(seed, 60, 3), rule);
      const ExitCosts costs = random_costs(seed, 3);
      const std::vector<CurvePoint> exact = accuracy_cost_curve(table, costs, 64);
      for (const CurvePoint& want : exact) {
        const i64 target = (want.total_cost + table.samples - 1) / table.samples;
        const CurvePoint got = coordinate_search(table, costs, {.target = target, .quantiles = 64});
        const PolicyResult result = apply_policy(table, costs, got.thresholds);
        EXPECT_EQ(result.correct, got.correct);
        EXPECT_EQ(result.total_cost, got.total_cost);
        const CurvePoint& best = pick(exact, table.samples, {.target = target});
        EXPECT_LE(got.total_cost, target * table.samples);
        EXPECT_LE(got.correct, best.correct);
        equal += got.correct == best.correct, ++cases;
      }
    }
  EXPECT_GE(equal * 10, cases * 8) << equal << " of " << cases;
}

TEST(Curve, ThinnedKeepsTheEnds) {
  const std::vector<CurvePoint> curve = accuracy_cost_curve(random_table(1, 300, 3), random_costs(1, 3));
  ASSERT_GT(curve.size(), 20u);
  const std::vector<CurvePoint> thin = thinned(curve, 10);
  ASSERT_EQ(thin.size(), 10u);
  EXPECT_EQ(thin.front(), curve.front());
  EXPECT_EQ(thin.back(), curve.back());
  EXPECT_EQ(thinned(curve, 100000), curve);
}

TEST(Tuner, BestAccuracyUnderATargetElseTheCheapest) {
  for (u64 seed = 0; seed < 5; ++seed) {
    const ExitTable table = random_table(seed, 40, 4);
    const ExitCosts costs = random_costs(seed, 4);
    const std::vector<CurvePoint> all = every_point(table, costs, grid_choices(table, 6));
    for (i64 target : {i64{1}, i64{400}, i64{700}, i64{1000}, i64{1500}, i64{4000000000000000000}}) {
      const CurvePoint got = tune(table, costs, {.target = target, .quantiles = 6});
      i64 best = -1, cheapest = all[0].total_cost;
      for (const CurvePoint& p : all) {
        cheapest = std::min(cheapest, p.total_cost);
        if (double(p.total_cost) <= double(target) * 40) best = std::max(best, p.correct);
      }
      if (best < 0) {
        EXPECT_EQ(got.total_cost, cheapest);
      } else {
        EXPECT_EQ(got.correct, best);
        EXPECT_LE(double(got.total_cost), double(target) * 40);
      }
    }
  }
}

TEST(Tuner, WithoutATargetTheCheapestWithinTolerance) {
  const ExitTable table = random_table(11, 400, 4);
  const ExitCosts costs = random_costs(11, 4);
  const std::vector<CurvePoint> curve = accuracy_cost_curve(table, costs, 16);
  const i64 best = curve.back().correct;
  EXPECT_EQ(tune(table, costs, {.tolerance = 0, .quantiles = 16}), curve.back());
  const CurvePoint near = tune(table, costs, {.tolerance = 0.05, .quantiles = 16});
  EXPECT_GE(near.correct, best - 20);
  EXPECT_LT(near.total_cost, curve.back().total_cost);
  for (const CurvePoint& p : curve)
    if (p.correct >= best - 20) {
      EXPECT_GE(p.total_cost, near.total_cost);
    }
}

TEST(Tuner, KneeIsFarthestAboveTheLine) {
  const auto point = [](i64 correct, i64 macs) { return CurvePoint{{}, correct, macs}; };
  const std::vector<CurvePoint> curve{point(50, 100), point(80, 200), point(88, 300), point(92, 900),
                                      point(93, 1100)};
  EXPECT_EQ(curve_knee(curve).correct, 88);
  EXPECT_EQ(curve_knee(std::span(curve).first(1)).correct, 50);
  EXPECT_THROW(curve_knee({}), Error);
  EXPECT_THROW(pick({}, 10, {}), Error);
}

TEST(Tuner, CoordinateSearchIsNearTheExactOptimumAndNeverAboveIt) {
  double lost = 0;
  for (u64 seed = 0; seed < 10; ++seed) {
    const ExitTable table = random_table(seed, 300, 4);
    const ExitCosts costs = random_costs(seed, 4);
    for (i64 target : {600, 900, 1200, 1800}) {
      const TuneOptions options{.target = target, .quantiles = 16};
      const CurvePoint exact = tune(table, costs, options), near = coordinate_search(table, costs, options);
      const PolicyResult check = apply_policy(table, costs, near.thresholds);
      EXPECT_EQ(check.correct, near.correct);
      EXPECT_EQ(check.total_cost, near.total_cost);
      const bool reachable = exact.total_cost <= target * 300;
      EXPECT_EQ(near.total_cost <= target * 300, reachable);
      if (reachable) {
        EXPECT_LE(near.correct, exact.correct);
        lost = std::max(lost, double(exact.correct - near.correct) / 300);
      }
    }
    const CurvePoint exact = tune(table, costs, {.tolerance = 0, .quantiles = 16});
    const CurvePoint near = coordinate_search(table, costs, {.tolerance = 0, .quantiles = 16});
    EXPECT_LE(near.correct, exact.correct);
    EXPECT_GE(near.correct, exact.correct - 6);
  }
  EXPECT_LT(lost, 0.03);
}

TEST(Tuner, TheFaithfulGridMaximisesTheTwoSidedScore) {
  for (u64 seed = 0; seed < 8; ++seed) {
    const ExitTable table = random_table(seed, 100, 4);
    const ExitCosts costs = random_costs(seed, 4);
    const std::vector<bool> enabled{true, seed % 2 == 0, true};
    Choices choices;
    for (bool on : enabled)
      choices.push_back(on ? Choices::value_type{0.1f, 0.2f, std::nullopt}
                           : Choices::value_type{std::nullopt});
    const double target = 800;
    const auto score = [&](const CurvePoint& p) {
      const double average = double(p.total_cost) / 100;
      return double(p.correct) - 0.1 * 100 * std::abs(average - target) / target;
    };
    std::optional<CurvePoint> want;
    for (const CurvePoint& p : every_point(table, costs, choices)) {
      if (p.thresholds == Thresholds(3)) continue;
      if (!want || score(p) > score(*want)) want = p;
    }
    const CurvePoint got = tune_aebnas(table, costs, enabled, target);
    EXPECT_NEAR(score(got), score(*want), 1e-9);
    EXPECT_NE(got.thresholds, Thresholds(3));
    if (!enabled[1]) {
      EXPECT_FALSE(got.thresholds[1].has_value());
    }
  }
  const ExitTable table = random_table(1, 10, 3);
  EXPECT_THROW(tune_aebnas(table, random_costs(1, 3), {false, false}, 10), Error);
  EXPECT_THROW(tune_aebnas(table, random_costs(1, 3), {true}, 10), Error);
  EXPECT_THROW(tune_aebnas(table, random_costs(1, 3), {true, true}, 0), Error);
}

// 4 early exits at 64 quantiles, 17 million combinations. Takes a tenth of a second or so; the limit is wide
// because the machine may be busy and the build unoptimised.
TEST(Curve, FourExitsOfFiveThousandSamplesInTime) {
  const ExitTable table = random_table(2, 5000, 5);
  const ExitCosts costs = random_costs(2, 5);
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<CurvePoint> curve = accuracy_cost_curve(table, costs);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", std::to_string(seconds.count()));
  EXPECT_GT(curve.size(), 100u);
  EXPECT_LT(seconds.count(), 10);
}

TEST(ShareSweep, RealisesTheSharesItIsNamedAfter) {
  const ExitTable table = random_table(5, 997, 4);  // distinct confidences
  const ExitCosts costs = random_costs(5, 4);
  const std::vector<CurvePoint> points = share_sweep(table, costs);
  ASSERT_EQ(points.size(), 39u);
  for (int p = 1; p <= 39; ++p) {
    const double q = p / 20.0, sum = 1 + q + q * q + q * q * q;
    const PolicyResult result = apply_policy(table, costs, points[std::size_t(p - 1)].thresholds);
    EXPECT_EQ(points[std::size_t(p - 1)].correct, result.correct);
    EXPECT_EQ(points[std::size_t(p - 1)].total_cost, result.total_cost);
    for (int e = 0; e < 4; ++e)
      EXPECT_NEAR(double(result.left[std::size_t(e)]), 997 * std::pow(q, e) / sum, e < 3 ? 0.5001 : 1.6)
          << "q " << q << ", exit " << e;
    if (p > 1) {
      EXPECT_GE(result.total_cost, points[std::size_t(p - 2)].total_cost);
    }
  }
  const ExitTable tied = random_table(5, 200, 3, 4);  // equal confidences leave together
  for (const CurvePoint& point : share_sweep(tied, random_costs(5, 3)))
    EXPECT_EQ(point.correct, apply_policy(tied, random_costs(5, 3), point.thresholds).correct);
}

}  // namespace
}  // namespace offramp::nas
