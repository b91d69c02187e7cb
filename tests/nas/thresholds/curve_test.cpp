#include "nas/thresholds/curve.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/nas/thresholds/brute_force.h"
#include "tests/nas/thresholds/table.h"

namespace offramp::nas {
namespace {

using namespace testing;

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

TEST(Curve, ThinnedKeepsTheEnds) {
  const std::vector<CurvePoint> curve = accuracy_cost_curve(random_table(1, 300, 3), random_costs(1, 3));
  ASSERT_GT(curve.size(), 20u);
  const std::vector<CurvePoint> thin = thinned(curve, 10);
  ASSERT_EQ(thin.size(), 10u);
  EXPECT_EQ(thin.front(), curve.front());
  EXPECT_EQ(thin.back(), curve.back());
  EXPECT_EQ(thinned(curve, 100000), curve);
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

}  // namespace
}  // namespace offramp::nas
