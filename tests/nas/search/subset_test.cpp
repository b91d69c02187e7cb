#include "nas/search/subset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "nas/search/hypervolume.h"

namespace offramp::nas {
namespace {

using Points = std::vector<std::vector<double>>;

double deviation_of_gaps(const Points& front, const Points& candidates,
                         const std::vector<std::size_t>& chosen) {
  std::vector<double> x;
  for (const auto& p : front) x.push_back(p[1]);
  for (std::size_t i : chosen) x.push_back(candidates[i][1]);
  std::sort(x.begin(), x.end());
  double mean = 0, squares = 0;
  for (std::size_t i = 1; i < x.size(); ++i) mean += (x[i] - x[i - 1]) / double(x.size() - 1);
  for (std::size_t i = 1; i < x.size(); ++i) squares += (x[i] - x[i - 1] - mean) * (x[i] - x[i - 1] - mean);
  return std::sqrt(squares / double(x.size() - 1));
}

// All subsets of `count` of n.
std::vector<std::vector<std::size_t>> all_subsets(std::size_t n, std::size_t count) {
  std::vector<std::vector<std::size_t>> out;
  for (u32 bits = 0; bits < (1u << n); ++bits) {
    std::vector<std::size_t> subset;
    for (std::size_t i = 0; i < n; ++i)
      if (bits >> i & 1) subset.push_back(i);
    if (subset.size() == count) out.push_back(std::move(subset));
  }
  return out;
}

TEST(Subset, GapsAreAsEvenAsBruteForceMakesThem) {
  for (u64 seed = 0; seed < 10; ++seed) {
    Rng rng(seed);
    Points front(4), candidates(12);
    for (Points* points : {&front, &candidates})
      for (auto& p : *points) p = {double(rng.uniform()), 100 * double(rng.uniform())};
    double least = 1e9;
    for (const auto& subset : all_subsets(12, 4))
      least = std::min(least, deviation_of_gaps(front, candidates, subset));
    const auto got = select_by_gaps(front, candidates, 4, Rng(seed));
    EXPECT_EQ(got.size(), 4u);
    EXPECT_NEAR(deviation_of_gaps(front, candidates, got), least, 1e-9) << seed;
    EXPECT_EQ(got, select_by_gaps(front, candidates, 4, Rng(seed)));
  }
}

TEST(Subset, OfManyCandidatesExactlySoManyAreChosen) {
  Rng rng(3);
  Points front(10), candidates(40);
  for (Points* points : {&front, &candidates})
    for (auto& p : *points) p = {double(rng.uniform()), double(rng.uniform())};
  const auto chosen = select_by_gaps(front, candidates, 8, Rng(1));
  EXPECT_EQ(std::set<std::size_t>(chosen.begin(), chosen.end()).size(), 8u);
  // Much better than a subset at random.
  EXPECT_LT(deviation_of_gaps(front, candidates, chosen),
            0.7 * deviation_of_gaps(front, candidates, {0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(select_by_gaps(front, Points(candidates.begin(), candidates.begin() + 3), 8, Rng(1)),
            (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_TRUE(select_by_gaps(front, {}, 8, Rng(1)).empty());
}

TEST(Subset, HypervolumeIsWithinTheGreedyBoundOfBruteForce) {
  for (int objectives : {2, 3})
    for (u64 seed = 0; seed < 10; ++seed) {
      Rng rng(seed);
      Points front(3), candidates(10);
      for (Points* points : {&front, &candidates})
        for (auto& p : *points)
          for (int m = 0; m < objectives; ++m) p.push_back(rng.uniform());
      // The scale of the function under test: the extremes of all points.
      std::vector<double> low(std::size_t(objectives), 1), high(std::size_t(objectives), 0);
      for (const Points* points : {&front, &candidates})
        for (const auto& p : *points)
          for (int m = 0; m < objectives; ++m) {
            low[m] = std::min(low[m], p[m]);
            high[m] = std::max(high[m], p[m]);
          }
      const auto volume = [&](const std::vector<std::size_t>& chosen) {
        Points points = front;
        for (std::size_t i : chosen) points.push_back(candidates[i]);
        for (auto& p : points)
          for (int m = 0; m < objectives; ++m) p[m] = (p[m] - low[m]) / (high[m] - low[m]);
        return hypervolume(points, std::vector<double>(std::size_t(objectives), 1.1));
      };
      double most = 0;
      for (const auto& subset : all_subsets(10, 3)) most = std::max(most, volume(subset));
      const auto got = select_by_hypervolume(front, candidates, 3);
      ASSERT_EQ(got.size(), 3u);
      const double before = volume({});
      EXPECT_GE(volume(got) - before, 0.632 * (most - before)) << seed;  // 1 - 1/e: gains diminish
      const auto one = select_by_hypervolume(front, candidates, 1);
      for (std::size_t i = 0; i < 10; ++i) EXPECT_GE(volume(one), volume({i}));
    }
}

TEST(Subset, CandidatesThatAddNothingComeInTheirOrder) {
  const Points front{{0, 0}}, candidates{{1, 1}, {2, 2}, {3, 3}};
  EXPECT_EQ(select_by_hypervolume(front, candidates, 2), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(select_by_hypervolume(front, candidates, 9).size(), 3u);
  EXPECT_TRUE(select_by_hypervolume(front, {}, 2).empty());
}

}  // namespace
}  // namespace offramp::nas
