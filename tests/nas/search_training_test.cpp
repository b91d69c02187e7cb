// How a search's networks are trained: where they start, what that costs, what they may use.
#include <atomic>

#include "data/catalog.h"
#include "nas/search/candidate_evaluator.h"
#include "tests/nas/search_run.h"

namespace offramp::nas {
namespace {

class SearchTraining : public SearchRun {
 protected:
  // Four candidates from fresh weights, trained a little.
  SearchRequest scratch(const std::string& name) const {
    SearchRequest r = request(name);
    r.config.candidate.init = "scratch";
    r.config.candidate.epochs = 1;
    r.config.search.evals = 4;
    r.config.final.epochs = 1;
    return r;
  }
};

TEST_F(SearchTraining, FromScratchThereIsNoSupernet) {
  const SearchRequest one = scratch("one"), parts = scratch("parts");
  EXPECT_EQ(whole(one).failed, 0);
  EXPECT_FALSE(fs::exists(one.out + "/supernet.safetensors"));
  for (const CandidateRecord& c : archive(one.out).candidates()) EXPECT_EQ(c.weights, "scratch, trained");

  // Interrupted among the candidates and in a final training it ends the same.
  create_run(parts, false);
  std::atomic<bool> stop{false};
  Watch watch;
  watch.stop = &stop;
  std::string phase = "search";
  watch.on_progress = [&](const Progress& p) { stop = stop || (p.phase == phase && p.done >= 2); };
  EXPECT_EQ(thrown_by([&] { go(parts, 1, watch); }).kind, Error::Kind::interrupted);
  phase = "final 1/2", stop = false;
  EXPECT_EQ(thrown_by([&] { go(parts, 2, watch); }).kind, Error::Kind::interrupted);
  go(parts);
  expect_same(one.out, parts.out);
}

TEST_F(SearchTraining, FinalsMayStartElsewhereThanCandidates) {
  SearchRequest r = request("inherit");
  r.config.search.evals = 4;
  r.config.final.init = "scratch";
  r.config.final.epochs = 0;
  r.config.final.count = 1;
  r.config.supernet.epochs = 1;
  whole(r);
  EXPECT_TRUE(fs::exists(r.out + "/supernet.safetensors"));
  EXPECT_EQ(archive(r.out).candidates()[0].weights, "supernet");

  SearchRequest other = scratch("scratch");
  other.config.final.init = "inherit";
  other.config.supernet.epochs = 0;
  whole(other);
  EXPECT_TRUE(fs::exists(other.out + "/supernet.safetensors"));
}

TEST_F(SearchTraining, FreshWeightsBelongToSeedAndGenotype) {
  const SearchRequest r = scratch("run");
  const Space space = Space::load("small");
  Rng draws(1);
  const Genotype a = space.max_genotype(), b = space.canonical(space.sample(draws));
  const data::Splits splits =
      data::load("mnist", {.dirs = r.data_dirs, .train_samples = 64, .tune_samples = 80});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  Exec exec(default_target(), 1);
  const auto record_of = [&](const Genotype& g, u64 seed) {
    SearchConfig config = r.config;
    config.seed = seed;
    const CandidateEvaluator evaluator(exec, space, nullptr, splits, normalisation, config);
    return evaluator.evaluate({.id = 0, .genotype = g}, {});
  };
  const CandidateRecord first = record_of(a, 1);
  ASSERT_EQ(first.state, CandidateRecord::State::scored) << first.reason;
  record_of(b, 1);  // what was evaluated before does not matter
  EXPECT_EQ(record_of(a, 1).thresholds, first.thresholds);
  EXPECT_EQ(record_of(a, 1).exit_accuracies, first.exit_accuracies);
  EXPECT_NE(record_of(a, 2).thresholds, first.thresholds);
}

TEST_F(SearchTraining, UntrainedCandidatesAreRefused) {
  SearchRequest r = scratch("run");
  r.config.candidate.epochs = 0;
  const Thrown t = thrown_by([&] { create_run(r, false); });
  EXPECT_EQ(t.kind, Error::Kind::usage);
  EXPECT_NE(t.message.find("candidate.epochs"), std::string::npos) << t.message;
  EXPECT_FALSE(fs::exists(r.out));
}

}  // namespace
}  // namespace offramp::nas
