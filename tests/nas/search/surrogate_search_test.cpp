#include "nas/search/surrogate_search.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <set>

#include "bench/known_fronts.h"
#include "kernels/error.h"
#include "nas/search/descent.h"
#include "nas/search/exit_prediction.h"
#include "nas/search/hypervolume.h"
#include "nas/search/random_search.h"
#include "nas/search/samplers.h"
#include "tests/nas/search/search_support.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

using offramp::testing::kind_of;

double volume(const Sampler& sampler, const bench::KnownFront& problem) {
  return hypervolume(front_of(sampler).objectives(), problem.reference);
}

SurrogateSearchOptions quick(u64 seed, const std::string& kind = "rbf") {
  return {.seed = seed,
          .initial = 30,
          .batch = 6,
          .surrogate = {.kind = kind},
          .inner_population = 20,
          .inner_generations = 8};
}

TEST(SurrogateSearch, AFifthOfTheEvaluationsIsEnoughToReachWhatRandomSearchReachesInTotal) {
  for (const auto& [problem, kind] :
       std::vector<std::pair<bench::KnownFront, std::string>>{{bench::zdt(40, 4, 0.5, 0.3), "rbf"},
                                                              {bench::zdt(40, 4, 2, 0.3), "gp"},
                                                              {bench::dtlz2(40, 16, 4), "rbf"}})
    for (u64 seed = 0; seed < 3; ++seed) {
      RandomSearch random(problem.space, {.seed = seed});
      search(random, problem, 1000);
      Exec exec;
      SurrogateSearch assisted(exec, problem.space, {},
                               {.seed = seed, .initial = 60, .surrogate = {.kind = kind}});
      search(assisted, problem, 200);
      EXPECT_EQ(assisted.candidates().size(), 200u);
      EXPECT_GT(volume(assisted, problem), volume(random, problem)) << kind << " " << seed;
    }
}

TEST(SurrogateSearch, SameSeedSameSearchWithAnyThreadsAndOrder) {
  const bench::KnownFront problem = bench::zdt(12, 4, 0.5);
  for (const char* kind : {"rbf", "carts"}) {
    Exec one(default_target(), 1), two(default_target(), 2);
    SurrogateSearch a(one, problem.space, {}, quick(3, kind)), b(two, problem.space, {}, quick(3, kind)),
        c(one, problem.space, {}, quick(4, kind));
    search(a, problem, 60);
    search(b, problem, 60, /*backwards=*/true);
    search(c, problem, 60);
    EXPECT_EQ(proposals_of(a), proposals_of(b));
    EXPECT_NE(proposals_of(a), proposals_of(c));
  }
}

TEST(SurrogateSearch, AShorterRunIsAPrefixAndAReplayedOneGoesOnAlike) {
  const bench::KnownFront problem = bench::zdt(12, 4, 0.5);
  Exec exec;
  SurrogateSearch whole(exec, problem.space, {}, quick(3)), half(exec, problem.space, {}, quick(3)),
      resumed(exec, problem.space, {}, quick(3));
  search(whole, problem, 60);
  search(half, problem, 45);  // stops inside a generation
  std::vector<Proposal> prefix = proposals_of(whole);
  prefix.resize(45);
  EXPECT_EQ(proposals_of(half), prefix);

  for (i64 generation = 0; generation < 3; ++generation) {
    std::vector<Proposal> proposals;
    std::vector<Evaluation> evaluations;
    for (const Candidate& c : whole.candidates())
      if (c.proposal.generation == generation) {
        proposals.push_back(c.proposal);
        evaluations.push_back({c.proposal.id, c.outcome});
      }
    resumed.replay(proposals);
    resumed.tell(evaluations);
  }
  search(resumed, problem, 60);
  EXPECT_EQ(proposals_of(resumed), proposals_of(whole));
  ASSERT_EQ(resumed.reports().size(), whole.reports().size());
  for (std::size_t g = 0; g < whole.reports().size(); ++g) {
    ASSERT_EQ(resumed.reports()[g].targets.size(), whole.reports()[g].targets.size());
    for (std::size_t t = 0; t < whole.reports()[g].targets.size(); ++t)
      EXPECT_EQ(resumed.reports()[g].targets[t].tau_so_far, whole.reports()[g].targets[t].tau_so_far);
  }
}

