#include "nas/search/dominance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nas/search/front.h"

namespace offramp::nas {
namespace {

// Random outcomes on a small integer grid, so that equal objectives occur; some infeasible, some failed.
std::vector<Outcome> random_outcomes(Rng& rng, int count, int objectives) {
  std::vector<Outcome> all;
  for (int i = 0; i < count; ++i) {
    if (rng.below(10) == 0) {
      all.emplace_back(Failed{"diverged"});
      continue;
    }
    Scored scored;
    for (int m = 0; m < objectives; ++m) scored.objectives.push_back(rng.below(7));
    if (rng.below(5) == 0) scored.violation = 1 + rng.below(3);
    all.push_back(scored);
  }
  return all;
}

TEST(Dominance, NowhereWorseAndSomewhereBetter) {
  using V = std::vector<double>;
  EXPECT_TRUE(dominates(V{1, 2}, V{1, 3}));
  EXPECT_TRUE(dominates(V{0, 2}, V{1, 3}));
  EXPECT_FALSE(dominates(V{1, 3}, V{1, 3}));
  EXPECT_FALSE(dominates(V{0, 4}, V{1, 3}));
  EXPECT_FALSE(dominates(V{1, 3}, V{0, 2}));
}

TEST(Dominance, FeasibleBeforeInfeasibleBeforeFailed) {
  const Outcome good = Scored{{9, 9}, 0}, slight = Scored{{1, 1}, 0.5}, gross = Scored{{0, 0}, 2},
                failed = Failed{"x"};
  EXPECT_TRUE(constrained_dominates(good, slight));
  EXPECT_TRUE(constrained_dominates(slight, gross));
  EXPECT_TRUE(constrained_dominates(gross, failed));
  EXPECT_FALSE(constrained_dominates(failed, failed));
  EXPECT_FALSE(constrained_dominates(slight, good));
  // Equal violations say nothing, whatever the objectives.
  EXPECT_FALSE(constrained_dominates(Scored{{0, 0}, 1}, Scored{{5, 5}, 1}));
}

TEST(Dominance, RanksAreTheLongestChainOfBetterOnes) {
  for (int seed = 0; seed < 40; ++seed) {
    Rng rng(u64(seed), 1);
    const std::vector<Outcome> outcomes = random_outcomes(rng, 1 + seed, 2 + seed % 3);
    const auto ranks = non_dominated_sort(outcomes);
    std::vector<int> rank_of(outcomes.size(), -1);
    for (std::size_t r = 0; r < ranks.size(); ++r)
      for (std::size_t i : ranks[r]) rank_of[i] = int(r);
    // By definition: rank = 0 without anybody better, else 1 + the highest rank among those better.
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      int want = 0;
      for (std::size_t j = 0; j < outcomes.size(); ++j)
        if (constrained_dominates(outcomes[j], outcomes[i])) want = std::max(want, rank_of[j] + 1);
      EXPECT_EQ(rank_of[i], want) << "seed " << seed << ", outcome " << i;
    }
  }
}

TEST(Crowding, EndsAreInfinitelyFarAndTheRestAddsUp) {
  const std::vector<std::vector<double>> points{{0, 10}, {1, 6}, {4, 5}, {10, 0}};
  const std::vector<double> d = crowding_distance(points);
  EXPECT_TRUE(std::isinf(d[0]) && std::isinf(d[3]));
  EXPECT_DOUBLE_EQ(d[1], 0.4 + 0.5);
  EXPECT_DOUBLE_EQ(d[2], 0.9 + 0.6);
  EXPECT_TRUE(std::isinf(crowding_distance(std::vector<std::vector<double>>{{1, 1}})[0]));
  // An objective that is the same everywhere adds nothing (and divides by nothing).
  const std::vector<double> flat =
      crowding_distance(std::vector<std::vector<double>>{{0, 1}, {1, 1}, {2, 1}});
  EXPECT_DOUBLE_EQ(flat[1], 1.0);
}

TEST(Front, HoldsExactlyTheFeasibleNonDominatedWhateverTheOrder) {
  for (int seed = 0; seed < 40; ++seed) {
    Rng rng(u64(seed), 2);
    const std::vector<Outcome> outcomes = random_outcomes(rng, 30, 2 + seed % 2);
    std::vector<FrontPoint> want;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const auto* mine = feasible_objectives(outcomes[i]);
      bool keep = mine != nullptr;
      for (std::size_t j = 0; keep && j < outcomes.size(); ++j)
        if (const auto* other = feasible_objectives(outcomes[j]))
          keep = !dominates(*other, *mine) && !(j < i && *other == *mine);
      if (keep) want.push_back({i64(i), *mine});
    }
    std::sort(want.begin(), want.end(),
              [](const auto& a, const auto& b) { return a.objectives < b.objectives; });

    std::vector<std::size_t> order(outcomes.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (int shuffle = 0; shuffle < 3; ++shuffle) {
      Front front;
      for (std::size_t i : order) front.insert(i64(i), outcomes[i]);
      EXPECT_EQ(front.points(), want) << "seed " << seed;
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(u32(i))]);
    }
  }
}

TEST(Front, KneeIsFarthestFromTheLineBetweenTheEnds) {
  const std::vector<FrontPoint> front{{0, {0, 100}}, {1, {1, 40}}, {2, {2, 15}}, {3, {6, 8}}, {4, {10, 0}}};
  EXPECT_EQ(front_knee(front)->id, 2);  // 0.2 + 0.15
  EXPECT_EQ(front_knee(std::span(front).first(1))->id, 0);
  EXPECT_EQ(front_knee(std::span(front).first(2))->id, 0);  // both on the line: the lower first objective
  EXPECT_EQ(front_knee({}), nullptr);
}

TEST(Front, BestUnderALimit) {
  const std::vector<FrontPoint> front{{0, {0, 100}}, {1, {1, 40}}, {2, {2, 15}}};
  EXPECT_EQ(best_under(front, 1, 1000)->id, 0);
  EXPECT_EQ(best_under(front, 1, 40)->id, 1);
  EXPECT_EQ(best_under(front, 1, 39.9)->id, 2);
  EXPECT_EQ(best_under(front, 1, 14), nullptr);
}

}  // namespace
}  // namespace offramp::nas
