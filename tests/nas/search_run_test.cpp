// Whole searches on a tiny data set: the same result whatever interrupts them and however many threads run
// them; failures are kept apart; every figure is that of the model file.
#include "tests/nas/search_run.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "data/catalog.h"
#include "kernels/recorder.h"
#include "nas/evaluate/evaluate.h"
#include "nas/search/candidate_evaluator.h"
#include "nas/seeds.h"
#include "nas/study/writer_lock.h"
#include "tensor/safetensors.h"

namespace offramp::nas {
namespace {

TEST_F(SearchRun, SameResultForAnyThreadsAndInterruptions) {
  const SearchRequest one = request("one"), two = request("two"), parts = request("parts");
  const SearchResult result = whole(one);
  EXPECT_EQ(result.evaluated, 10);
  EXPECT_EQ(result.failed, 0);
  ASSERT_FALSE(result.front.empty());
  EXPECT_FALSE(fs::exists(one.out + "/work"));
  whole(two, 2);
  expect_same(one.out, two.out);

  // Where it is stopped: phase and number of steps done there.
  const std::pair<std::string, i64> stops[] = {{"supernet", 2},  {"supernet", 5}, {"search", 1},
                                               {"search", 6},    {"search", 9},   {"final 1/2", 1},
                                               {"final 1/2", 4}, {"final 2/2", 5}};
  create_run(parts, false);
  std::size_t at = 0;
  std::vector<GenerationRecord> rows;
  int threads = 1;
  for (bool done = false; !done; threads = 3 - threads) {
    ASSERT_FALSE(run_finished(parts.out));
    std::atomic<bool> stop{false};
    Watch watch;
    watch.stop = &stop;
    watch.on_progress = [&](const Progress& p) {
      if (at < std::size(stops) && p.phase == stops[at].first && p.done >= stops[at].second) stop = true;
    };
    const Thrown t = thrown_by([&] { go(parts, threads, watch); });
    if (t.kind) {
      ASSERT_EQ(*t.kind, Error::Kind::interrupted) << t.message;
      ASSERT_LT(at, std::size(stops));
      if (stops[at].first == "search") rows = archive(parts.out).generations();
      ++at;
    } else {
      done = true;
    }
  }
  EXPECT_EQ(at, std::size(stops));
  expect_same(one.out, parts.out);

  // What was written before an interruption was not written again.
  const auto all = archive(parts.out).generations();
  ASSERT_GE(rows.size(), 1u);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].seconds, all[i].seconds);
  i64 resumes = 0, interrupts = 0;
  for (const EventRecord& e : archive(parts.out).events()) {
    resumes += e.kind == "resume";
    interrupts += e.kind == "interrupt";
  }
  EXPECT_EQ(interrupts, i64(std::size(stops)));
  EXPECT_GE(resumes, 5);
  EXPECT_EQ(archive(parts.out).events().back().kind, "finish");

  // A finished run is left alone.
  const auto before = every_file(parts.out);
  EXPECT_TRUE(run_finished(parts.out));
  EXPECT_EQ(to_toml(load_run(parts.out)), to_toml(parts.config));
  EXPECT_TRUE(every_file(parts.out) == before);
  const std::size_t events = archive(parts.out).events().size();
  go(parts);
  EXPECT_EQ(archive(parts.out).events().size(), events);
  expect_same(one.out, parts.out);
  const auto again = archive(parts.out).generations();
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(again[i].seconds, all[i].seconds);

  // Another seed is another search.
  SearchRequest other = request("other");
  other.config.seed = 12;
  whole(other);
  EXPECT_NE(slurp(other.out + "/front.csv"), slurp(one.out + "/front.csv"));
}

class SearchFigures : public SearchRun {
 protected:
  void expect_figures_of_model_files(const std::vector<std::string>& settings);
};

