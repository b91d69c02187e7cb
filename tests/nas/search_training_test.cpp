// How a search's networks are trained: where they start, what that costs, what they may use.
#include <atomic>
#include <cmath>

#include "data/catalog.h"
#include "nas/search/candidate_evaluator.h"
#include "tensor/storage_limit.h"
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

TEST_F(SearchTraining, FinalsGetWhatTheBudgetLeaves) {
  SearchRequest r = request("budget");
  r.config.search.evals = 4;
  r.config.supernet.epochs = 1;
  r.config.final.count = 1;
  r.config.final.epochs = 1;
  whole(r);
  const TrainingCost one = archive(r.out).training_cost();
  ASSERT_GT(one.finals, 0);

  const auto finals = [&](i64 budget) {
    r.config.search.training_macs = budget;
    r.out += "x";
    whole(r);
    const TrainingCost cost = archive(r.out).training_cost();
    EXPECT_EQ(cost.supernet, one.supernet);
    return cost.finals;
  };
  EXPECT_EQ(finals(one.supernet + 3 * one.finals), 3 * one.finals);
  EXPECT_EQ(finals(one.supernet + 3 * one.finals - 1), 2 * one.finals);
  EXPECT_EQ(finals(1), 0);  // spent before they start
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
    return evaluator.evaluate({.id = 0, .genotype = g}, {}, {});
  };
  const CandidateRecord first = record_of(a, 1);
  ASSERT_EQ(first.state, CandidateRecord::State::scored) << first.reason;
  record_of(b, 1);  // what was evaluated before does not matter
  EXPECT_EQ(record_of(a, 1).thresholds, first.thresholds);
  EXPECT_EQ(record_of(a, 1).exit_accuracies, first.exit_accuracies);
  EXPECT_NE(record_of(a, 2).thresholds, first.thresholds);
}

// 192 images in batches of 64: three steps an epoch.
TEST_F(SearchTraining, CostIsForwardMacsTimesImages) {
  SearchRequest r = request("run");
  r.config.candidate.epochs = 2;
  r.config.search.evals = 4;
  r.config.final.epochs = 3;
  r.config.final.count = 1;
  const SearchResult result = whole(r);
  i64 sum = 0;
  for (const CandidateRecord& c : archive(r.out).candidates()) {
    EXPECT_EQ(c.train_macs, c.full_macs * 192 * 2) << c.id;
    sum += c.train_macs;
  }
  const TrainingCost cost = archive(r.out).training_cost();
  EXPECT_EQ(cost.candidates, sum);
  const FinalNetwork& one = result.front.at(0);
  EXPECT_EQ(cost.finals, one.full_macs * 192 * 3);
  EXPECT_EQ(result.training.total(), cost.total());

  // Largest, smallest and one random network a step; the random one lies between them.
  const Space space = Space::load("small");
  const Task task{.classes = 10, .channels = 1, .height = 28, .width = 28};
  const i64 most = forward_macs(space.decode(space.max_genotype(), task)),
            least = forward_macs(space.decode(space.min_genotype(), task)), images = 192 * 2;
  EXPECT_GT(cost.supernet, images * (most + 2 * least));
  EXPECT_LT(cost.supernet, images * (2 * most + least));
}

TEST_F(SearchTraining, AFailedCandidateHasCostToo) {
  SearchRequest r = scratch("run");
  r.config.candidate.lr = 100;  // diverges after a step or a few
  r.config.candidate.epochs = 50;
  r.config.train.clip = 0;
  create_run(r, false);
  EXPECT_EQ(thrown_by([&] { go(r); }).kind, Error::Kind::infeasible);
  for (const CandidateRecord& c : archive(r.out).candidates()) {
    EXPECT_EQ(c.state, CandidateRecord::State::failed);
    EXPECT_GT(c.train_macs, 0);
    EXPECT_EQ(c.train_macs % 64, 0);
  }
}

