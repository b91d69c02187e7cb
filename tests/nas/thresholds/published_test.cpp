// Tuners as published: the share sweep, the grid, the shared threshold.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nas/thresholds/tuner.h"
#include "tests/nas/thresholds/brute_force.h"
#include "tests/nas/thresholds/table.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

using namespace testing;
using offramp::testing::kind_of;

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

TEST(ShareSweep, TuningTakesTheBestOfItUnderATarget) {
  for (u64 seed = 0; seed < 5; ++seed) {
    const ExitTable table = random_table(seed, 200, 4);
    const ExitCosts costs = random_costs(seed, 4);
    const std::vector<CurvePoint> points = share_sweep(table, costs);
    for (i64 target : {1, 600, 900, 1200, 5000}) {
      const CurvePoint got = tune(table, costs, {.kind = TuneKind::shares, .target = target});
      EXPECT_NE(std::find(points.begin(), points.end(), got), points.end());
      i64 best = -1, cheapest = points[0].total_cost;
      for (const CurvePoint& p : points) {
        cheapest = std::min(cheapest, p.total_cost);
        if (p.total_cost <= target * 200) best = std::max(best, p.correct);
      }
      if (best < 0) {
        EXPECT_EQ(got.total_cost, cheapest);
      } else {
        EXPECT_LE(got.total_cost, target * 200);
        EXPECT_EQ(got.correct, best);
      }
    }
  }
}

TEST(FaithfulGrid, MaximisesItsScore) {
  i64 differ = 0;
  for (u64 seed = 0; seed < 8; ++seed) {
    const i64 target = seed % 2 ? 800 : 3000;
    const ExitTable table = random_table(seed, 100, 4);
    const ExitCosts costs = random_costs(seed, 4);
    const Choices choices(3, {0.1f, 0.2f, std::nullopt});
    std::vector<CurvePoint> got;
    for (bool two_sided : {true, false}) {
      const auto score = [&](const CurvePoint& p) {
        const double over = (double(p.total_cost) / 100 - double(target)) / double(target);
        return double(p.correct) - 0.1 * 100 * (two_sided ? std::abs(over) : std::max(over, 0.0));
      };
      double want = -1e9;
      for (const CurvePoint& p : every_point(table, costs, choices))
        if (p.thresholds != Thresholds(3)) want = std::max(want, score(p));
      got.push_back(tune(table, costs, {.kind = TuneKind::grid, .target = target, .two_sided = two_sided}));
      EXPECT_NEAR(score(got.back()), want, 1e-9);
      EXPECT_NE(got.back().thresholds, Thresholds(3));
    }
    differ += got[0] != got[1];
  }
  EXPECT_GT(differ, 0) << "the penalty never decided";
}

TEST(FaithfulGrid, NeedsATargetAndFewExits) {
  const auto grid = [](i64 exits, std::optional<i64> target) {
    return tune(random_table(1, 10, exits), random_costs(1, exits),
                {.kind = TuneKind::grid, .target = target});
  };
  EXPECT_EQ(kind_of([&] { grid(3, std::nullopt); }), Error::Kind::usage);
  EXPECT_EQ(kind_of([&] { grid(3, 0); }), Error::Kind::usage);
  EXPECT_EQ(kind_of([&] { grid(14, 10); }), Error::Kind::usage);
  EXPECT_EQ(grid(1, 10).thresholds, Thresholds{});  // nothing to tune
}

// 10 samples. Two leave at the first exit from 0.7 down, one more at 0.6, one at 0.5, where it is wrong. At
// the second exit, of those sure by .85 .65 .55 .45 .35 .25 .15 .05, the first three are right; the end is
// always.
ExitTable hand_made() {
  ExitTable table{.samples = 10, .exits = 3};
  const float first[] = {.75f, .75f, .05f, .05f, .05f, .05f, .05f, .05f, .55f, .65f};
  const float second[] = {.95f, .95f, .85f, .65f, .55f, .45f, .35f, .25f, .15f, .05f};
  for (i32 s = 0; s < 10; ++s) {
    table.label.push_back(1);
    for (float c : {first[s], second[s], 0.0f}) table.confidence.push_back(c);
    for (bool right : {s != 8, second[s] > 0.5f, true}) table.predicted.push_back(right);
  }
  return table;
}
const ExitCosts kHundreds{{100, 100, 100}, {10, 10, 10}};  // leaving costs 110, 220, 330