TEST(SurrogateSearch, ReportsHowWellItOrderedWhatItHadNotSeen) {
  const bench::KnownFront problem = bench::zdt(16, 4, 0.5);
  Exec exec;
  SurrogateSearch sampler(exec, problem.space, {}, quick(1, "as"));
  search(sampler, problem, 54);
  ASSERT_EQ(sampler.reports().size(), 5u);
  EXPECT_TRUE(sampler.reports()[0].targets.empty());  // the initial design was not predicted
  for (std::size_t g = 1; g < 5; ++g) {
    const SurrogateSearch::Report& report = sampler.reports()[g];
    EXPECT_EQ(report.generation, i64(g));
    ASSERT_EQ(report.targets.size(), 2u);
    for (const auto& target : report.targets) {
      EXPECT_EQ(target.validation.size(), 3u);
      EXPECT_FALSE(target.kind.empty());
      EXPECT_TRUE(std::isnan(target.tau) || std::abs(target.tau) <= 1);
    }
    EXPECT_GT(report.targets[0].tau_so_far, 0.9);  // f1 is one gene
  }
  for (const Candidate& c : sampler.candidates()) {
    if (c.proposal.id < 30)
      EXPECT_EQ(c.proposal.origin, "random");
    else
      EXPECT_EQ(c.proposal.origin.rfind("surrogate", 0), 0u);
    EXPECT_EQ(c.proposal.predicted.size(), c.proposal.id < 30 ? 0u : 2u);
    EXPECT_EQ(c.proposal.predicted_by.size(), c.proposal.predicted.size());
  }
}

// Parents are candidates of earlier generations that the genes come from; without any, the origin says so.
TEST(SurrogateSearch, ProposalsDescendFromWhatWasEvaluated) {
  const bench::KnownFront problem = bench::zdt(16, 4, 0.5);
  Exec exec;
  SurrogateSearch sampler(exec, problem.space, {}, quick(1));
  search(sampler, problem, 90);
  i64 descend = 0;
  for (const Candidate& c : sampler.candidates()) {
    const Proposal& p = c.proposal;
    if (p.generation == 0) continue;
    EXPECT_EQ(p.origin, p.parents.empty() ? kRandomBySurrogate : "surrogate");
    descend += !p.parents.empty();
    for (i64 id : p.parents) {
      const Proposal& parent = sampler.candidates().at(std::size_t(id)).proposal;
      EXPECT_LT(parent.generation, p.generation);
      bool shares = false;
      for (std::size_t g = 0; g < p.genotype.size(); ++g) shares |= parent.genotype[g] == p.genotype[g];
      EXPECT_TRUE(shares) << p.id << " of " << id;
    }
  }
  EXPECT_GT(descend, 50);  // of 60
}

TEST(Descent, FollowsGenesThroughGenerations) {
  Descent descent({{{1, 1, 1}, 40}, {{2, 2, 2}, 17}});
  const auto add = [&](i64 id, Genotype genes, std::vector<i64> parents, const char* origin = "variation") {
    descent.add({.id = id, .genotype = std::move(genes), .origin = origin, .parents = std::move(parents)});
    return descent.ancestors(id);
  };
  using Ids = std::vector<i64>;
  EXPECT_EQ(add(0, {1, 1, 1}, {}, "seed"), Ids{40});
  EXPECT_EQ(add(1, {2, 2, 2}, {}, "seed"), Ids{17});
  EXPECT_EQ(add(2, {3, 3, 2}, {}, "random"), Ids{});
  EXPECT_EQ(add(3, {1, 2, 2}, {0, 1}), (Ids{17, 40}));
  EXPECT_EQ(add(4, {1, 3, 3}, {3}), Ids{40});     // two genes mutated
  EXPECT_EQ(add(5, {3, 3, 3}, {2, 4}), Ids{});    // born of what no candidate had
  EXPECT_EQ(add(6, {3, 3, 2}, {2, 3}), Ids{17});  // a value that one parent has from a candidate
  EXPECT_EQ(add(7, {1, 1, 1}, {3}), Ids{40});     // found again, by mutation: not the seed itself
}