void SearchFigures::expect_figures_of_model_files(const std::vector<std::string>& settings) {
  SearchRequest r = request("run");
  for (const std::string& s : settings) set_assignment(r.config, s);
  const SearchResult result = whole(r, 2);
  const data::Splits splits = data::load("mnist", {.dirs = r.data_dirs,
                                                   .seed = stream_seed(r.config.seed, "split"),
                                                   .train_samples = r.config.train.samples,
                                                   .tune_samples = r.config.tune.samples});
  ASSERT_EQ(splits.tune.size(), 80);
  ASSERT_FALSE(result.front.empty());
  double last_macs = 0, last_accuracy = -1;
  bool early = false;
  for (const FinalNetwork& n : result.front) {
    SCOPED_TRACE(n.id);
    EXPECT_GT(n.avg_macs, last_macs);
    EXPECT_GT(n.accuracy_tune, last_accuracy);
    last_macs = n.avg_macs, last_accuracy = n.accuracy_tune;

    const nn::Model model = nn::load_model(n.model);
    EXPECT_EQ(model.thresholds, n.thresholds);
    EXPECT_EQ(model.genotype, n.genotype);
    EXPECT_EQ(model.train_samples, r.config.train.samples);
    const data::Normalisation normalisation{model.mean, model.std};
    Recorder recorder;
    Exec exec(default_target(), 1);
    nn::EarlyExitRunner runner(model.plan, exec.target(), 32);
    const auto loader_of = [&](const data::Dataset& set) {
      return std::make_unique<data::Loader>(
          set, normalisation,
          data::LoaderOptions{.batch = 32, .height = model.plan->height, .width = model.plan->width});
    };
    exec.recorder = &recorder;
    const TakenExits taken =
        take_exits(exec, runner, *loader_of(splits.tune), model.thresholds, model.rule, {});
    exec.recorder = nullptr;
    i64 total = 0, correct = 0;
    for (std::size_t s = 0; s < taken.outcomes.size(); ++s) {
      total += taken.outcomes[s].macs;
      correct += taken.outcomes[s].predicted == taken.labels[s];
    }
    EXPECT_EQ(recorder.total().macs, total);
    EXPECT_EQ(double(recorder.total().macs) / double(splits.tune.size()), n.avg_macs);
    EXPECT_EQ(double(correct) / double(splits.tune.size()), n.accuracy_tune);
    EXPECT_EQ(nn::exit_costs(*model.plan).back().leave_macs, n.full_macs);
    EXPECT_EQ(model.plan->params(), n.params);

    // Thresholds applied to stored answers take the exits that the runner takes, for every point of the
    // curve.
    const ExitTable answers = exit_table(answer_all(exec, runner, *loader_of(splits.tune), {}), model.rule);
    ExitTables tables(answers);
    ASSERT_FALSE(model.curve.empty());
    EXPECT_EQ(model.curve_samples, splits.tune.size());
    std::vector<Thresholds> choices{model.thresholds};
    for (std::size_t i = 0; i < model.curve.size(); i += 1 + model.curve.size() / 4)
      choices.push_back(model.curve[i].thresholds);
    for (std::size_t c = 0; c < choices.size(); ++c) {
      const TakenExits run = take_exits(exec, runner, *loader_of(splits.tune), choices[c], model.rule, {});
      const PolicyResult offline = apply_policy(answers, exit_costs_of(*model.plan), choices[c]);
      i64 macs = 0, right = 0;
      for (i64 s = 0; s < answers.samples; ++s) {
        const nn::Outcome& o = run.outcomes[std::size_t(s)];
        const ExitTable& told = tables.at(choices[c]);
        const std::size_t row = std::size_t(s * told.exits);
        const i64 exit =
            exit_taken(choices[c], std::span(told.confidence).subspan(row, std::size_t(told.exits)));
        ASSERT_EQ(o.exit, exit);
        ASSERT_EQ(o.predicted, told.predicted[row + std::size_t(exit)]);
        early = early || exit + 1 < told.exits;
        macs += o.macs;
        right += o.predicted == run.labels[std::size_t(s)];
      }
      EXPECT_EQ(macs, offline.total_cost);
      EXPECT_EQ(right, offline.correct);
    }
    for (const nn::CurvePoint& p : model.curve) {
      const PolicyResult offline = apply_policy(answers, exit_costs_of(*model.plan), p.thresholds);
      EXPECT_EQ(p.total_macs, offline.total_cost);
      EXPECT_EQ(p.accuracy, offline.accuracy());
    }

    // The test split, once more.
    const TakenExits test =
        take_exits(exec, runner, *loader_of(splits.test), model.thresholds, model.rule, {});
    i64 test_correct = 0;
    for (std::size_t s = 0; s < test.outcomes.size(); ++s)
      test_correct += test.outcomes[s].predicted == test.labels[s];
    EXPECT_EQ(double(test_correct) / double(splits.test.size()), n.accuracy_test);
  }
  EXPECT_TRUE(early) << "no sample ever left early: the comparison shows little";
  EXPECT_EQ(slurp(result.chosen_model),
            slurp(r.out + "/models/" + std::to_string(result.chosen) + ".safetensors"));
}

TEST_F(SearchFigures, FiguresAreThoseOfTheModelFiles) { expect_figures_of_model_files({}); }

TEST_F(SearchFigures, FiguresAreThoseOfTheModelFilesWhenExitsLookBack) {
  expect_figures_of_model_files({"tune.confidence=cumulative", "train.samples=128"});
  fs::remove_all(dir_ / "run");
  expect_figures_of_model_files({"tune.calibrate=true", "tune.cascade=true", "train.samples=128"});
}

