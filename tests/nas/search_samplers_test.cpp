// Whole searches with every sampler.
#include <algorithm>
#include <atomic>
#include <set>

#include "nas/latency/timed_network.h"
#include "nas/search/exit_prediction.h"
#include "nas/search/limits.h"
#include "nas/search/objectives.h"
#include "nas/search/samplers.h"
#include "nas/study/database.h"
#include "tests/nas/search_run.h"

namespace offramp::nas {
namespace {

class Samplers : public SearchRun {
 protected:
  // 14 candidates; generations of 4, by surrogates of 6, 3, 3 and 2.
  SearchRequest short_run(const std::string& name, const std::string& sampler) const {
    SearchRequest r = request(name);
    for (const char* s :
         {"supernet.epochs=1", "final.epochs=0", "final.count=1", "search.evals=14", "search.surrogate=rbf",
          "search.initial=6", "search.batch=3", "search.inner_population=12", "search.inner_generations=3"})
      set_assignment(r.config, s);
    r.config.search.sampler = sampler;
    return r;
  }
  static void stop_after(const SearchRequest& r, i64 candidates) {
    std::atomic<bool> stop{false};
    Watch watch;
    watch.stop = &stop;
    watch.on_progress = [&](const Progress& p) {
      stop = stop || (p.phase == "search" && p.done >= candidates);
    };
    EXPECT_EQ(thrown_by([&] { go(r, 2, watch); }).kind, Error::Kind::interrupted);
  }
  static i64 surrogate_events(const std::string& out) {
    const auto events = archive(out).events();
    return std::count_if(events.begin(), events.end(), [](const auto& e) { return e.kind == "surrogate"; });
  }
  void expect_extended_like_whole(const SearchRequest& whole_run, SearchRequest parts, i64 first);
};

// Stopped in the first generation, in a later one, and before the end; the archive keeps what surrogates
// learned from.
TEST_F(Samplers, EverySamplerGoesOnAsIfNeverInterrupted) {
  std::set<std::string> fronts;
  for (const std::string& sampler : sampler_names()) {
    SCOPED_TRACE(sampler);
    const SearchRequest whole_run = short_run("whole " + sampler, sampler),
                        parts = short_run("parts " + sampler, sampler);
    EXPECT_EQ(whole(whole_run).evaluated, 14);
    create_run(parts, false);
    for (const i64 stop_at : {3, 8, 13}) stop_after(parts, stop_at);
    go(parts);
    expect_same(whole_run.out, parts.out);
    std::string proposed;
    i64 by_surrogate = 0, notes = 0;
    for (const CandidateRecord& c : archive(parts.out).candidates()) {
      proposed += to_text(c.genotype) + "\n";
      by_surrogate += c.origin.rfind("surrogate", 0) == 0;
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
    EXPECT_EQ(generations.back().front, std::vector<i64>(on_front.begin(), on_front.end()));
    EXPECT_GE(on_front.size(), result.front.size());
    for (const FinalNetwork& n : result.front) EXPECT_TRUE(on_front.count(n.id)) << n.id;
  }
}

// Larger networks err less, but what breaks a limit whose figure is known is not proposed again.
TEST_F(Samplers, SurrogateSearchKeepsWithinMemory) {
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

// Ended at `first` candidates, then extended to as many as the whole run has.
void Samplers::expect_extended_like_whole(const SearchRequest& whole_run, SearchRequest parts, i64 first) {
  const i64 evals = whole_run.config.search.evals;
  EXPECT_EQ(whole(whole_run).evaluated, evals);
  parts.config.search.evals = first;
  EXPECT_EQ(whole(parts).evaluated, first);
  EXPECT_TRUE(run_finished(parts.out));
  const auto before = every_file(parts.out);
  set_evals(parts.out, first);
  const Thrown fewer = thrown_by([&] { set_evals(parts.out, first - 1); });
  EXPECT_EQ(fewer.kind, Error::Kind::usage);
  EXPECT_NE(fewer.message.find("--evals"), std::string::npos) << fewer.message;
  EXPECT_TRUE(every_file(parts.out) == before);

  set_evals(parts.out, evals);
  EXPECT_FALSE(run_finished(parts.out));
  EXPECT_FALSE(fs::exists(parts.out + "/front.csv"));
  EXPECT_FALSE(fs::exists(parts.out + "/models"));
  parts.config = load_run(parts.out);
  EXPECT_EQ(parts.config.search.evals, evals);
  stop_after(parts, first + 1);
  EXPECT_EQ(go(parts).evaluated, evals);
  EXPECT_TRUE(run_finished(parts.out));
  expect_same(whole_run.out, parts.out);
}

// The end of the first part lies inside a generation, for some samplers at its end.
TEST_F(Samplers, AnExtendedSearchIsOneOfThatLength) {
  for (const std::string& sampler : sampler_names()) {
    SCOPED_TRACE(sampler);
    expect_extended_like_whole(short_run("whole " + sampler, sampler), short_run("parts " + sampler, sampler),
                               sampler == "nsga2" ? 8 : 7);
  }
}

// Of two candidates one goes on, of four two: who was let through at the end of the first part is not who is
// let through in the end. The final networks get what training is left.
TEST_F(Samplers, AnExtendedSearchHalvesItsLastGenerationAnew) {
  SearchRequest whole_run = request("whole"), parts = request("parts");
  for (SearchConfig* c : {&whole_run.config, &parts.config})
    for (const char* s : {"supernet.epochs=0", "candidate.epochs=4", "candidate.halving=2",
                          "candidate.lr=0.02", "search.evals=12", "search.population=4", "final.count=2",
                          "search.training_macs=12G", "train.samples=128"})
      set_assignment(*c, s);
  expect_extended_like_whole(whole_run, parts, 10);
}

// Whatever an extension was cut short after, the run is one of the old length until run.toml has the new one.
TEST_F(Samplers, AnExtensionCutShortLeavesTheOldSearch) {
  const SearchRequest whole_run = short_run("whole", "surrogate"), parts = short_run("parts", "surrogate");
  whole(whole_run);
  whole(parts);
  Store::open(parts.out + "/archive.sqlite", Store::Access::write).reopen();
  fs::remove(parts.out + "/front.csv");
  EXPECT_FALSE(run_finished(parts.out));
  EXPECT_EQ(go(parts).evaluated, 14);
  expect_same(whole_run.out, parts.out);
}

TEST_F(Samplers, ASearchThatMetNoTargetMayBeExtended) {
  SearchRequest r = short_run("run", "random");
  r.config.target_macs = 1000;
  r.config.search.evals = 4;
  create_run(r, false);
  EXPECT_EQ(thrown_by([&] { go(r); }).kind, Error::Kind::infeasible);
  set_evals(r.out, 6);
  EXPECT_FALSE(run_finished(r.out));
  EXPECT_EQ(thrown_by([&] { go({.config = load_run(r.out), .out = r.out, .data_dirs = r.data_dirs}); }).kind,
            Error::Kind::infeasible);
  EXPECT_EQ(archive(r.out).candidate_count(), 6);
}

TEST_F(Samplers, FewerCandidatesForASearchThatGoesOn) {
  SearchRequest parts = short_run("parts", "surrogate"), less = short_run("less", "surrogate");
  less.config.search.evals = 10;
  whole(less);
  create_run(parts, false);
  stop_after(parts, 8);
  EXPECT_EQ(thrown_by([&] { set_evals(parts.out, 7); }).kind, Error::Kind::usage);
  set_evals(parts.out, 10);
  parts.config = load_run(parts.out);
  EXPECT_EQ(go(parts).evaluated, 10);
  expect_same(less.out, parts.out);
}

// The archive says what was proposed: other scores of what was evaluated, from which surrogates would propose
// other candidates, change nothing of what was decided before.
TEST_F(Samplers, WhatIsDecidedIsNotDecidedAgain) {
  const SearchRequest r = short_run("run", "surrogate");
  create_run(r, false);
  stop_after(r, 10);  // one of the third generation
  const auto decided = archive(r.out).proposals(2);
  ASSERT_EQ(decided.size(), 3u);
  Database(r.out + "/archive.sqlite", SQLITE_OPEN_READWRITE)
      .run("UPDATE candidate SET accuracy_tune = 0.1 + 0.07 * (id * id % 11) WHERE id < 6");
  stop_after(r, 12);
  EXPECT_EQ(archive(r.out).proposals(2), decided);
  EXPECT_EQ(archive(r.out).candidate_count(), 12);
  EXPECT_EQ(surrogate_events(r.out), 2);
}

// Stopped dead between the two lines that a generation ends with: neither of them is lost.
TEST_F(Samplers, AGenerationIsKeptWithItsTau) {
  const SearchRequest r = short_run("run", "surrogate");
  create_run(r, false);
  Watch watch;
  watch.on_note = [](const std::string& line) {
    if (line.rfind("generation 1:", 0) == 0) throw Error("killed");
  };
  EXPECT_EQ(thrown_by([&] { go(r, 1, watch); }).message, "killed");
  EXPECT_EQ(archive(r.out).generations().size(), 2u);
  EXPECT_EQ(surrogate_events(r.out), 1);
  go(r);
  EXPECT_EQ(surrogate_events(r.out), 3);
}

TEST_F(Samplers, DescentAndPredictionsAreInTheArchive) {
  const SearchRequest r = short_run("run", "surrogate");
  whole(r);
  i64 descend = 0;
  const auto all = archive(r.out).candidates();
  std::set<u64> seeds;
  for (const CandidateRecord& c : all) {
    seeds.insert(c.seed);
    const bool predicted = c.origin.rfind("surrogate", 0) == 0;
    EXPECT_EQ(predicted, c.id >= 6);
    EXPECT_EQ(!c.predicted.empty(), predicted);
    EXPECT_EQ(c.predicted_by, std::vector<std::string>(c.predicted.size(), "rbf"));
    EXPECT_EQ(c.parents.empty(), c.origin != "surrogate");
    for (i64 id : c.parents) EXPECT_LT(all[std::size_t(id)].generation, c.generation);
    descend += !c.parents.empty();
  }
  EXPECT_GT(descend, 0);
  EXPECT_EQ(seeds.size(), all.size());
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
