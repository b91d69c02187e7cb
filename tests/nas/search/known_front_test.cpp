// Samplers on problems whose fronts are known.
#include <gtest/gtest.h>

#include <set>

#include "bench/known_fronts.h"
#include "kernels/error.h"
#include "nas/search/evolution.h"
#include "nas/search/hypervolume.h"
#include "nas/search/nsga2.h"
#include "nas/search/nsga3.h"
#include "nas/search/random_search.h"
#include "tests/nas/search/search_support.h"

namespace offramp::nas {
namespace {

// Share of the known front's hypervolume that was found.
double share_found(const Sampler& sampler, const bench::KnownFront& problem) {
  return hypervolume(front_of(sampler).objectives(), problem.reference) /
         hypervolume(problem.front, problem.reference);
}

// How many of the known front's points were found exactly.
i64 points_found(const Sampler& sampler, const bench::KnownFront& problem) {
  std::set<std::vector<double>> found;
  for (const auto& o : front_of(sampler).objectives()) found.insert(o);
  i64 count = 0;
  for (const auto& o : problem.front) count += found.count(o) > 0;
  return count;
}

TEST(KnownFronts, NobodyGetsBelowThem) {
  for (const bench::KnownFront& problem :
       {bench::zdt(4, 4, 0.5), bench::zdt(4, 4, 2, 0.5), bench::dtlz2(6, 5, 4)}) {
    RandomSearch random(problem.space, {.seed = 1});
    search(random, problem, 2000);
    EXPECT_LE(share_found(random, problem), 1 + 1e-12);
    EXPECT_GT(points_found(random, problem), 0);
  }
}

TEST(KnownFronts, Nsga2ReachesConvexAndConcaveFronts) {
  for (double power : {0.5, 2.0})
    for (u64 seed = 0; seed < 3; ++seed) {
      const bench::KnownFront problem = bench::zdt(12, 8, power);
      Nsga2 nsga2(problem.space, {.seed = seed, .population = 64});
      search(nsga2, problem, 10000);
      EXPECT_GT(share_found(nsga2, problem), 0.995) << power << " " << seed;
      EXPECT_GT(points_found(nsga2, problem), 45) << power << " " << seed;
    }
}

TEST(KnownFronts, Nsga3ReachesTheSphere) {
  const bench::KnownFront problem = bench::dtlz2(12, 13, 8);
  for (u64 seed = 0; seed < 3; ++seed) {
    Nsga3 nsga3(problem.space, {{.seed = seed, .population = 92}});
    search(nsga3, problem, 10000);
    EXPECT_GT(share_found(nsga3, problem), 0.995) << seed;
    // The survivors lie in every direction: each of the 91 lattice directions has one within 0.12 of it.
    for (const std::vector<i32>& direction : simplex_lattice(3, 12)) {
      double nearest = 1e9;
      for (std::size_t i : nsga3.population()) {
        const auto& f = std::get<Scored>(nsga3.candidates()[i].outcome).objectives;
        double along = 0, norm = 0, length = 0;
        for (int m = 0; m < 3; ++m) {
          along += f[m] * direction[m];
          norm += double(direction[m] * direction[m]);
          length += f[m] * f[m];
        }
        nearest = std::min(nearest, std::sqrt(std::max(0.0, 1 - along * along / (norm * length))));
      }
      EXPECT_LT(nearest, 0.12) << seed << ": " << direction[0] << " " << direction[1] << " " << direction[2];
    }
  }
}

TEST(KnownFronts, Nsga3WorksWithTwoObjectivesToo) {
  const bench::KnownFront problem = bench::zdt(12, 8, 0.5);
  Nsga3 nsga3(problem.space, {{.seed = 1, .population = 64}});
  search(nsga3, problem, 10000);
  EXPECT_GT(share_found(nsga3, problem), 0.99);
}

TEST(KnownFronts, RegularisedEvolutionBeatsRandomSearch) {
  const bench::KnownFront problem = bench::zdt(20, 4, 0.5);
  for (u64 seed = 0; seed < 3; ++seed) {
    RegularisedEvolution evolution(problem.space, {.seed = seed, .population = 40});
    search(evolution, problem, 3000);
    RandomSearch random(problem.space, {.seed = seed});
    search(random, problem, 3000);
    EXPECT_GT(share_found(evolution, problem), 0.96) << seed;
    EXPECT_GT(share_found(evolution, problem), share_found(random, problem) + 0.1) << seed;
  }
}

TEST(Nsga3, LatticeOfDirectionsIsWhole) {
  EXPECT_EQ(simplex_lattice(2, 3), (std::vector<std::vector<i32>>{{0, 3}, {1, 2}, {2, 1}, {3, 0}}));
  const auto lattice = simplex_lattice(3, 12);
  EXPECT_EQ(lattice.size(), 91u);
  EXPECT_EQ(std::set<std::vector<i32>>(lattice.begin(), lattice.end()).size(), 91u);
  for (const auto& p : lattice) EXPECT_EQ(p[0] + p[1] + p[2], 12);
  EXPECT_EQ(simplex_lattice(1, 4).size(), 1u);
  EXPECT_THROW(simplex_lattice(3, 0), Error);
  EXPECT_THROW(simplex_lattice(30, 30), Error);
}

TEST(Nsga3, SameSeedSameSearchInAnyOrderOfEvaluation) {
  const bench::KnownFront problem = bench::dtlz2(8, 7, 4);
  Nsga3 a(problem.space, {{.seed = 5, .population = 20}}), b(problem.space, {{.seed = 5, .population = 20}}),
      c(problem.space, {{.seed = 6, .population = 20}});
  search(a, problem, 500);
  search(b, problem, 500, /*backwards=*/true);
  search(c, problem, 500);
  EXPECT_EQ(proposals_of(a), proposals_of(b));
  EXPECT_EQ(a.population(), b.population());
  EXPECT_NE(proposals_of(a), proposals_of(c));
}

TEST(Nsga3, ConstraintsAreMetBeforeObjectivesCount) {
  const bench::KnownFront problem = bench::dtlz2(8, 16, 4);
  const auto limited = [&](const Genotype& g) -> Outcome {
    if (g[2] == 3) return Failed{"diverged"};
    return Scored{problem.objectives(g), double(std::max(0, 14 - g[0]))};  // 1/8 of the space
  };
  Nsga3 nsga3(problem.space, {{.seed = 2, .population = 20}});
  search(nsga3, limited, 800);
  for (std::size_t i : nsga3.population()) EXPECT_GE(nsga3.candidates()[i].proposal.genotype[0], 14);
  EXPECT_EQ(nsga3.population().size(), 20u);
  Nsga3 hopeless(problem.space, {{.seed = 2, .population = 10}});
  search(
      hopeless,
      [](const Genotype& g) {
        return Scored{{1, 1, 1}, 1.0 + g[0]};
      },
      200);
  for (std::size_t i : hopeless.population()) EXPECT_LE(hopeless.candidates()[i].proposal.genotype[0], 2);
}

TEST(Nsga3, CopesWithFrontsThatAreFlatInAnObjective) {
  const bench::KnownFront problem = bench::dtlz2(8, 16, 4);
  const auto flat = [&](const Genotype& g) -> Outcome {
    const auto f = problem.objectives(g);
    return Scored{{f[0], f[1], 7}};
  };
  Nsga3 nsga3(problem.space, {{.seed = 2, .population = 20}});
  search(nsga3, flat, 400);
  EXPECT_EQ(nsga3.population().size(), 20u);
  EXPECT_THROW(Nsga3(problem.space, {{.population = 20}, -1}), Error);
}

TEST(RegularisedEvolution, ChildrenDifferFromALivingParentInOneGeneAndTheOldestDie) {
  const bench::KnownFront problem = bench::zdt(10, 4, 0.5);
  RegularisedEvolution evolution(
      problem.space, {.seed = 3, .population = 12, .tournament = 4, .batch = 5, .seeds = {Genotype(10, 0)}});
  i64 told = 0;
  while (told < 200) {
    const std::deque<std::size_t> alive = evolution.population();
    const std::vector<Proposal> proposals = evolution.ask(200 - told);
    std::vector<Evaluation> evaluations;
    for (const Proposal& p : proposals) {
      evaluations.push_back({p.id, p.id % 7 == 3 ? Outcome(Failed{"no"}) : problem(p.genotype)});
      if (p.origin != "variation") continue;
      ASSERT_EQ(p.parents.size(), 1u);
      EXPECT_NE(p.parents[0] % 7, 3);
      EXPECT_TRUE(std::find(alive.begin(), alive.end(), std::size_t(p.parents[0])) != alive.end());
      const Genotype& parent = evolution.candidates()[std::size_t(p.parents[0])].proposal.genotype;
      int different = 0;
      for (std::size_t i = 0; i < parent.size(); ++i) different += parent[i] != p.genotype[i];
      EXPECT_EQ(different, 1);
    }
    told += i64(proposals.size());
    evolution.tell(evaluations);
  }
  EXPECT_EQ(evolution.candidates()[0].proposal.genotype, Genotype(10, 0));
  EXPECT_EQ(evolution.population().size(), 12u);
  for (std::size_t i : evolution.population()) EXPECT_GE(i, 200u - 16);  // the youngest that did not fail
  EXPECT_THROW(RegularisedEvolution(problem.space, {.tournament = 0}), Error);
}

TEST(RegularisedEvolution, EndsWhenTheSpaceIsUsedUp) {
  RegularisedEvolution evolution({{3, 1, 3}, {}, {}}, {.seed = 1, .population = 4});
  search(
      evolution, [](const Genotype& g) { return Scored{{double(g[0])}}; }, 100);
  EXPECT_EQ(evolution.candidates().size(), 9u);
}

TEST(Sampler, ReplayLeadsToTheSameState) {
  const bench::KnownFront problem = bench::zdt(10, 4, 0.5);
  Nsga2 whole(problem.space, {.seed = 5, .population = 20});
  search(whole, problem, 200);
  Nsga2 resumed(problem.space, {.seed = 5, .population = 20});
  for (i64 generation = 0; generation < 5; ++generation) {
    std::vector<Proposal> proposals;
    std::vector<Evaluation> evaluations;
    for (const Candidate& c : whole.candidates())
      if (c.proposal.generation == generation) {
        proposals.push_back(c.proposal);
        evaluations.push_back({c.proposal.id, c.outcome});
      }
    resumed.replay(proposals);
    EXPECT_THROW(resumed.replay(proposals), Error);
    EXPECT_THROW(resumed.ask(1), Error);
    resumed.tell(evaluations);
    EXPECT_THROW(resumed.replay(proposals), Error);  // not this generation
  }
  search(resumed, problem, 200);
  EXPECT_EQ(proposals_of(resumed), proposals_of(whole));
  EXPECT_EQ(resumed.population(), whole.population());
  EXPECT_THROW(resumed.replay({}), Error);
}

}  // namespace
}  // namespace offramp::nas