// The largest network takes more than the smallest; with a limit between them one fails and the other does
// not.
TEST_F(SearchTraining, ACandidateOverItsMemoryFailsAndTheSearchGoesOn) {
  SearchRequest r = scratch("run");
  r.config.search.evals = 6;
  r.config.candidate.rss = 12'000'000;
  r.config.final.count = 1;
  const i64 before = storage_in_use();
  const SearchResult result = whole(r, 2);
  EXPECT_EQ(storage_in_use(), before) << "a failed candidate leaves no tensors behind";
  EXPECT_EQ(result.evaluated, 6);
  EXPECT_GT(result.failed, 0);
  EXPECT_LT(result.failed, 6);
  const Space space = Space::load("small");
  for (const CandidateRecord& c : archive(r.out).candidates()) {
    if (c.genotype == space.max_genotype()) {
      EXPECT_EQ(c.state, CandidateRecord::State::failed);
    }
    if (c.genotype == space.min_genotype()) {
      EXPECT_EQ(c.state, CandidateRecord::State::scored) << c.reason;
    }
    if (c.state == CandidateRecord::State::failed) {
      EXPECT_NE(c.reason.find("candidate.rss"), std::string::npos) << c.reason;
    }
  }
}

TEST(CandidateRegime, IsTrainsUnlessSaidOtherwise) {
  SearchConfig config;
  config.train.warmup = 0.3, config.train.weight_decay = 0.01, config.train.clip = 7;
  config.candidate.epochs = 3;
  const Regime plain = candidate_regime(config);
  EXPECT_EQ(plain.epochs, 3);
  EXPECT_EQ(plain.lr, config.candidate.lr);
  EXPECT_EQ(plain.warmup, 0.3);
  EXPECT_EQ(plain.weight_decay, 0.01);
  EXPECT_EQ(plain.clip, 7);
  for (const char* s : {"candidate.warmup=0", "candidate.weight_decay=4e-5", "candidate.clip=1"})
    set_assignment(config, s);
  SearchConfig back;
  read_config_text(back, to_toml(config), "run.toml");
  const Regime own = candidate_regime(back);
  EXPECT_EQ(own.warmup, 0);
  EXPECT_EQ(own.weight_decay, 4e-5);
  EXPECT_EQ(own.clip, 1);
  EXPECT_EQ(final_regime(back).clip, 7) << "they are the candidates' alone";
  set_assignment(back, "candidate.clip=train");
  EXPECT_EQ(candidate_regime(back).clip, 7);
  EXPECT_EQ(thrown_by([&] { set_assignment(back, "candidate.clip=none"); }).kind, Error::Kind::usage);
  EXPECT_EQ(thrown_by([&] { set_assignment(back, "candidate.warmup=2"); }).kind, Error::Kind::usage);
}

TEST(ExitWeights, FollowTheListOverAnyNumberOfExits) {
  SearchConfig config;
  EXPECT_TRUE(exit_weights(config, 3).empty());
  set_assignment(config, "train.loss=weighted");
  EXPECT_EQ(exit_weights(config, 1), std::vector<double>({1}));
  EXPECT_EQ(exit_weights(config, 2), std::vector<double>({0.3, 1}));
  set_assignment(config, "train.exit_weights=1,0,0.5");
  EXPECT_EQ(exit_weights(config, 1), std::vector<double>({0.5}));
  EXPECT_EQ(exit_weights(config, 3), std::vector<double>({1, 0, 0.5}));
  EXPECT_EQ(exit_weights(config, 5), std::vector<double>({1, 0.5, 0, 0.25, 0.5}));
  set_assignment(config, "train.equilibrium=true");
  SearchConfig back;
  read_config_text(back, to_toml(config), "run.toml");
  EXPECT_EQ(to_toml(back), to_toml(config));
  for (const char* bad : {"", "1,", "0,0", "-1,1", "x"})
    EXPECT_EQ(thrown_by([&] { set_key(back, "train.exit_weights", bad); }).kind, Error::Kind::usage) << bad;
}