// Weights of one block are broken: whoever uses it fails, the others are found all the same.
TEST_F(SearchRun, AFailedCandidateIsKeptAndTheSearchGoesOn) {
  SearchRequest r = request("run");
  r.config.supernet.epochs = 0;
  r.config.final.epochs = 0;
  r.config.search.evals = 14;
  create_run(r, false);
  std::atomic<bool> stop{true};
  Watch stopped;
  stopped.stop = &stop;
  EXPECT_EQ(thrown_by([&] { go(r, 1, stopped); }).kind, Error::Kind::interrupted);
  // The last block that the largest network has and the smallest has not.
  const Space space = Space::load("small");
  const auto names = [&](const Genotype& g) {
    nn::MetaParameters none;
    const nn::EarlyExitNetwork net(space.decode(g, {.channels = 1, .height = 28, .width = 28}), none);
    std::vector<std::string> all;
    for (const nn::NamedParameter& p : net.named_parameters()) all.push_back(p.name);
    return all;
  };
  const auto has = [](const std::vector<std::string>& all, const std::string& prefix) {
    return std::any_of(all.begin(), all.end(), [&](const auto& n) { return n.rfind(prefix, 0) == 0; });
  };
  std::string block;
  for (const std::string& name : names(space.max_genotype())) {
    const std::size_t at = name.find(".block");
    if (at == std::string::npos) continue;
    const std::string prefix = name.substr(0, name.find('.', at + 1) + 1);
    if (!has(names(space.min_genotype()), prefix)) block = prefix;
  }
  ASSERT_FALSE(block.empty());
  SafeTensors weights = read_safetensors(r.out + "/supernet.safetensors");
  i64 broken = 0;
  for (auto& [name, tensor] : weights.tensors)
    if (name.rfind(block, 0) == 0 && name.ends_with("gamma")) {
      std::fill_n(tensor.data<float>(), tensor.count(), std::nanf(""));
      ++broken;
    }
  ASSERT_GT(broken, 0);
  write_safetensors(r.out + "/supernet.safetensors", weights);
  const SearchResult result = go(r);
  EXPECT_EQ(result.evaluated, 14);
  i64 failed = 0;
  for (const CandidateRecord& c : archive(r.out).candidates()) {
    const bool uses = has(names(c.genotype), block);
    EXPECT_EQ(c.state == CandidateRecord::State::failed, uses) << to_text(c.genotype);
    if (c.state == CandidateRecord::State::failed) {
      ++failed;
      EXPECT_NE(c.reason.find("not finite"), std::string::npos) << c.reason;
      EXPECT_TRUE(c.objectives.empty());
    }
    for (const FinalNetwork& n : result.front)
      if (n.id == c.id) {
        EXPECT_EQ(c.state, CandidateRecord::State::scored);
      }
  }
  EXPECT_EQ(result.failed, failed);
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 14);
}

TEST_F(SearchRun, CandidatesOverTimeAndNothingLeft) {
  SearchRequest r = request("run");
  r.config.supernet.epochs = 0;
  r.config.search.evals = 5;
  r.config.candidate.seconds = 1e-9;
  create_run(r, false);
  const Thrown t = thrown_by([&] { go(r); });
  EXPECT_EQ(t.kind, Error::Kind::infeasible);
  const auto all = archive(r.out).candidates();
  ASSERT_EQ(all.size(), 5u);
  for (const CandidateRecord& c : all) {
    EXPECT_EQ(c.state, CandidateRecord::State::failed);
    EXPECT_NE(c.reason.find("candidate.seconds"), std::string::npos) << c.reason;
  }
}

TEST_F(SearchRun, AProposalThatThrowsIsAFailure) {
  const SearchRequest r = request("run");
  const data::Splits splits =
      data::load("mnist", {.dirs = r.data_dirs, .train_samples = r.config.train.samples, .tune_samples = 80});
  const data::Normalisation normalisation = data::channel_statistics(splits.train);
  const Space space = Space::load("small");
  const Supernet supernet(space, {.channels = 1, .height = 28, .width = 28}, Rng(1));
  Exec exec(default_target(), 1);
  const CandidateEvaluator evaluator(exec, space, &supernet, splits, normalisation, r.config);
  const CandidateRecord record = evaluator.evaluate({.id = 3, .genotype = {1, 2}, .origin = "test"}, {}, {});
  EXPECT_EQ(record.state, CandidateRecord::State::failed);
  EXPECT_FALSE(record.reason.empty());
  EXPECT_EQ(record.id, 3);
  std::atomic<bool> stop{true};
  Watch watch;
  watch.stop = &stop;
  const Genotype good = space.min_genotype();
  EXPECT_EQ(thrown_by([&] { evaluator.evaluate({.id = 4, .genotype = good}, {}, watch); }).kind,
            Error::Kind::interrupted);
}