// What cannot be learned from is a generation of NSGA-II among everything evaluated, the same again.
TEST(SurrogateSearch, WithoutAFitItGoesOnByVariation) {
  const bench::KnownFront problem = bench::zdt(12, 4, 0.5);
  const auto unlearnable = [&](const Genotype& g) -> Outcome {
    Scored scored = std::get<Scored>(problem(g));
    scored.learned = {std::numeric_limits<double>::infinity()};
    return scored;
  };
  Exec exec;
  SurrogateSearch a(exec, problem.space, {}, quick(1)), b(exec, problem.space, {}, quick(1));
  search(a, unlearnable, 30);
  EXPECT_EQ(a.failure(), "");
  search(a, unlearnable, 60);
  search(b, unlearnable, 60);
  EXPECT_NE(a.failure().find("not finite"), std::string::npos) << a.failure();
  EXPECT_NE(surrogate_failure_in_words(a).find("not finite"), std::string::npos);
  EXPECT_EQ(surrogate_in_words(a), "");
  EXPECT_EQ(proposals_of(a), proposals_of(b));
  ASSERT_EQ(a.candidates().size(), 60u);
  i64 varied = 0;
  for (const Candidate& c : a.candidates()) {
    if (c.proposal.generation == 0) continue;
    EXPECT_TRUE(c.proposal.predicted.empty());
    varied += c.proposal.origin == "variation";
    for (i64 id : c.proposal.parents)
      EXPECT_LT(a.candidates()[std::size_t(id)].proposal.generation, c.proposal.generation);
  }
  EXPECT_GT(varied, 25);
  // Better than chance: parents are those that survive.
  RandomSearch random(problem.space, {.seed = 1});
  search(a, unlearnable, 240);
  search(random, problem, 240);
  EXPECT_GT(volume(a, problem), volume(random, problem));

  SurrogateSearchOptions few = quick(1);
  few.initial = 3;
  SurrogateSearch small(exec, problem.space, {}, few);
  search(small, problem, 9);
  EXPECT_NE(small.failure().find("3 candidates to learn from"), std::string::npos) << small.failure();
  EXPECT_EQ(small.candidates()[3].proposal.origin, "variation");
  search(small, problem, 15);
  EXPECT_EQ(small.failure(), "");
  EXPECT_FALSE(small.candidates()[9].proposal.predicted.empty());
}

TEST(SurrogateSearch, StopsInsideTheSearchOnSurrogatesAndGoesOnAlike) {
  const bench::KnownFront problem = bench::zdt(12, 4, 0.5);
  std::atomic<bool> stop{false};
  i64 asked = 0, stop_at = 70;
  const Prediction prediction{.scored = [&](const Genotype&, std::span<const double> learned) {
    if (++asked == stop_at) stop = true;
    return Scored{{learned.begin(), learned.end()}};
  }};
  Watch watch;
  watch.stop = &stop;
  Exec exec;
  SurrogateSearch stopped(exec, problem.space, prediction, quick(3)),
      whole(exec, problem.space, {}, quick(3));
  search(whole, problem, 42);
  search(stopped, problem, 30);
  EXPECT_EQ(kind_of([&] { stopped.ask(6, watch); }), Error::Kind::interrupted);
  EXPECT_EQ(asked, stop_at);  // at once, not after the generation
  search(stopped, problem, 42);
  EXPECT_EQ(proposals_of(stopped), proposals_of(whole));
}

