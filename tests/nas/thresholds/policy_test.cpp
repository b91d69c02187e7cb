#include "nas/thresholds/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "nas/thresholds/grid.h"
#include "tests/nas/thresholds/table.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

using testing::random_costs;
using testing::random_table;

TEST(Policy, LeavesAtTheFirstEnabledExitThatIsSureEnough) {
  const std::vector<float> c{0.3f, 0.9f, 0.5f};
  EXPECT_EQ(exit_taken({0.3f, 0.5f, 0.5f}, c), 0);  // equal is enough
  EXPECT_EQ(exit_taken({std::nextafter(0.3f, 1.0f), 0.5f, 0.5f}, c), 1);
  EXPECT_EQ(exit_taken({0.4f, std::nullopt, 0.5f}, c), 2);
  EXPECT_EQ(exit_taken({0.4f, 1.0f, 0.6f}, c), 3);
  EXPECT_EQ(exit_taken({std::nullopt, std::nullopt, std::nullopt}, c), 3);
  // Exactly 1 is a confidence like any other; only null is off.
  EXPECT_EQ(exit_taken({1.0f}, std::vector<float>{1.0f}), 0);
  EXPECT_EQ(exit_taken({}, c), 0);
}

TEST(Policy, ChargesEveryHeadWalkedPastAndNoneThatIsOff) {
  const ExitCosts costs{{100, 200, 400}, {1, 2, 4}};
  using V = std::vector<i64>;
  EXPECT_EQ(costs_of_leaving(costs, {0.5f, 0.5f}), (V{101, 303, 707}));
  EXPECT_EQ(costs_of_leaving(costs, {std::nullopt, 0.5f}), (V{101, 302, 706}));
  EXPECT_EQ(costs_of_leaving(costs, {0.5f, std::nullopt}), (V{101, 303, 705}));
  EXPECT_EQ(costs_of_leaving_own_head(costs), (V{101, 302, 704}));
}

TEST(Policy, TotalsAreSumsOverSamples) {
  ExitTable table{.samples = 4, .exits = 2};
  table.confidence = {0.9f, 0, 0.2f, 0, 0.6f, 0, 0.5f, 0};
  table.predicted = {1, 2, 1, 2, 3, 3, 4, 5};
  table.label = {1, 2, 7, 5};
  const ExitCosts costs{{100, 200}, {1, 2}};
  const PolicyResult r = apply_policy(table, costs, {0.6f});
  EXPECT_EQ(r.left, (std::vector<i64>{2, 2}));
  EXPECT_EQ(r.correct_of_left, (std::vector<i64>{1, 2}));
  EXPECT_EQ(r.correct, 3);
  EXPECT_EQ(r.total_cost, 2 * 101 + 2 * 303);
  EXPECT_EQ(r.total_cost_own_head, 2 * 101 + 2 * 302);
  EXPECT_EQ(r.accuracy(), 0.75);
  EXPECT_EQ(r.average_cost(), 202.0);
}

TEST(Policy, LargerThresholdsAreLexicographicWithOffOnTop) {
  EXPECT_TRUE(larger_thresholds({std::nullopt, 0.1f}, {0.9f, 0.9f}));
  EXPECT_TRUE(larger_thresholds({0.5f, std::nullopt}, {0.5f, 0.9f}));
  EXPECT_TRUE(larger_thresholds({0.6f, 0.1f}, {0.5f, std::nullopt}));
  EXPECT_FALSE(larger_thresholds({0.5f, 0.1f}, {0.5f, 0.1f}));
  EXPECT_FALSE(larger_thresholds({0.5f, 0.1f}, {0.5f, 0.2f}));
}