TEST_F(SearchRun, AnUnreachableTargetIsSaidAfterEverythingIsWritten) {
  SearchRequest r = request("run");
  r.config.supernet.epochs = 0;
  r.config.final.epochs = 0;
  r.config.search.evals = 4;
  r.config.target_macs = 1000;
  create_run(r, false);
  const Thrown t = thrown_by([&] { go(r); });
  EXPECT_EQ(t.kind, Error::Kind::infeasible);
  EXPECT_NE(t.message.find("target"), std::string::npos) << t.message;
  EXPECT_FALSE(fs::is_empty(r.out + "/models"));
  EXPECT_NE(slurp(r.out + "/front.csv").find('\n'), std::string::npos);
  EXPECT_FALSE(fs::exists(r.out + "/chosen.safetensors"));
  // Asked again it says so again, and changes nothing.
  const auto before = every_file(r.out);
  const Thrown again = thrown_by([&] { run_finished(r.out); });
  EXPECT_EQ(again.kind, Error::Kind::infeasible);
  EXPECT_EQ(again.message, t.message);
  EXPECT_TRUE(every_file(r.out) == before);
}

TEST_F(SearchRun, AnArchiveOfAnotherConfigurationIsNamed) {
  SearchRequest r = request("run");
  r.config.supernet.epochs = 0;
  r.config.final.epochs = 0;
  create_run(r, false);
  std::atomic<bool> stop{false};
  Watch watch;
  watch.stop = &stop;
  watch.on_progress = [&](const Progress& p) { stop = stop || (p.phase == "search" && p.done >= 6); };
  EXPECT_EQ(thrown_by([&] { go(r, 1, watch); }).kind, Error::Kind::interrupted);
  for (int change = 0; change < 2; ++change) {
    SearchRequest other = r;
    if (change == 0)
      other.config.seed = 12;
    else
      other.config.search.population = 3;
    const Thrown t = thrown_by([&] { go(other); });
    EXPECT_EQ(t.kind, Error::Kind::input) << change;
    EXPECT_NE(t.message.find("another configuration"), std::string::npos) << t.message;
  }
}

TEST_F(SearchRun, CreateRefusesAndForceReplaces) {
  SearchRequest r = request("run");
  r.config.supernet.epochs = 0;
  r.config.final.epochs = 0;
  r.config.search.evals = 2;
  whole(r);
  EXPECT_EQ(thrown_by([&] { create_run(r, false); }).kind, Error::Kind::usage);
  EXPECT_TRUE(fs::exists(r.out + "/front.csv"));
  {
    const WriterLock lock(r.out + "/archive.sqlite");
    EXPECT_EQ(thrown_by([&] { create_run(r, true); }).kind, Error::Kind::failed);
    EXPECT_TRUE(fs::exists(r.out + "/front.csv"));
  }
  SearchRequest missing = r;
  missing.data_dirs = {dir_ / "elsewhere"};
  EXPECT_EQ(thrown_by([&] { create_run(missing, true); }).kind, Error::Kind::input);
  EXPECT_TRUE(fs::exists(r.out + "/front.csv"));
  missing.out = dir_ / "new";
  EXPECT_EQ(thrown_by([&] { create_run(missing, false); }).kind, Error::Kind::input);
  EXPECT_FALSE(fs::exists(missing.out));
  for (const char* stale : {"-journal", "-wal", "-lock"})
    dir_.write(std::string("run/archive.sqlite") + stale, "stale");
  dir_.write("run/mine.txt", "kept");
  create_run(r, true);
  for (const char* gone :
       {"archive.sqlite-journal", "front.csv", "models", "chosen.safetensors", "supernet.safetensors"})
    EXPECT_FALSE(fs::exists(r.out + "/" + gone)) << gone;
  EXPECT_EQ(slurp(r.out + "/mine.txt"), "kept");
  EXPECT_NE(slurp(r.out + "/archive.sqlite-lock"), "stale");
  EXPECT_EQ(go(r).evaluated, 2);
}

TEST(SearchConfigFile, EverySeedComesBack) {
  for (u64 seed : {u64{0}, u64{5}, (u64{1} << 53) + 1, u64{INT64_MAX}, u64{1} << 63, ~u64{0}}) {
    SearchConfig config, back;
    config.seed = seed;
    read_config_text(back, to_toml(config), "run.toml");
    EXPECT_EQ(back.seed, seed);
    EXPECT_EQ(to_toml(back), to_toml(config));
  }
}

}  // namespace
}  // namespace offramp::nas