TEST(SurrogateSearch, ATauThatIsNotDefinedIsADash) {
  Exec exec;
  SurrogateSearch sampler(exec, {std::vector<i32>(8, 4), {}, {}}, {}, quick(1));
  search(
      sampler,
      [](const Genotype& g) {
        return Scored{{double(g[0] + g[3]), 7.0}};
      },
      36);
  const std::string words = surrogate_in_words(sampler);
  EXPECT_EQ(words.find("nan"), std::string::npos) << words;
  EXPECT_NE(words.find("rbf - (-)"), std::string::npos) << words;
}

// The second objective is a known function of the genes and of what is learned: never predicted.
TEST(SurrogateSearch, LearnsOnlyWhatIsNotKnownExactly) {
  const GeneSpace space{std::vector<i32>(14, 4), {}, {}};
  const auto cost = [](const Genotype& g) {
    double sum = 1;
    for (i32 gene : g) sum += gene;
    return sum;
  };
  const auto quality = [](const Genotype& g) {
    double sum = 0;
    for (std::size_t i = 0; i < g.size(); ++i) sum += g[i] / double(1 + i);
    return 1 / (1 + sum);
  };
  const auto evaluate = [&](const Genotype& g) -> Outcome {
    return Scored{.objectives = {quality(g), cost(g)}, .learned = {quality(g)}};
  };
  i64 asked = 0;
  const Prediction prediction{.scored = [&](const Genotype& g, std::span<const double> learned) {
    EXPECT_EQ(learned.size(), 1u);
    ++asked;
    return Scored{{learned[0], cost(g)}, std::max(0.0, cost(g) - 30)};
  }};
  Exec exec;
  SurrogateSearch sampler(exec, space, prediction, quick(2));
  search(sampler, evaluate, 90);
  EXPECT_GE(asked, 10 * 20);
  for (const SurrogateSearch::Report& report : sampler.reports())
    EXPECT_EQ(report.targets.size(), report.generation == 0 ? 0u : 1u);
  // The constraint is exact, so no predicted candidate breaks it.
  for (const Candidate& c : sampler.candidates()) {
    if (c.proposal.origin != "surrogate") continue;
    EXPECT_LE(cost(c.proposal.genotype), 30);
  }
}

// Two thirds of the candidates were trained less, which costs each the same: predictions are of the whole
// training, and those that were stopped are no part of the front that the next ones are chosen for.
TEST(SurrogateSearch, HowLongCandidatesWereTrainedIsKnownToTheSurrogate) {
  const GeneSpace space{std::vector<i32>(8, 4), {}, {}};
  const auto error = [](const Genotype& g) {
    double sum = 0;
    for (std::size_t i = 0; i < g.size(); ++i) sum += double(3 - g[i]) / double(1 + i);
    return sum;
  };
  const auto off_by = [&](i64 rungs) {
    Exec exec;
    SurrogateSearchOptions options = quick(5);
    options.rungs = rungs;
    SurrogateSearch sampler(exec, space, {}, options);
    for (int generation = 0; generation < 2; ++generation) {
      std::vector<Evaluation> told;
      for (const Proposal& p : sampler.ask(100)) {
        double cost = 0;
        for (i32 gene : p.genotype) cost += gene;
        const i64 left = generation == 0 ? p.id % 3 : 0;
        told.push_back({p.id, Scored{{error(p.genotype) + 5 * double(left), cost}, 0, left}});
      }
      sampler.tell(told);
    }
    double sum = 0;
    i64 n = 0;
    for (const Candidate& c : sampler.candidates())
      if (!c.proposal.predicted.empty()) sum += c.proposal.predicted[0] - error(c.proposal.genotype), ++n;
    EXPECT_EQ(n, 6);
    return std::abs(sum / double(n));
  };
  EXPECT_LT(off_by(3), 1);
  EXPECT_GT(off_by(1), 2) << "the comparison shows little";
}