TEST(Policy, DamagedTablesAreRefused) {
  const ExitCosts costs = random_costs(1, 3);
  ExitTable table = random_table(1, 5, 3);
  table.confidence[1] = std::nanf("");
  EXPECT_EQ(offramp::testing::kind_of([&] { require_exit_table(table); }), Error::Kind::failed);
  table = random_table(1, 5, 3);
  table.confidence[2] = std::nanf("");  // of the final exit: never read
  require_exit_table(table);
  table.label.pop_back();
  EXPECT_THROW(require_exit_table(table), Error);
  EXPECT_THROW(require_exit_table({}), Error);
  EXPECT_THROW(require_exit_costs(costs, 2), Error);
  EXPECT_THROW(apply_policy(random_table(1, 5, 3), costs, {0.5f}), Error);
}

TEST(Grid, EveryCutSeparatesNeighbouringConfidences) {
  for (u64 seed = 0; seed < 10; ++seed)
    for (u32 levels : {0u, 5u}) {
      const ExitTable table = random_table(seed, 60, 2, levels);
      const std::vector<float> grid = threshold_grid(table, 0, 0);
      // Distinct numbers of samples that leave: one for each distinct confidence.
      std::vector<float> distinct;
      for (i64 s = 0; s < 60; ++s) distinct.push_back(table.confidence[s * 2]);
      std::sort(distinct.begin(), distinct.end());
      distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
      ASSERT_EQ(grid.size(), distinct.size());
      EXPECT_EQ(grid[0], 0.0f);
      for (std::size_t k = 1; k < grid.size(); ++k) {
        EXPECT_GT(grid[k], distinct[k - 1]);
        EXPECT_LE(grid[k], distinct[k]);
      }
      const std::vector<i32> ranks = threshold_ranks(table, 0, grid);
      for (i64 s = 0; s < 60; ++s)
        for (std::size_t k = 0; k < grid.size(); ++k)
          EXPECT_EQ(exit_taken({grid[k]}, std::span(table.confidence).subspan(s * 2, 2)) == 0,
                    i32(k) < ranks[s]);
    }
}

TEST(Grid, NeighbouringFloatsAndNegativeConfidencesAreSeparated) {
  ExitTable table{.samples = 4, .exits = 2, .predicted = std::vector<i32>(8), .label = std::vector<i32>(4)};
  const float one = 1.0f, below = std::nextafter(1.0f, 0.0f), tiny = std::numeric_limits<float>::denorm_min();
  table.confidence = {one, 0, below, 0, tiny, 0, 0, 0};
  const std::vector<float> grid = threshold_grid(table, 0, 0);
  ASSERT_EQ(grid.size(), 4u);
  EXPECT_EQ(grid[1], tiny);
  EXPECT_EQ(grid[3], one);
  table.confidence[0] = -2;
  EXPECT_EQ(threshold_grid(table, 0, 0)[0], std::numeric_limits<float>::lowest());
}

TEST(Grid, QuantilesKeepTheLimitAndSpreadEvenly) {
  const ExitTable table = random_table(3, 1000, 2);
  const std::vector<float> grid = threshold_grid(table, 0, 32);
  ASSERT_EQ(grid.size(), 32u);
  const std::vector<i32> ranks = threshold_ranks(table, 0, grid);
  for (int k = 1; k <= 32; ++k) EXPECT_NEAR(std::count(ranks.begin(), ranks.end(), k), 1000.0 / 32, 1.0) << k;
  // Nearly all confidences equal: the cut below the many is found all the same.
  ExitTable flat = random_table(3, 1000, 2);
  for (i64 s = 10; s < 1000; ++s) flat.confidence[s * 2] = 1.0f;
  const std::vector<float> few = threshold_grid(flat, 0, 8);
  ASSERT_EQ(few.size(), 2u);
  const std::vector<i32> few_ranks = threshold_ranks(flat, 0, few);
  EXPECT_EQ(std::count(few_ranks.begin(), few_ranks.end(), 2), 990);
  EXPECT_EQ(threshold_grid(flat, 0, 1).size(), 1u);
}

}  // namespace
}  // namespace offramp::nas
