#include "nas/search/nsga2.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/error.h"
#include "nas/search/dominance.h"
#include "nas/search/front.h"
#include "nas/search/hypervolume.h"
#include "nas/search/random_search.h"
#include "tests/nas/search/search_support.h"

namespace offramp::nas {
namespace {

// Leading ones against trailing zeros (Laumanns et al. 2004): the front is the n + 1 strings 1..10..0.
constexpr int kBits = 16;
Outcome leading_trailing(const Genotype& g) {
  int leading = 0, trailing = 0;
  while (leading < kBits && g[leading] == 1) ++leading;
  while (trailing < kBits && g[kBits - 1 - trailing] == 0) ++trailing;
  return Scored{{double(kBits - leading), double(kBits - trailing)}};
}
GeneSpace bits() { return {std::vector<i32>(kBits, 2)}; }

// One gene trades the objectives off, the other nine only make things worse: the front is x + y = 63.
Outcome slope(const Genotype& g) {
  double excess = 0;
  for (std::size_t i = 1; i < g.size(); ++i) excess += g[i];
  return Scored{{g[0] + excess, 63 - g[0] + excess}};
}
GeneSpace slope_space() {
  GeneSpace space{std::vector<i32>(10, 8)};
  space.choices[0] = 64;
  return space;
}

TEST(Nsga2, ReachesTheWholeFrontOfLeadingOnesTrailingZeros) {
  Nsga2 nsga2(bits(), {.seed = 1, .population = 40});
  search(nsga2, leading_trailing, 4000);
  const Front front = front_of(nsga2);
  ASSERT_EQ(front.points().size(), std::size_t(kBits + 1));
  for (int i = 0; i <= kBits; ++i)
    EXPECT_EQ(front.points()[i].objectives, (std::vector<double>{double(i), double(kBits - i)}));
}

TEST(Nsga2, ApproachesALinearFrontAndBeatsRandomSearch) {
  const std::vector<double> reference{127, 127};
  std::vector<std::vector<double>> ideal_front;
  for (int x = 0; x < 64; ++x) ideal_front.push_back({double(x), double(63 - x)});
  const double best = hypervolume(ideal_front, reference);
  for (u64 seed = 0; seed < 3; ++seed) {
    Nsga2 nsga2(slope_space(), {.seed = seed, .population = 40});
    search(nsga2, slope, 3000);
    RandomSearch random(slope_space(), {.seed = seed});
    search(random, slope, 3000);
    const double found = hypervolume(front_of(nsga2).objectives(), reference);
    EXPECT_GT(found, 0.98 * best);
    EXPECT_LE(found, best);
    EXPECT_GT(found, 1.05 * hypervolume(front_of(random).objectives(), reference));
  }
}

TEST(Nsga2, SameSeedSameSearchInAnyOrderOfEvaluation) {
  Nsga2 a(slope_space(), {.seed = 5, .population = 20}), b(slope_space(), {.seed = 5, .population = 20}),
      c(slope_space(), {.seed = 6, .population = 20});
  search(a, slope, 500);
  search(b, slope, 500, /*backwards=*/true);
  search(c, slope, 500);
  EXPECT_EQ(proposals_of(a), proposals_of(b));
  EXPECT_EQ(a.population(), b.population());
  EXPECT_NE(proposals_of(a), proposals_of(c));
}

TEST(Nsga2, AShorterRunIsAPrefixOfALongerOne) {
  Nsga2 half(slope_space(), {.seed = 5, .population = 20}),
      whole(slope_space(), {.seed = 5, .population = 20});
  search(half, slope, 130);  // stops inside a generation
  search(whole, slope, 300);
  std::vector<Proposal> prefix = proposals_of(whole);
  prefix.resize(130);
  EXPECT_EQ(proposals_of(half), prefix);
}

// Integers alone: the same on every machine and compiler.
TEST(Nsga2, GoldenRun) {
  Nsga2 nsga2(slope_space(), {.seed = 2026, .population = 16, .seeds = {Genotype(10, 0)}});
  search(nsga2, slope, 400);
  u64 hash = 1469598103934665603u;
  for (const Proposal& p : proposals_of(nsga2))
    for (i32 gene : p.genotype) hash = (hash ^ u64(gene)) * 1099511628211u;
  const Front front = front_of(nsga2);
  std::vector<i64> ids;
  for (const FrontPoint& p : front.points()) ids.push_back(p.id);
  EXPECT_EQ(hash, 12880232034754060374u);
  ids.resize(12);
  EXPECT_EQ(ids, (std::vector<i64>{0, 203, 187, 278, 208, 330, 359, 153, 139, 304, 315, 352}));
}

TEST(Nsga2, ProposesCanonicalValidAndNewGenotypesOnly) {
  GeneSpace space{std::vector<i32>(6, 4)};
  space.canonical = [](const Genotype& g) {  // the second half counts only if the first gene is not 0
    Genotype c = g;
    if (c[0] == 0) c[3] = c[4] = c[5] = 0;
    return c;
  };
  space.valid = [](const Genotype& g) { return g[1] != 3; };
  Nsga2 nsga2(space, {.seed = 3, .population = 20, .initial = 30});
  EXPECT_EQ(nsga2.ask(1000).size(), 30u);
  Nsga2 fresh(space, {.seed = 3, .population = 20, .initial = 30});
  search(fresh, slope, 800);
  std::set<Genotype> seen;
  for (const Proposal& p : proposals_of(fresh)) {
    EXPECT_EQ(p.genotype, space.canonical(p.genotype));
    EXPECT_TRUE(space.valid(p.genotype));
    EXPECT_TRUE(seen.insert(p.genotype).second) << "proposed twice: id " << p.id;
    for (i64 parent : p.parents) EXPECT_LT(parent, p.id);
    EXPECT_EQ(p.parents.empty(), p.origin != "variation");
  }
}

TEST(Nsga2, EndsWhenTheSpaceIsUsedUp) {
  Nsga2 nsga2({{3, 3}}, {.seed = 1, .population = 4});
  search(nsga2, slope, 1000);
  EXPECT_EQ(nsga2.candidates().size(), 9u);
  EXPECT_TRUE(nsga2.ask(10).empty());
  RandomSearch random({{3, 3}}, {.seed = 1, .batch = 4});
  search(random, slope, 1000);
  EXPECT_EQ(random.candidates().size(), 9u);
}

TEST(Nsga2, SeedsComeFirstAndFailuresNeverSurvive) {
  const auto fragile = [](const Genotype& g) -> Outcome {
    if (g[1] >= 4) return Failed{"diverged"};
    if (g[2] == 7) return Scored{{std::nan(""), 0}};
    return slope(g);
  };
  const Genotype smallest(10, 0), largest{63, 7, 7, 7, 7, 7, 7, 7, 7, 7};
  Nsga2 nsga2(slope_space(), {.seed = 4, .population = 20, .seeds = {smallest, largest, smallest}});
  search(nsga2, fragile, 600);
  EXPECT_EQ(nsga2.candidates()[0].proposal.genotype, smallest);
  EXPECT_EQ(nsga2.candidates()[0].proposal.origin, "seed");
  EXPECT_EQ(nsga2.candidates()[1].proposal.genotype, largest);
  EXPECT_EQ(nsga2.candidates()[2].proposal.origin, "random");
  int failures = 0;
  for (const Candidate& c : nsga2.candidates()) failures += std::holds_alternative<Failed>(c.outcome);
  EXPECT_GT(failures, 10);
  for (const Candidate& c : nsga2.candidates()) {
    const bool bad = c.proposal.genotype[1] >= 4 || c.proposal.genotype[2] == 7;  // NaN is a failure, too
    EXPECT_EQ(std::holds_alternative<Failed>(c.outcome), bad);
  }
  for (std::size_t i : nsga2.population())
    EXPECT_TRUE(std::holds_alternative<Scored>(nsga2.candidates()[i].outcome));
  for (const Candidate& c : nsga2.candidates())
    for (i64 parent : c.proposal.parents)
      EXPECT_TRUE(std::holds_alternative<Scored>(nsga2.candidates()[std::size_t(parent)].outcome));
}

TEST(Nsga2, ConstraintsAreMetBeforeObjectivesCount) {
  // Only g[0] >= 60 is feasible; the space has 1/16 of it.
  const auto limited = [](const Genotype& g) -> Outcome {
    Scored scored = std::get<Scored>(slope(g));
    scored.violation = std::max(0, 60 - g[0]);
    return scored;
  };
  Nsga2 nsga2(slope_space(), {.seed = 8, .population = 20});
  search(nsga2, limited, 1000);
  const Front front = front_of(nsga2);
  for (const FrontPoint& p : front.points())
    EXPECT_GE(nsga2.candidates()[std::size_t(p.id)].proposal.genotype[0], 60);
  for (std::size_t i : nsga2.population()) EXPECT_GE(nsga2.candidates()[i].proposal.genotype[0], 60);
  EXPECT_FALSE(front.points().empty());
}

TEST(Nsga2, SearchWhereEverythingFailsGoesOnAtRandom) {
  Nsga2 nsga2(slope_space(), {.seed = 8, .population = 10});
  search(
      nsga2, [](const Genotype&) { return Failed{"no"}; }, 50);
  EXPECT_EQ(nsga2.candidates().size(), 50u);
  EXPECT_TRUE(nsga2.population().empty());
}

TEST(Sampler, RefusesToBeToldSomethingElse) {
  Nsga2 nsga2(slope_space(), {.seed = 8, .population = 4});
  const std::vector<Proposal> asked = nsga2.ask(4);
  EXPECT_THROW(nsga2.ask(4), Error);
  const Outcome two = Scored{{1, 2}}, three = Scored{{1, 2, 3}};
  using Told = std::vector<Evaluation>;
  EXPECT_THROW(nsga2.tell(Told{{0, two}}), Error);
  EXPECT_THROW(nsga2.tell(Told{{0, two}, {1, two}, {2, two}, {2, two}}), Error);
  EXPECT_THROW(nsga2.tell(Told{{0, two}, {1, two}, {2, two}, {9, two}}), Error);
  EXPECT_THROW(nsga2.tell(Told{{0, two}, {1, two}, {2, two}, {3, three}}), Error);
  nsga2.tell(Told{{3, two}, {1, two}, {2, Failed{"x"}}, {0, two}});
  EXPECT_EQ(nsga2.candidates()[2].proposal.id, 2);
  EXPECT_EQ(nsga2.candidates()[2].outcome, Outcome(Failed{"x"}));
}

TEST(Sampler, RefusesOptionsThatMakeNoSense) {
  EXPECT_THROW(Nsga2(slope_space(), {.population = 1}), Error);
  EXPECT_THROW(Nsga2(slope_space(), {.crossover_percent = 101}), Error);
  EXPECT_THROW(Nsga2(slope_space(), {.seeds = {{0, 1}}}), Error);
  EXPECT_THROW(RandomSearch(slope_space(), {.batch = 0}), Error);
  EXPECT_THROW(Nsga2(GeneSpace{}, {}), Error);
}

}  // namespace
}  // namespace offramp::nas
