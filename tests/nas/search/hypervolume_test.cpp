#include "nas/search/hypervolume.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/error.h"
#include "kernels/rng.h"

namespace offramp::nas {
namespace {

using Points = std::vector<std::vector<double>>;

// Counts unit cells of an integer grid below the reference that some point dominates.
double counted(const Points& points, const std::vector<double>& reference) {
  i64 cells = 1, count = 0;
  for (double r : reference) cells *= i64(r);
  for (i64 cell = 0; cell < cells; ++cell) {
    i64 rest = cell;
    std::vector<double> corner;  // the low corner
    for (double r : reference) corner.push_back(double(rest % i64(r))), rest /= i64(r);
    for (const auto& p : points) {
      bool covers = true;
      for (std::size_t m = 0; m < p.size(); ++m) covers &= p[m] <= corner[m];
      if (covers) {
        ++count;
        break;
      }
    }
  }
  return double(count);
}

TEST(Hypervolume, EqualsCountingCells) {
  for (int objectives = 1; objectives <= 4; ++objectives)
    for (u64 seed = 0; seed < 30; ++seed) {
      Rng rng(seed, u64(objectives));
      const std::vector<double> reference(std::size_t(objectives), 6.0);
      Points points(rng.below(12));
      for (auto& p : points)
        for (int m = 0; m < objectives; ++m) p.push_back(rng.below(8));  // some beyond the reference
      EXPECT_EQ(hypervolume(points, reference), counted(points, reference)) << objectives << " " << seed;
    }
}

TEST(Hypervolume, OrderDoesNotChangeABit) {
  for (int objectives = 2; objectives <= 4; ++objectives) {
    Rng rng(7, u64(objectives));
    Points points(25);
    for (auto& p : points)
      for (int m = 0; m < objectives; ++m) p.push_back(rng.uniform());
    const std::vector<double> reference(std::size_t(objectives), 1.1);
    const double want = hypervolume(points, reference);
    for (int shuffle = 0; shuffle < 5; ++shuffle) {
      for (std::size_t i = points.size(); i > 1; --i) std::swap(points[i - 1], points[rng.below(u32(i))]);
      EXPECT_EQ(hypervolume(points, reference), want);
    }
  }
}

TEST(Hypervolume, NormalisedIsAShareOfTheBox) {
  const std::vector<double> ideal{0, 5}, reference{0.9, 8};
  EXPECT_DOUBLE_EQ(normalised_hypervolume(Points{{0, 5}}, ideal, reference), 1);
  EXPECT_DOUBLE_EQ(normalised_hypervolume(Points{{-1, 4}}, ideal, reference), 1);
  EXPECT_DOUBLE_EQ(normalised_hypervolume(Points{{0.45, 6.5}}, ideal, reference), 0.25);
  EXPECT_EQ(normalised_hypervolume(Points{{0.9, 6}}, ideal, reference), 0);
  EXPECT_THROW(normalised_hypervolume(Points{{0, 5}}, reference, ideal), Error);
}

TEST(Hypervolume, ReferenceIsTheWorstTimesAFactor) {
  EXPECT_EQ(reference_point(Points{{1, 9}, {4, 2}}, 2), (std::vector<double>{8, 18}));
  EXPECT_THROW(reference_point(Points{}), Error);
  EXPECT_THROW(hypervolume(Points{{1, 2, 3}}, std::vector<double>{4, 4}), Error);
}

}  // namespace
}  // namespace offramp::nas
