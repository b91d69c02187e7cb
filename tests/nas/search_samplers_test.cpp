// Whole searches with every sampler.
#include <atomic>
#include <set>

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

TEST_F(SearchRun, DeviationNeedsATarget) {
  SearchRequest r = request("run");
  r.config.search.sampler = "surrogate";
  r.config.search.inner = "deviation";
  create_run(r, false);
  EXPECT_EQ(thrown_by([&] { go(r); }).kind, Error::Kind::usage);
}

}  // namespace
}  // namespace offramp::nas
