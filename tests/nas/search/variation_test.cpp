#include "nas/search/variation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"

namespace offramp::nas {
namespace {

// The distribution by its textbook form in double precision, over an even sample of u.
std::vector<double> textbook_mutation(int value, int choices, int eta) {
  constexpr int kSamples = 50000;
  std::vector<double> share(std::size_t(choices), 0);
  const double range = choices, power = 1.0 / (eta + 1);
  for (int i = 0; i < kSamples; ++i) {
    const double u = (i + 0.5) / kSamples;
    double shift;
    if (u < 0.5) {
      const double z = 2 * u + (1 - 2 * u) * std::pow(1 - (value + 0.5) / range, eta + 1);
      shift = std::pow(z, power) - 1;
    } else {
      const double z = 2 * (1 - u) + 2 * (u - 0.5) * std::pow(1 - (choices - 0.5 - value) / range, eta + 1);
      shift = 1 - std::pow(z, power);
    }
    share[std::size_t(std::lround(value + shift * range))] += 1.0 / kSamples;
  }
  return share;
}

TEST(Mutation, HasTheTextbookDistribution) {
  constexpr int kSamples = 50000;
  for (int eta : {0, 1, 3, 20})
    for (int choices : {2, 3, 11})
      for (int value : {0, 1, choices - 1}) {
        const std::vector<double> want = textbook_mutation(value, choices, eta);
        std::vector<double> got(std::size_t(choices), 0);
        Rng rng(u64(eta), u64(choices * 100 + value));
        for (int i = 0; i < kSamples; ++i)
          got[std::size_t(polynomial_mutation(value, choices, eta, rng))] += 1.0 / kSamples;
        for (int k = 0; k < choices; ++k)  // 5 standard deviations of a share
          EXPECT_NEAR(got[k], want[k], 5 * std::sqrt(want[k] * (1 - want[k]) / kSamples) + 1e-4)
              << "eta " << eta << ", " << value << " of " << choices << " -> " << k;
      }
}

TEST(Mutation, StaysInRangeAndReachesBothEnds) {
  for (int choices : {1, 2, 3, 7, 65535}) {
    Rng rng(5, u64(choices));
    int low = choices, high = -1;
    for (int i = 0; i < 2000; ++i) {
      const i32 got = polynomial_mutation(i32(rng.below(u32(choices))), choices, 1, rng);
      ASSERT_GE(got, 0);
      ASSERT_LT(got, choices);
      low = std::min(low, got), high = std::max(high, got);
    }
    EXPECT_LE(low, choices / 50);
    EXPECT_GE(high, choices - 1 - choices / 50);
  }
}

TEST(Mutation, TouchesTheExpectedNumberOfGenes) {
  const GeneSpace space{std::vector<i32>(82, 1000)};
  const Genotype from(82, 500);
  Rng rng(1);
  int changed = 0;
  for (int i = 0; i < 5000; ++i) {
    const Genotype to = mutate(space, from, 1, 2, rng);
    for (int g = 0; g < 82; ++g) changed += to[g] != from[g];
  }
  EXPECT_NEAR(changed / 5000.0, 2, 0.1);
}

TEST(Crossover, TakesOneStretchFromTheOtherParent) {
  for (int n : {2, 3, 10}) {
    const Genotype a(std::size_t(n), 0), b(std::size_t(n), 1);
    Rng rng(3, u64(n));
    std::vector<int> from_b(std::size_t(n), 0);
    for (int i = 0; i < 4000; ++i) {
      const Genotype child = two_point_crossover(a, b, rng);
      int ones = 0, borders = 0;
      for (int g = 0; g < n; ++g) {
        ones += child[g];
        from_b[g] += child[g];
        borders += g > 0 && child[g] != child[g - 1];
      }
      ASSERT_GE(ones, 1);
      ASSERT_LT(ones, n);
      ASSERT_LE(borders, 2);
    }
    for (int count : from_b) EXPECT_GT(count, 400);  // no place is left out
  }
  Rng rng(3);
  EXPECT_EQ(two_point_crossover({4}, {5}, rng), (Genotype{4}));
}

TEST(Variation, RandomGenotypesCoverEveryChoice) {
  const GeneSpace space{{1, 2, 5}};
  Rng rng(9);
  std::vector<std::vector<int>> seen{{0}, {0, 0}, {0, 0, 0, 0, 0}};
  for (int i = 0; i < 1000; ++i) {
    const Genotype genes = random_genotype(space, rng);
    require_genotype(space, genes);
    for (int g = 0; g < 3; ++g) ++seen[g][genes[g]];
  }
  for (const auto& counts : seen)
    for (int count : counts) EXPECT_GT(count, 100);
}

TEST(Variation, WrongGenotypesAndSpacesAreRefused) {
  EXPECT_THROW(require_gene_space({}), Error);
  EXPECT_THROW(require_gene_space({{2, 0}}), Error);
  EXPECT_THROW(require_genotype({{2, 2}}, {0}), Error);
  EXPECT_THROW(require_genotype({{2, 2}}, {0, 2}), Error);
  EXPECT_THROW(require_genotype({{2, 2}}, {-1, 0}), Error);
}

}  // namespace
}  // namespace offramp::nas
