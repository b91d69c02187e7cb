// Successive halving of candidates: who goes on, what that costs, and that neither halving nor an
// interruption changes what a training gives.
#include "nas/search/halving.h"

#include <array>
#include <atomic>
#include <set>

#include "data/catalog.h"
#include "nas/search/candidate_evaluator.h"
#include "nas/search/dominance.h"
#include "nas/search/samplers.h"
#include "nas/seeds.h"
#include "nas/study/study.h"
#include "tests/nas/search_run.h"

namespace offramp::nas {
namespace {

TEST(Halving, RungsDivideTheEpochs) {
  const auto rungs = [](i64 epochs, i64 halving, i64 wanted) {
    SearchConfig config;
    config.candidate.epochs = epochs, config.candidate.halving = halving, config.candidate.rungs = wanted;
    require_consistent(config);
    return rung_epochs(config);
  };
  using Epochs = std::vector<i64>;
  EXPECT_EQ(rungs(5, 0, 0), (Epochs{5}));
  EXPECT_EQ(rungs(8, 2, 0), (Epochs{1, 2, 4, 8}));
  EXPECT_EQ(rungs(8, 2, 2), (Epochs{4, 8}));
  EXPECT_EQ(rungs(9, 3, 3), (Epochs{1, 3, 9}));
  EXPECT_EQ(rungs(7, 3, 0), (Epochs{2, 7}));
  EXPECT_EQ(rungs(3, 3, 0), (Epochs{1, 3}));
  for (const auto& [epochs, halving, wanted] :
       std::vector<std::array<i64, 3>>{{2, 3, 0}, {0, 2, 0}, {8, 1, 0}, {8, 2, 5}, {8, 2, 1}, {8, 0, 2}})
    EXPECT_EQ(thrown_by([&, e = epochs, h = halving, w = wanted] { rungs(e, h, w); }).kind,
              Error::Kind::usage)
        << epochs << " " << halving << " " << wanted;
}

// Nobody who stays behind is better than one who goes on, and the right number does.
TEST(Halving, TheBestGoOn) {
  for (u64 seed = 0; seed < 40; ++seed) {
    Rng rng(seed);
    std::vector<Outcome> outcomes;
    i64 scored = 0;
    for (i64 n = 1 + rng.below(20), i = 0; i < n; ++i) {
      if (rng.below(5) == 0) {
        outcomes.emplace_back(Failed{"diverged"});
        continue;
      }
      ++scored;
      outcomes.emplace_back(
          Scored{{double(rng.below(9)), double(rng.below(9)), double(rng.below(9))}, double(rng.below(2))});
    }
    const i64 eta = 2 + rng.below(3);
    const std::vector<std::size_t> going = promoted(outcomes, eta);
    ASSERT_EQ(i64(going.size()), scored == 0 ? 0 : std::max<i64>(1, scored / eta)) << seed;
    const std::set<std::size_t> set(going.begin(), going.end());
    ASSERT_EQ(set.size(), going.size());
    for (std::size_t in : going) {
      EXPECT_TRUE(std::holds_alternative<Scored>(outcomes[in]));
      for (std::size_t out = 0; out < outcomes.size(); ++out)
        EXPECT_FALSE(!set.count(out) && constrained_dominates(outcomes[out], outcomes[in])) << seed;
    }
  }
}

class SearchHalving : public SearchRun {
 protected:
  // Eight candidates a generation from fresh weights: 8 train an epoch, 4 two, 2 four.
  SearchRequest halving(const std::string& name, const std::string& sampler = "nsga2") const {
    SearchRequest r = request(name);
    for (const char* s :
         {"candidate.init=scratch", "candidate.epochs=4", "candidate.halving=2", "train.ema=0.8",
          "train.samples=128", "search.evals=12", "search.population=8", "search.initial=8", "search.batch=4",
          "search.surrogate=rbf", "search.inner_population=8", "search.inner_generations=2", "final.epochs=0",
          "final.count=1"})
      set_assignment(r.config, s);
    r.config.search.sampler = sampler;
    return r;
  }
};

TEST_F(SearchHalving, RungsAreKeptAndPaidFor) {
  const SearchRequest r = halving("run");
  whole(r);
  const auto candidates = archive(r.out).candidates(), rungs = archive(r.out).rungs();
  ASSERT_EQ(candidates.size(), 12u);
  std::map<i64, i64> at, ended;  // by epochs
  for (const CandidateRecord& c : rungs) ++at[c.epochs];
  for (const CandidateRecord& c : candidates) ++ended[c.epochs];
  EXPECT_EQ(at, (std::map<i64, i64>{{1, 8 + 4}, {2, 4 + 2}, {4, 2 + 1}}));
  EXPECT_EQ(ended, (std::map<i64, i64>{{1, 4 + 2}, {2, 2 + 1}, {4, 2 + 1}}));
  // Every rung's figures follow from epochs and images alone; the record of a candidate is its last rung's.
  const Space space = Space::load("small");
  i64 total = 0;
  std::set<i64> whole_ids;
  for (const CandidateRecord& c : candidates) {
    const i64 macs = forward_macs(space.decode(c.genotype, {.channels = 1, .height = 28, .width = 28}));
    EXPECT_EQ(c.train_macs, c.epochs * 128 * macs);
    EXPECT_EQ(c.rungs_left, c.epochs == 4 ? 0 : c.epochs == 2 ? 1 : 2);
    total += c.train_macs;
    if (c.rungs_left == 0) whole_ids.insert(c.id);
    const auto last = archive(r.out).rung(c.id, c.rungs_left);
    ASSERT_TRUE(last);
    EXPECT_EQ(last->objectives, c.objectives);
  }
  EXPECT_EQ(archive(r.out).training_cost().candidates, total);
  const Study study = read_study(r.out);
  i64 sum = 0;
  for (const Study::Rung& rung : study.rung_costs()) sum += rung.train_macs;
  EXPECT_EQ(sum, total);
  EXPECT_FALSE(fs::exists(r.out + "/work"));

  // In each rung of a generation those that went on were dominated by none of those that did not.
  for (const CandidateRecord& a : rungs)
    for (const CandidateRecord& b : rungs) {
      if (a.generation != b.generation || a.epochs != b.epochs || a.epochs == 4) continue;
      const bool a_goes = candidates[std::size_t(a.id)].epochs > a.epochs,
                 b_goes = candidates[std::size_t(b.id)].epochs > b.epochs;
      EXPECT_FALSE(a_goes && !b_goes && dominates(b.objectives, a.objectives)) << a.id << " " << b.id;
    }
  // Only who was trained as long as any is on the front.
  const Front front = study.macs_front();
  for (const FrontPoint& p : front.points()) EXPECT_TRUE(whole_ids.count(p.id)) << p.id;
  EXPECT_EQ(i64(front.points().size()), i64(study.generations.back().front.size()));
}

TEST_F(SearchHalving, WhoReachesTheEndIsTheSameWithoutHalving) {
  const SearchRequest r = halving("run");
  whole(r);
  const data::Splits splits = data::load("mnist", {.dirs = r.data_dirs,
                                                   .seed = stream_seed(r.config.seed, "split"),
                                                   .train_samples = r.config.train.samples,
                                                   .tune_samples = r.config.tune.samples});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  const Space space = Space::load("small");
  SearchConfig config = r.config;
  config.candidate.halving = 0;
  Exec exec(default_target(), 1);
  const CandidateEvaluator evaluator(exec, space, nullptr, splits, normalisation, config);
  i64 compared = 0;
  for (const CandidateRecord& c : archive(r.out).candidates()) {
    if (c.rungs_left > 0) continue;
    const CandidateRecord alone = evaluator.evaluate({.id = c.id, .genotype = c.genotype}, {}, {});
    EXPECT_EQ(alone.objectives, c.objectives);
    EXPECT_EQ(alone.thresholds, c.thresholds);
    EXPECT_EQ(alone.exit_accuracies, c.exit_accuracies);
    EXPECT_EQ(alone.train_macs, c.train_macs);
    ++compared;
  }
  EXPECT_EQ(compared, 3);
}

// Stopped after every few evaluations, and again and again in the middle of a training.
TEST_F(SearchHalving, EverySamplerGoesOnAsIfNeverInterrupted) {
  std::set<std::string> proposed;
  for (const std::string& sampler : sampler_names()) {
    SCOPED_TRACE(sampler);
    const SearchRequest one = halving("whole " + sampler, sampler),
                        parts = halving("parts " + sampler, sampler);
    whole(one);
    create_run(parts, false);
    i64 stops = 0;
    for (bool done = false; !done; ++stops) {
      ASSERT_LT(stops, 500);
      std::atomic<bool> stop{false};
      Watch watch;
      i64 seen = 0;
      if (stops % 3 == 0) {  // a step or an epoch or two further each time
        watch.deadline = now_seconds() + 0.02 + 0.01 * double(stops);
      } else {
        watch.stop = &stop;
        watch.on_progress = [&](const Progress& p) { stop = p.phase == "search" && ++seen >= 3 + stops; };
      }
      const Thrown t = thrown_by([&] { go(parts, 1 + int(stops % 2), watch); });
      ASSERT_EQ(t.kind.value_or(Error::Kind::interrupted), Error::Kind::interrupted) << t.message;
      done = !t.kind;
    }
    EXPECT_GT(stops, 3);
    expect_same(one.out, parts.out);
    std::string all;
    for (const CandidateRecord& c : archive(parts.out).candidates()) all += to_text(c.genotype) + "\n";
    proposed.insert(all);
  }
  EXPECT_EQ(proposed.size(), sampler_names().size()) << "two samplers propose the same";
}

// A checkpoint that is ahead of the archive (whose last commits a power cut may take) does not count.
TEST_F(SearchHalving, ACheckpointAheadOfItsRungIsNotUsed) {
  const SearchRequest r = halving("run");
  const data::Splits splits =
      data::load("mnist", {.dirs = r.data_dirs, .train_samples = 128, .tune_samples = 80});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  const Space space = Space::load("small");
  Exec exec(default_target(), 1);
  const CandidateEvaluator evaluator(exec, space, nullptr, splits, normalisation, r.config);
  const Proposal proposal{.genotype = space.max_genotype()};
  const auto at = [&](i64 epochs, const std::string& checkpoint) {
    return evaluator.evaluate(proposal, {.epochs = epochs, .left = 1, .checkpoint = checkpoint}, {});
  };
  const CandidateRecord first = at(1, dir_ / "a"), second = at(2, dir_ / "a"), again = at(1, dir_ / "a");
  ASSERT_EQ(second.state, CandidateRecord::State::scored) << second.reason;
  EXPECT_NE(first.exit_accuracies, second.exit_accuracies) << "the comparison shows little";
  EXPECT_EQ(again.exit_accuracies, first.exit_accuracies);
  EXPECT_EQ(again.train_macs, first.train_macs);
  EXPECT_EQ(at(2, dir_ / "b").exit_accuracies, second.exit_accuracies);
}

}  // namespace
}  // namespace offramp::nas