CurvePoint shared(const ExitTable& table, std::optional<i64> target, double min_accuracy) {
  return tune(table, kHundreds, {.kind = TuneKind::shared, .target = target, .min_accuracy = min_accuracy});
}

TEST(Shared, OneThresholdForAllExitsButTheFirst) {
  // 0.5, 0.6, 0.7 and 0.8 are all right; the smallest of them.
  const CurvePoint want{{0.7f, 0.5f}, 10, 2 * 110 + 3 * 220 + 5 * 330};
  EXPECT_EQ(shared(hand_made(), std::nullopt, 0), want);
  EXPECT_EQ(shared(hand_made(), 253, 1), want);  // exactly its average cost: nothing to repair
  for (u64 seed = 0; seed < 6; ++seed) {
    const ExitTable table = random_table(seed, 100, 5);
    const ExitCosts costs = random_costs(seed, 5);
    std::optional<CurvePoint> best;
    for (float t : {0.1f, 0.2f, 0.3f, 0.5f, 0.6f, 0.7f, 0.8f}) {
      const Thresholds thresholds{std::max(t, 0.7f), t, t, t};
      const PolicyResult result = apply_policy(table, costs, thresholds);
      if (!best || result.correct > best->correct) best = {thresholds, result.correct, result.total_cost};
    }
    EXPECT_EQ(tune(table, costs, {.kind = TuneKind::shared}), *best);
  }
}

TEST(Shared, RepairsFromTheBack) {
  const ExitTable table = hand_made();
  // The second exit alone, by two steps: 242, then 231 on average.
  EXPECT_EQ(shared(table, 240, 0), (CurvePoint{{0.7f, 0.3f}, 8, 2310}));
  EXPECT_EQ(shared(table, 242, 0), (CurvePoint{{0.7f, 0.4f}, 9, 2420}));
  // A second step would leave 80 %: undone, the first exit is next.
  EXPECT_EQ(shared(table, 240, 0.9), (CurvePoint{{0.6f, 0.4f}, 9, 2200}));
  // No step there at all.
  EXPECT_EQ(shared(table, 240, 0.95), (CurvePoint{{0.6f, 0.5f}, 10, 2310}));
  // Out of reach: as far as accuracy allows, or down to 0.1 everywhere.
  EXPECT_EQ(shared(table, 200, 1), (CurvePoint{{0.6f, 0.5f}, 10, 2310}));
  EXPECT_EQ(shared(table, 100, 0).thresholds, (Thresholds{0.1f, 0.1f}));
}

TEST(Shared, WhatIsTooInaccurateToBeginWithIsLeftAlone) {
  ExitTable table = hand_made();
  for (std::size_t e = 0; e < 3; ++e) table.predicted[7 * 3 + e] = 0;
  EXPECT_EQ(shared(table, 100, 0.95), shared(table, std::nullopt, 0));
}

// Points that rules that look back are tuned to are those that the policy gives.
TEST(Published, RulesThatLookBackAreCountedAsTheyRun) {
  for (auto rule : {LooksBack::patience, LooksBack::cumulative}) {
    const ExitTable table = looking_back(random_table(3, 80, 4), rule);
    const ExitCosts costs = random_costs(3, 4);
    for (TuneKind kind : {TuneKind::shares, TuneKind::grid, TuneKind::shared}) {
      const CurvePoint got = tune(table, costs, {.kind = kind, .target = 900});
      const PolicyResult result = apply_policy(table, costs, got.thresholds);
      EXPECT_EQ(result.correct, got.correct) << tune_kind_name(kind);
      EXPECT_EQ(result.total_cost, got.total_cost) << tune_kind_name(kind);
    }
  }
}

}  // namespace
}  // namespace offramp::nas