// Every way to weigh losses trains another network, from the same weights on the same images, and a supernet
// too.
TEST_F(SearchTraining, LossesByConfiguration) {
  const SearchRequest r = scratch("run");
  const data::Splits splits =
      data::load("mnist", {.dirs = r.data_dirs, .train_samples = 128, .tune_samples = 80});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  const Space space = Space::load("small");
  Exec exec(default_target(), 1);
  const auto weights = [&](std::vector<std::string> settings, bool shared) {
    SearchConfig config = r.config;
    config.supernet.epochs = 1;
    for (const std::string& s : settings) set_assignment(config, s);
    const Supernet supernet(space, task_of(splits.train), Rng(1));
    nn::EarlyExitNetwork network = supernet.extract(space.max_genotype());
    const TrainingData training{splits.train, normalisation};
    const TrainReport report =
        shared ? train_supernet(exec, supernet, training, config, {})
               : train_network(exec, network, training, config, candidate_regime(config), 1, "test", {});
    EXPECT_TRUE(std::isfinite(report.last_loss));
    const auto& parameters = shared ? supernet.parameters() : network.named_parameters();
    const auto values = parameters[0].variable.value().values<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  for (const bool shared : {false, true}) {
    const auto sum = weights({}, shared);
    EXPECT_EQ(weights({"train.loss=weighted", "train.exit_weights=1"}, shared), sum);
    const auto weighted = weights({"train.loss=weighted"}, shared);
    const auto balanced = weights({"train.equilibrium=true"}, shared);
    EXPECT_NE(weighted, sum);
    EXPECT_NE(balanced, sum);
    EXPECT_NE(balanced, weighted);
  }
}

TEST_F(SearchTraining, CandidatesOptimiserIsTheirOwn) {
  const SearchRequest r = scratch("run");
  const data::Splits splits =
      data::load("mnist", {.dirs = r.data_dirs, .train_samples = 128, .tune_samples = 80});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  const Space space = Space::load("small");
  Exec exec(default_target(), 1);
  const auto answers = [&](const char* setting) {
    SearchConfig config = r.config;
    set_assignment(config, setting);
    const CandidateEvaluator evaluator(exec, space, nullptr, splits, normalisation, config);
    return evaluator.evaluate({.id = 0, .genotype = space.min_genotype()}, {}, {}).thresholds;
  };
  const Thresholds plain = answers("candidate.clip=train");
  EXPECT_EQ(answers("candidate.clip=5"), plain);
  EXPECT_NE(answers("candidate.clip=0.01"), plain);
  EXPECT_NE(answers("candidate.warmup=1"), plain);
  EXPECT_NE(answers("candidate.weight_decay=0.9"), plain);
}

TEST_F(SearchTraining, TheSupernetsLargestNetworkMayTeach) {
  SearchRequest r = scratch("run");
  set_assignment(r.config, "train.distill=0");
  EXPECT_EQ(thrown_by([&] {
              set_assignment(r.config, "train.teacher=supernet");
              create_run(r, false);
            }).kind,
            Error::Kind::usage);
  for (const char* small : {"train.distill=0.5", "search.evals=2", "search.population=2", "train.samples=128",
                            "candidate.epochs=2", "supernet.epochs=1", "final.epochs=0", "final.count=1"})
    set_assignment(r.config, small);
  const auto scores = [&](const char* name) {
    r.out = dir_ / name;
    whole(r);
    std::vector<std::pair<double, Thresholds>> all;
    for (const CandidateRecord& c : archive(r.out).candidates())
      all.push_back({c.accuracy_tune, c.thresholds});
    return all;
  };
  const auto taught = scores("taught");
  EXPECT_TRUE(fs::exists(r.out + "/supernet.safetensors"));  // though nobody starts from it
  EXPECT_GT(archive(r.out).training_cost().supernet, 0);
  const i64 dear = archive(r.out).candidate(0)->train_macs;
  set_assignment(r.config, "train.teacher=final");
  EXPECT_NE(scores("alone"), taught);
  EXPECT_GT(dear, archive(r.out).candidate(0)->train_macs);
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
