#include "nas/thresholds/tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/nas/thresholds/brute_force.h"
#include "tests/nas/thresholds/table.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

using namespace testing;
using offramp::testing::thrown_by;

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

// With one early exit a search along it sees everything.
TEST(Tuner, CoordinateSearchOfOneExitIsExact) {
  for (u64 seed = 0; seed < 6; ++seed) {
    const ExitTable table = random_table(seed, 60, 2, seed % 2 ? 5 : 0);
    const ExitCosts costs = random_costs(seed, 2);
    for (i64 target : {i64{1}, i64{300}, i64{500}, i64{800}, i64{1200}, i64{2500}}) {
      TuneOptions options{.target = target, .quantiles = 12};
      const CurvePoint exact = tune(table, costs, options);
      options.kind = TuneKind::coordinate;
      EXPECT_EQ(tune(table, costs, options), exact) << "seed " << seed << ", target " << target;
    }
  }
}

TEST(Tuner, KindsHaveNames) {
  for (const std::string& name : tune_kinds()) EXPECT_EQ(tune_kind_name(parse_tune_kind(name)), name);
  const auto t = thrown_by([] { parse_tune_kind("shard"); });
  EXPECT_EQ(t.kind, Error::Kind::usage);
  EXPECT_NE(t.message.find("did you mean 'shared'"), std::string::npos) << t.message;
}

// A network whose first exit is cheap in MACs, but slow: its head does little work for long.
TEST(Tuner, AnotherCostChoosesOtherThresholds) {
  ExitTable table{.samples = 4, .exits = 3, .label = {0, 1, 2, 3}};
  for (i32 s = 0; s < 4; ++s)
    for (i64 e = 0; e < 3; ++e) {
      table.confidence.push_back(0.9f);
      table.predicted.push_back(s);
    }
  const ExitCosts macs{{100, 100, 100}, {10, 10, 10}}, latency{{1000, 2000, 3000}, {9000, 100, 100}};
  const std::optional<float> all = 0.0f, off;
  for (TuneKind kind : {TuneKind::exact, TuneKind::coordinate}) {
    EXPECT_EQ(tune(table, macs, {.kind = kind}), (CurvePoint{{all, off}, 4, 4 * 110}));
    EXPECT_EQ(tune(table, latency, {.kind = kind}), (CurvePoint{{off, all}, 4, 4 * 3100}));
  }
}

}  // namespace
}  // namespace offramp::nas
