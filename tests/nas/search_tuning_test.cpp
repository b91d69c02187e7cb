// Thresholds of a search's candidates: tuned on what the objective counts, by the tuner that is configured.
#include "data/catalog.h"
#include "nas/latency/predict.h"
#include "nas/latency/timed_network.h"
#include "nas/search/candidate_evaluator.h"
#include "nn/plan/calls.h"
#include "tests/nas/search_run.h"

namespace offramp::nas {
namespace {

class SearchTuning : public SearchRun {
 protected:
  SearchTuning()
      : request_(request("run")),
        splits_(data::load("mnist", {.dirs = request_.data_dirs, .train_samples = 192, .tune_samples = 80})),
        normalisation_(data::channel_statistics(splits_.train)),
        space_(Space::load("small")),
        supernet_(space_, task_of(splits_.train), Rng(1)),
        exec_(default_target(), 1),
        plan_(plan_of(space_, space_.min_genotype(), task_of(splits_.train), false)),
        table_(this_machine(exec_.target(), 1)) {
    request_.config.search.tolerance = 1;  // any accuracy will do: the cheapest thresholds win
    time_early_heads_slow();
  }

  // Every kernel takes 1 us, but those that only early heads use a thousand.
  void time_early_heads_slow() {
    const auto calls = nn::calls_of(*plan_, exec_.target());
    const auto keys = latency_keys(table_.machine(), *plan_);
    std::map<LatencyTable::Key, double> us;
    for (bool early : {true, false})  // what bodies and the end use as well stays fast
      for (std::size_t i = 0; i < calls.size(); ++i)
        if ((calls[i].head && calls[i].stage + 1 < i64(plan_->stages.size())) == early)
          us[keys[i]] = early ? 1000 : 1;
    for (const auto& [key, time] : us) table_.add(key.first, key.second, time);
  }

  CandidateRecord evaluated() {
    const CandidateEvaluator evaluator(exec_, space_, &supernet_, splits_, normalisation_, request_.config,
                                       &table_);
    const CandidateRecord record = evaluator.evaluate({.id = 1, .genotype = space_.min_genotype()}, {}, {});
    EXPECT_EQ(record.state, CandidateRecord::State::scored) << record.reason;
    return record;
  }

