// Whole searches with every sampler.
#include <atomic>
#include <set>

#include "nas/latency/timed_network.h"
#include "nas/search/exit_prediction.h"
#include "nas/search/limits.h"
#include "nas/search/objectives.h"
#include "nas/search/samplers.h"
#include "tests/nas/search_run.h"

namespace offramp::nas {
namespace {

// Stopped in the first generation, in a later one, and before the end; the archive keeps what surrogates
// learned from.
TEST_F(SearchRun, EverySamplerGoesOnAsIfNeverInterrupted) {
  std::set<std::string> fronts;
  for (const std::string& sampler : sampler_names()) {
    SCOPED_TRACE(sampler);
    SearchRequest whole_run = request("whole " + sampler), parts = request("parts " + sampler);
    for (SearchConfig* c : {&whole_run.config, &parts.config}) {
      c->supernet.epochs = 1;
      c->final.epochs = 0;
      c->final.count = 1;
      c->search.evals = 14;
      c->search.sampler = sampler;
      c->search.surrogate = "rbf";
      c->search.initial = 6;
      c->search.batch = 3;
      c->search.inner_population = 12;
      c->search.inner_generations = 3;
    }
    EXPECT_EQ(whole(whole_run).evaluated, 14);
    create_run(parts, false);
    for (const i64 stop_at : {3, 8, 13}) {
      std::atomic<bool> stop{false};
      Watch watch;
      watch.stop = &stop;
      watch.on_progress = [&](const Progress& p) {
        if (p.phase == "search" && p.done >= stop_at) stop = true;
      };
      EXPECT_EQ(thrown_by([&] { go(parts, 2, watch); }).kind, Error::Kind::interrupted);
    }
    go(parts);
    expect_same(whole_run.out, parts.out);
    std::string proposed;
    i64 by_surrogate = 0, notes = 0;
    for (const CandidateRecord& c : archive(parts.out).candidates()) {
      proposed += to_text(c.genotype) + "\n";
      by_surrogate += c.origin == "surrogate";
    }
    for (const EventRecord& e : archive(parts.out).events()) notes += e.kind == "surrogate";
    EXPECT_EQ(by_surrogate > 0, sampler == "surrogate");
    // One for each of the generations 6..8, 9..11, 12..13, none twice.
    EXPECT_EQ(notes, sampler == "surrogate" ? 3 : 0);
    fronts.insert(proposed);
  }
  EXPECT_EQ(fronts.size(), sampler_names().size()) << "two samplers propose the same";
}

// Three objectives, two of them known without evaluation: front, hypervolume and archive are those of three,
// for every sampler, also after an interruption.
TEST_F(SearchRun, EverySamplerSearchesThreeObjectives) {
  const std::vector<Objective> objectives = parse_objectives("macs,params");
  for (const std::string& sampler : sampler_names()) {
    SCOPED_TRACE(sampler);
    SearchRequest whole_run = request("three " + sampler), parts = request("parts of three " + sampler);
    for (SearchConfig* c : {&whole_run.config, &parts.config}) {
      for (const char* s : {"objective=macs,params", "supernet.epochs=0", "final.epochs=0", "search.evals=12",
                            "search.surrogate=rbf", "search.initial=6", "search.batch=3",
                            "search.inner_population=12", "search.inner_generations=3", "final.count=12"})
        set_assignment(*c, s);
      c->search.sampler = sampler;
    }
    const SearchResult result = whole(whole_run);
    create_run(parts, false);
    std::atomic<bool> stop{false};
    Watch watch;
    watch.stop = &stop;
    watch.on_progress = [&](const Progress& p) { stop = stop || (p.phase == "search" && p.done >= 7); };
    EXPECT_EQ(thrown_by([&] { go(parts, 1, watch); }).kind, Error::Kind::interrupted);
    go(parts);
    expect_same(whole_run.out, parts.out);

    const auto candidates = archive(whole_run.out).candidates();
    std::vector<std::vector<double>> points;
    for (const CandidateRecord& c : candidates) {
      EXPECT_EQ(c.objectives, (std::vector<double>{1 - c.accuracy_tune, c.avg_macs, double(c.params)}));
      points.push_back(c.objectives);
    }
    const auto generations = archive(whole_run.out).generations();
    // The dominated add nothing but rounding.
    EXPECT_NEAR(generations.back().hypervolume, front_hypervolume(points, objectives, 10), 1e-12);
    // Nobody beats a network of the front in everything, counted by hand; weights were kept, so the networks
    // trained to the end are the candidates.
    std::set<i64> on_front;
    for (const CandidateRecord& c : candidates) {
      bool beaten = false;
      for (const CandidateRecord& other : candidates) {
        bool nowhere_worse = true;
        for (int m = 0; m < 3; ++m) nowhere_worse &= other.objectives[m] <= c.objectives[m];
        beaten |= nowhere_worse && (other.objectives != c.objectives || other.id < c.id);
      }
      if (!beaten) on_front.insert(c.id);
    }
    EXPECT_EQ(generations.back().front_size, i64(on_front.size()));
    EXPECT_GE(on_front.size(), result.front.size());
    for (const FinalNetwork& n : result.front) EXPECT_TRUE(on_front.count(n.id)) << n.id;
  }
}

// Larger networks err less, but what breaks a limit whose figure is known is not proposed again.
TEST(Samplers, SurrogateSearchKeepsWithinMemory) {
  const Space space = Space::load("small");
  const Task task{};
  SearchConfig config;
  config.search.surrogate = "rbf", config.search.initial = 16, config.search.batch = 6;
  config.search.inner_population = 16, config.search.inner_generations = 6;
  config.limits.memory = 300'000;
  Exec exec;
  const auto memory_of = [&](const Genotype& genotype) {
    return size_of(plan_of(space, genotype, task, true), exec.target(), config.limits, nullptr).memory;
  };
  const auto sampler = make_sampler(exec, space, task, config);
  for (int generation = 0; generation < 3; ++generation) {
    i64 too_large = 0;
    std::vector<Evaluation> told;
    for (const Proposal& p : sampler->ask(16)) {
      CandidateRecord record{.id = p.id, .genotype = p.genotype};
      const ExactCosts costs = exact_costs(space, p.genotype, task);
      record.accuracy_tune = std::min(0.9, costs.leave_macs.back() / 1e7);
      record.avg_macs = costs.leave_macs.back();
      record.objectives = {1 - record.accuracy_tune, record.avg_macs};
      for (i64 e = 0; e < space.exits(); ++e)
        if (space.exit_on(p.genotype, e)) record.exit_shares.push_back(0);
      record.exit_shares.push_back(1);
      const i64 memory = memory_of(p.genotype);
      record.violation = violation_of({.memory = memory}, config.limits);
      too_large += memory > config.limits.memory;
      told.push_back({p.id, outcome_of(space, config, record)});
    }
    ASSERT_FALSE(told.empty());
    if (generation == 0)
      EXPECT_GT(too_large, 4);
    else
      EXPECT_EQ(too_large, 0) << generation;
    sampler->tell(told);
  }
}

TEST_F(SearchRun, DeviationNeedsATarget) {
  SearchRequest r = request("run");
  r.config.search.sampler = "surrogate";
  r.config.search.inner = "deviation";
  create_run(r, false);
  EXPECT_EQ(thrown_by([&] { go(r); }).kind, Error::Kind::usage);
}

}  // namespace
}  // namespace offramp::nas