TEST(SurrogateSearch, TheInnerSearchMayMinimiseSomethingElse) {
  const bench::KnownFront problem = bench::zdt(12, 4, 0.5);
  // A target for f1: the error grows with the distance from it, as AEBNAS has it.
  const Prediction near_target{.inner = [](const std::vector<double>& f) {
    const double off = 100 * std::abs(f[0] - 0.25) / 0.25;
    return std::vector<double>{f[1] + 0.1 * off, off};
  }};
  for (auto subset : {SurrogateSearchOptions::Subset::gaps, SurrogateSearchOptions::Subset::hypervolume}) {
    Exec exec;
    SurrogateSearchOptions options = quick(1);
    options.subset = subset;
    SurrogateSearch sampler(exec, problem.space, near_target, options);
    search(sampler, problem, 90);
    i64 near = 0;
    for (const Candidate& c : sampler.candidates())
      if (c.proposal.origin == "surrogate") near += std::abs(c.proposal.genotype[0] / 63.0 - 0.25) < 0.05;
    EXPECT_GT(near, 40);  // of 60; one in ten at random
  }
}

TEST(SurrogateSearch, FailedCandidatesTeachNothingAndUsedUpSpacesEnd) {
  Exec exec;
  const bench::KnownFront problem = bench::zdt(10, 4, 0.5);
  SurrogateSearch sampler(exec, problem.space, {}, quick(1));
  search(
      sampler, [&](const Genotype& g) { return g[2] == 1 ? Outcome(Failed{"diverged"}) : problem(g); }, 60);
  EXPECT_EQ(sampler.candidates().size(), 60u);
  SurrogateSearch hopeless(exec, problem.space, {}, quick(1));
  search(
      hopeless, [](const Genotype&) { return Failed{"no"}; }, 60);
  EXPECT_EQ(hopeless.candidates().size(), 60u);
  SurrogateSearch small(exec, {{3, 4}, {}, {}}, {},
                        {.seed = 1, .initial = 5, .batch = 2, .seeds = {{2, 3}, {2, 3}}});
  search(
      small,
      [](const Genotype& g) {
        return Scored{{double(g[0]), double(3 - g[1])}};
      },
      100);
  EXPECT_EQ(small.candidates().size(), 12u);
  EXPECT_EQ(small.candidates()[0].proposal.origin, "seed");
  std::set<Genotype> seen;
  for (const Proposal& p : proposals_of(small)) seen.insert(p.genotype);
  EXPECT_EQ(seen.size(), 12u);
  EXPECT_THROW(SurrogateSearch(exec, {{3, 4}, {}, {}}, {}, {.initial = 0}), Error);
  EXPECT_THROW(SurrogateSearch(exec, {{3, 4}, {}, {}}, {}, {.surrogate = {.kind = "crystal ball"}}), Error);
  EXPECT_THROW(SurrogateSearch(exec, {{3, 4}, {}, {}}, {}, {.seeds = {{3, 0}}}), Error);
}

TEST(ExitPrediction, SharesBecomePlausible) {
  const std::vector<double> costs{10, -1, 30, 100};
  EXPECT_EQ(plausible_shares(std::vector<double>{0.25, 0.5, 0.25}, costs),
            (std::vector<double>{0.25, 0, 0.25, 0.5}));
  EXPECT_EQ(plausible_shares(std::vector<double>{-0.1, 0, 0.25}, costs),
            (std::vector<double>{0, 0, 0.25, 0.75}));
  EXPECT_EQ(plausible_shares(std::vector<double>{1, 0, 3}, costs), (std::vector<double>{0.5, 0, 0.5, 0}));
  EXPECT_THROW(plausible_shares(std::vector<double>{1}, costs), Error);
  const double average = 0.25 * 10 + 0.25 * 30 + 0.5 * 100;
  const ExactCosts exact{costs, {5, 0, 5, 1}, 7};
  const Teaching teaching{parse_objectives("macs"), 3, true};
  const Scored scored = expected(teaching, {.macs = 80, .avg_macs = i64(average)}, exact,
                                 std::vector<double>{0.2, 0.25, 0.9, 0.25});
  EXPECT_EQ(scored.objectives, (std::vector<double>{0.2, average}));
  EXPECT_EQ(scored.violation, 100.0 / 80 - 1 + (average / double(i64(average)) - 1));
}