  SearchRequest request_;
  data::Splits splits_;
  data::Normalisation normalisation_;
  Space space_;
  Supernet supernet_;
  Exec exec_;
  std::shared_ptr<const nn::Plan> plan_;
  LatencyTable table_;
};

TEST_F(SearchTuning, OnLatencyWhereThatIsTheObjective) {
  const std::vector<nn::ExitCost> exits = nn::exit_costs(*plan_);
  const CandidateRecord macs = evaluated();
  EXPECT_EQ(macs.thresholds[0], 0.0f);  // everybody leaves at once
  EXPECT_EQ(macs.avg_macs, double(exits[0].leave_macs));

  request_.config.objective = "latency";
  const CandidateRecord latency = evaluated();
  EXPECT_EQ(latency.thresholds, Thresholds(exits.size() - 1));  // the slow heads are off
  // What is reported as MACs is counted, whatever was tuned on.
  EXPECT_EQ(latency.avg_macs, double(exits.back().prefix_macs + exits.back().head_macs));
  const auto stages = predict(table_, *plan_);
  EXPECT_DOUBLE_EQ(latency.objectives[1], leave_us(*plan_, stages, latency.thresholds).back());

  EXPECT_DOUBLE_EQ(latency.latency_us, latency.objectives[1]);

  // A target in us is kept in us, a limit on the average as well: the slow heads are off.
  request_.config.search.tolerance = 0;
  const double all_off = leave_us(*plan_, stages, Thresholds(exits.size() - 1)).back();
  for (double* most : {&request_.config.target_latency_us, &request_.config.limits.avg_latency_us}) {
    *most = all_off;
    const CandidateRecord held = evaluated();
    EXPECT_EQ(held.thresholds, Thresholds(exits.size() - 1));
    EXPECT_EQ(held.violation, 0);
    *most = 0;
  }
  request_.config.limits.avg_latency_us = all_off / 2;  // cannot be kept
  EXPECT_NEAR(evaluated().violation, 1, 1e-9);
  request_.config.limits.avg_latency_us = 0;
  request_.config.limits.avg_macs = exits[0].leave_macs;
  EXPECT_EQ(evaluated().violation, 0);
  EXPECT_EQ(evaluated().avg_macs, double(exits[0].leave_macs));
  request_.config.limits.avg_macs = exits[0].leave_macs - 1;
  EXPECT_GT(evaluated().violation, 0);
  request_.config.limits.avg_macs = 0;
  request_.config.search.tolerance = 1;

  // A target in MACs is kept in MACs.
  request_.config.target_macs = exits[0].leave_macs;
  EXPECT_EQ(evaluated().avg_macs, double(exits[0].leave_macs));
}

TEST_F(SearchTuning, ByTheTunerOfTheConfiguration) {
  request_.config.tune.kind = "shared";
  const CandidateRecord record = evaluated();
  ASSERT_EQ(record.thresholds.size(), 2u);
  ASSERT_TRUE(record.thresholds[0] && record.thresholds[1]);
  EXPECT_EQ(*record.thresholds[0], std::max(0.7f, *record.thresholds[1]));
  request_.config.tune.kind = "grid";
  request_.config.target_macs = 1;
  for (const auto& t : evaluated().thresholds) EXPECT_TRUE(!t || *t == 0.1f || *t == 0.2f);
}

TEST_F(SearchTuning, WhatTheGenesSayIsNotTuned) {
  request_.config.tune.kind = "genes";
  const Thrown none = thrown_by([&] { require_consistent(request_.config, space_); });
  EXPECT_EQ(none.kind, Error::Kind::usage);
  EXPECT_NE(none.message.find("small has no threshold gene"), std::string::npos) << none.message;

  const Space edanas = Space::load("edanas");
  const Supernet supernet(edanas, task_of(splits_.train), Rng(1));
  const CandidateEvaluator evaluator(exec_, edanas, &supernet, splits_, normalisation_, request_.config);
  Genotype genotype = edanas.with_exit(edanas.min_genotype(), 1, false);
  genotype = edanas.with_threshold(edanas.with_threshold(genotype, 0, 0.2), 2, 0.1);
  const CandidateRecord record = evaluator.evaluate({.id = 1, .genotype = genotype}, {}, {});
  ASSERT_EQ(record.state, CandidateRecord::State::scored) << record.reason;
  ASSERT_EQ(record.thresholds.size(), 3u);  // of the exits that are there
  EXPECT_EQ(record.thresholds[0], 0.2f);
  EXPECT_EQ(record.thresholds[1], 0.1f);
}

TEST(SearchConfigFile, TunersComeBack) {
  for (const std::string& kind : tune_kinds()) {
    SearchConfig config, back;
    set_assignment(config, "tune.kind=" + kind);
    set_assignment(config, "tune.min_accuracy=0.65");
    set_assignment(config, "tune.penalty=one-sided");
    read_config_text(back, to_toml(config), "run.toml");
    EXPECT_EQ(back.tune.kind, kind);
    EXPECT_EQ(back.tune.min_accuracy, 0.65);
    EXPECT_EQ(back.tune.penalty, "one-sided");
    EXPECT_EQ(to_toml(back), to_toml(config));
  }
  SearchConfig config;
  EXPECT_EQ(config.tune.kind, "exact");
  const Thrown t = thrown_by([&] { set_assignment(config, "tune.kind=exakt"); });
  EXPECT_EQ(t.kind, Error::Kind::usage);
  EXPECT_NE(t.message.find("did you mean 'exact'"), std::string::npos) << t.message;
  EXPECT_EQ(thrown_by([&] { set_assignment(config, "tune.min_accuracy=2"); }).kind, Error::Kind::usage);
  config.tune.kind = "grid";
  EXPECT_EQ(thrown_by([&] { require_consistent(config); }).kind, Error::Kind::usage);
  config.target_macs = 1000;
  EXPECT_NO_THROW(require_consistent(config));
}

}  // namespace
}  // namespace offramp::nas