TEST(ExitPrediction, NobodyPaysForAHeadThatSavesNothing) {
  const ExactCosts costs{{12, -1, 43, 106}, {4, 0, 20, 3}, 7};  // prefixes 8, 19, 79
  using Shares = std::vector<double>;
  const auto average = [&](const Shares& shares) { return average_macs(costs, shares, true); };
  EXPECT_DOUBLE_EQ(average({0.5, 0, 0.4, 0.1}), 0.5 * 12 + 0.4 * 43 + 0.1 * 106);
  // Nobody at the second exit: its head of 20 is not paid for.
  EXPECT_DOUBLE_EQ(average({0.5, 0, 0, 0.5}), 0.5 * 12 + 0.5 * (79 + 4 + 3));
  // 0.02 x (79 + 3 - 19) is less than 0.5 x 20.
  EXPECT_DOUBLE_EQ(average({0.5, 0, 0.02, 0.48}), 0.5 * 12 + 0.5 * (79 + 4 + 3));
  // The first exit goes as well, its 0.01 to the end: 0.01 x (79 + 3 - 8) is less than 4.
  EXPECT_DOUBLE_EQ(average({0.01, 0, 0.02, 0.97}), 79 + 3);
  // Thresholds that are not tuned leave every head where it is.
  EXPECT_DOUBLE_EQ(average_macs(costs, Shares{0.5, 0, 0, 0.5}, false), 0.5 * 12 + 0.5 * 106);
}

TEST(ExitPrediction, LessonAndCostsFollowTheExitsOfASpace) {
  const Space space = Space::load("aebnas");
  ASSERT_EQ(space.exits(), 4);
  Genotype genotype = space.min_genotype();
  const std::vector<double> every = exact_costs(space, genotype, {}).leave_macs;
  for (std::size_t i = 0; i + 1 < every.size(); ++i) EXPECT_LT(every[i], every[i + 1]);
  EXPECT_GT(every[0], 0);
  genotype = space.with_exit(genotype, 1, false);
  const std::vector<double> three = exact_costs(space, genotype, {}).leave_macs;
  EXPECT_EQ(three[0], every[0]);
  EXPECT_LT(three[1], 0);
  EXPECT_LT(three[2], every[2]);  // the head that is gone is not paid for
  CandidateRecord record{.genotype = genotype};
  record.accuracy_tune = 0.75, record.avg_macs = 8, record.latency_us = 9;
  record.exit_shares = {0.1, 0.2, 0.3, 0.4};
  SearchConfig config;
  const auto lesson = [&](const std::string& objective, const std::string& learn) {
    config.objective = objective, config.search.learn = learn;
    return lesson_of(space, teaching_of(space, config), record);
  };
  using Values = std::vector<double>;
  EXPECT_EQ(lesson("macs", "shares"), (Values{0.25, 0.1, 0, 0.2, 0.3}));
  EXPECT_EQ(lesson("macs,latency", "shares"), (Values{0.25, 0.1, 0, 0.2, 0.3, 9}));
  EXPECT_EQ(lesson("latency,macs", "objectives"), (Values{0.25, 9, 8}));
  // What is known exactly is not learned.
  EXPECT_EQ(lesson("full_macs,params", "objectives"), (Values{0.25}));
  const ExactCosts costs = exact_costs(space, genotype, {});
  EXPECT_GT(costs.params, 0);
  EXPECT_EQ(expected(teaching_of(space, config), {}, costs, Values{0.5}).objectives,
            (Values{0.5, costs.leave_macs.back(), double(costs.params)}));
  config.objective = "latency,params";
  EXPECT_EQ(expected(teaching_of(space, config), {}, costs, Values{0.5, 11}).objectives,
            (Values{0.5, 11, double(costs.params)}));
  record.exit_shares = {0.1, 0.2, 0.7};
  EXPECT_THROW(lesson("macs", "shares"), Error);
}

}  // namespace
}  // namespace offramp::nas
