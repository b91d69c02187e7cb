// The latency table: what it keeps, what it refuses, what is predicted from it. No time is asserted on.
#include "nas/latency/table.h"
#include "nas/latency/timed_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/recorder.h"
#include "nas/latency/cover.h"
#include "nas/latency/key.h"
#include "nas/latency/measure.h"
#include "nas/latency/missing.h"
#include "nas/latency/predict.h"
#include "nas/thresholds/policy.h"
#include "tests/nas/space/tiny.h"
#include "tests/support/error_kind.h"
#include "tests/support/targets.h"
#include "tests/support/temp_dir.h"

namespace offramp::nas {
namespace {

using offramp::testing::TempDir;
using offramp::testing::thrown_by;

const Space& tiny() {
  static const Space space = Space::parse(offramp::testing::kTinySpace, "tiny.toml");
  return space;
}
constexpr Task kTask{.classes = 4, .channels = 3};

LatencyMachine machine(Target target = default_target()) {
  LatencyMachine m = this_machine(target, 1);
  m.private_bytes = 4096;
  m.shared_bytes = 16384;
  return m;
}

// Every key of the plan at a time that tells it from the others.
LatencyTable full_table(const LatencyMachine& m, const nn::Plan& plan) {
  LatencyTable table(m);
  double us = 1;
  for (const LatencyTable::Key& key : latency_keys(m, plan))
    if (!table.find(key.first, key.second)) table.add(key.first, key.second, us += 0.25);
  return table;
}

TEST(LatencyTable, TextGivesTheSameTableBack) {
  LatencyTable table(machine());
  table.add("row dims a=1", Residence::private_cache, 1.23456789);
  table.add("row dims a=1", Residence::private_cache, 3);
  table.add("row dims a=1", Residence::memory, 1e-9);
  table.add_reference("tiny", 12.5);
  table.add_run({"tiny", kTask, {0, 1, 2}, 100, 90, 20});
  table.add_run({"tiny", kTask, {0, 1, 1}, 70, 68, 4});
  const LatencyTable again = LatencyTable::parse(table.text(), "t");
  EXPECT_EQ(again.text(), table.text());
  EXPECT_EQ(again.machine(), table.machine());
  // Five digits, from the start: saving in between changes no prediction.
  EXPECT_EQ(table.find("row dims a=1", Residence::private_cache)->observed[0], 1.2346);
  EXPECT_EQ(again.find("row dims a=1", Residence::private_cache)->median_us(), (1.2346 + 3) / 2);
  EXPECT_EQ(again.find("row dims a=1", Residence::shared_cache), nullptr);
  EXPECT_EQ(again.per_call_us(), 0.5);
  EXPECT_EQ(again.reference_us("tiny"), 12.5);
  EXPECT_EQ(again.reference_us("other"), 0);
  EXPECT_EQ(again.runs()[0].task.classes, 4);
}

TEST(LatencyTable, DamagedFilesAreRefused) {
  LatencyTable table(machine());
  table.add("row a", Residence::memory, 2);
  table.add_run({"tiny", kTask, {0, 1}, 10, 9, 2});
  const std::string good = table.text();
  EXPECT_FALSE(thrown_by([&] { LatencyTable::parse(good, "t"); }).kind);
  const auto refused = [&](const std::string& text) {
    const auto t = thrown_by([&] { LatencyTable::parse(text, "file.tsv"); });
    ASSERT_TRUE(t.kind) << text;
    EXPECT_EQ(*t.kind, Error::Kind::input);
    EXPECT_NE(t.message.find("file.tsv"), std::string::npos) << t.message;
  };
  // Cut anywhere: only the last line break may be missing.
  for (std::size_t n = 0; n + 1 < good.size(); ++n) refused(good.substr(0, n));
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  refused(replaced("table 1", "table 2"));
  refused(replaced("threads\t1", "threads\t0"));
  refused(replaced("threads\t1", "thread\t1"));
  refused(replaced("threads\t1", "threads\t1\nthreads\t1"));
  refused(replaced("\tmemory\t", "\tmoon\t"));
  refused(replaced("\t2\t2\t2\t2", "\t2\t2\t2\tnan"));
  refused(replaced("\t2\t2\t2\t2", "\t2\t2\t2\t-1"));
  refused(replaced("\t2\t2\t2\t2", "\t2\t2\t2\t"));
  refused(replaced("\t0,1\t", "\t0,x\t"));
  refused(replaced("end\t1", "end\t2"));
}

TEST(LatencyTable, OtherKernelsAreRefusedWithTheReason) {
  LatencyMachine m = machine();
  EXPECT_FALSE(thrown_by([&] { require_current(LatencyTable(m), "t.tsv"); }).kind);
  m.fingerprint = "0123456789abcdef";
  const auto t = thrown_by([&] { require_current(LatencyTable(m), "t.tsv"); });
  ASSERT_TRUE(t.kind);
  EXPECT_EQ(*t.kind, Error::Kind::input);
  for (const std::string part : {"t.tsv", "0123456789abcdef", "other kernels"})
    EXPECT_NE(t.message.find(part), std::string::npos) << t.message;
  EXPECT_EQ(kernel_fingerprint().size(), 16u);
}

TEST(LatencyKeys, AreTheRowsThatRun) {
  const auto plan = plan_of(tiny(), tiny().max_genotype(), kTask, true);
  for (const Target target : offramp::testing::runnable_targets()) {
    Recorder recorder;
    Exec exec(target, 1);
    nn::PlanRunner runner(*plan, target, 1);
    std::fill_n(runner.input(), plan->buffers[0], 0.5f);
    exec.recorder = &recorder;
    for (std::size_t s = 0; s < plan->stages.size(); ++s) {
      runner.run_body(exec, i64(s), 1);
      if (plan->stages[s].has_exit()) runner.run_head(exec, i64(s), 1);
    }
    const std::vector<nn::PlanCall> calls = nn::calls_of(*plan, target);
    ASSERT_EQ(calls.size(), recorder.calls.size());
    for (std::size_t i = 0; i < calls.size(); ++i) EXPECT_EQ(calls[i].kernel, recorder.calls[i].kernel);
  }
}

TEST(LatencyKeys, OfATargetThatThisCpuNeedNotHave) {
  const auto plan = plan_of(tiny(), tiny().max_genotype(), kTask, false);
  std::set<std::string> texts;
  for (const Target target : built_targets()) {
    LatencyMachine m = machine(Target::portable);
    m.target = target;
    const LatencyTable table = full_table(m, *plan);
    EXPECT_TRUE(missing_keys(table, *plan).empty());
    std::string all;
    for (const auto& [key, entry] : table.entries()) all += key.first;
    EXPECT_NE(all.find(target_name(target)), std::string::npos);
    texts.insert(all);
  }
  EXPECT_EQ(texts.size(), built_targets().size());
}

TEST(Prediction, IsTheSumOverThePlan) {
  const auto plan = plan_of(tiny(), tiny().max_genotype(), kTask, false);
  LatencyTable table = full_table(machine(), *plan);
  table.add_run({"tiny", kTask, {0}, 30, 20, 20});  // 0.5 us a call
  const std::vector<StageLatency> stages = predict(table, *plan);
  ASSERT_EQ(stages.size(), plan->stages.size());

  std::vector<StageLatency> expected(plan->stages.size());
  const auto calls = nn::calls_of(*plan, table.machine().target);
  const auto keys = latency_keys(table.machine(), *plan);
  for (std::size_t i = 0; i < calls.size(); ++i)
    (calls[i].head ? expected[std::size_t(calls[i].stage)].head_us
                   : expected[std::size_t(calls[i].stage)].body_us) +=
        table.find(keys[i].first, keys[i].second)->observed[0] + 0.5;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    EXPECT_DOUBLE_EQ(stages[s].body_us, expected[s].body_us);
    EXPECT_DOUBLE_EQ(stages[s].head_us, expected[s].head_us);
  }

  // Leaving pays for every body and every head in use up to there.
  std::vector<double> body, head;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    if (body.size() == head.size()) body.push_back(0);
    body.back() += stages[s].body_us;
    if (plan->stages[s].has_exit()) head.push_back(stages[s].head_us);
  }
  ASSERT_EQ(head.size(), 3u);
  const auto all_on = leave_us(*plan, stages, {0.5f, 0.5f});
  EXPECT_DOUBLE_EQ(all_on[0], body[0] + head[0]);
  EXPECT_DOUBLE_EQ(all_on[1], body[0] + head[0] + body[1] + head[1]);
  EXPECT_DOUBLE_EQ(all_on[2], full_us(stages));
  const auto first_off = leave_us(*plan, stages, {std::nullopt, 0.5f});
  EXPECT_EQ(first_off[0], 0);
  EXPECT_DOUBLE_EQ(first_off[1], body[0] + body[1] + head[1]);
  EXPECT_NEAR(first_off[2], full_us(stages) - head[0], 1e-9);
  EXPECT_DOUBLE_EQ(expected_us(all_on, std::vector<double>{0.5, 0.25, 0.25}),
                   0.5 * all_on[0] + 0.25 * all_on[1] + 0.25 * all_on[2]);
  // As costs for tuning: the same paths in picoseconds, each stage rounded once.
  const ExitCosts costs = latency_costs(*plan, stages);
  EXPECT_NO_THROW(require_exit_costs(costs, 3));
  const auto all_on_ps = costs_of_leaving(costs, {0.5f, 0.5f});
  const auto first_off_ps = costs_of_leaving(costs, {std::nullopt, 0.5f});
  for (std::size_t e = 0; e < 3; ++e) {
    EXPECT_NEAR(double(all_on_ps[e]) / kPicosecondsPerUs, all_on[e], 1e-5);
    if (e > 0) {
      EXPECT_NEAR(double(first_off_ps[e]) / kPicosecondsPerUs, first_off[e], 1e-5);
    }
  }
  EXPECT_EQ(*thrown_by([&] { leave_us(*plan, stages, {}); }).kind, Error::Kind::usage);
  EXPECT_EQ(*thrown_by([&] { expected_us(all_on, std::vector<double>{1}); }).kind, Error::Kind::usage);
}

TEST(Prediction, AMissingKeyIsNeverTakenAsNothing) {
  const auto small = plan_of(tiny(), tiny().min_genotype(), kTask, false),
             large = plan_of(tiny(), tiny().max_genotype(), kTask, false);
  const LatencyTable table = full_table(machine(), *small);
  EXPECT_TRUE(missing_keys(table, *small).empty());
  const auto missing = missing_keys(table, *large);
  ASSERT_FALSE(missing.empty());
  EXPECT_EQ(std::set(missing.begin(), missing.end()).size(), missing.size());
  EXPECT_EQ(*thrown_by([&] { predict(table, *large); }).kind, Error::Kind::input);

  // Where weights lie is a part of the key.
  LatencyMachine roomy = machine();
  roomy.private_bytes = roomy.shared_bytes = i64{1} << 40;
  EXPECT_NE(latency_keys(machine(), *small)[0].second, latency_keys(roomy, *small)[0].second);
}

TEST(MissingKeys, FileGivesThemBack) {
  const TempDir dir;
  const std::vector<MissingKey> missing = {{{"row a=1", Residence::shared_cache}, "small", kTask, {0, 2, 1}},
                                           {{"row a=2", Residence::memory}, "mine.toml", {}, {1}}};
  const auto read = read_missing(dir.write("m.txt", missing_text(missing)));
  EXPECT_EQ(missing_text(read), missing_text(missing));
  for (const char* bad : {"", "other\n", "# offramp missing keys 1\nrow\tmemory\n",
                          "# offramp missing keys 1\nrow\tmoon\tsmall\t4\t3\t0\t0\t1\n",
                          "# offramp missing keys 1\nrow\tmemory\tsmall\t4\t3\t0\t0\tx\n"})
    EXPECT_EQ(*thrown_by([&] { read_missing(dir.write("bad.txt", bad)); }).kind, Error::Kind::input) << bad;
}

TEST(LatencyCover, MeetsEveryKeyOfTheSpace) {
  const LatencyTable empty(machine());
  const CoverOptions options{.each = 2, .patience = 3000};
  const Cover cover = cover_space(tiny(), kTask, empty, options, {});
  EXPECT_EQ(cover_space(tiny(), kTask, empty, options, {}).networks, cover.networks);
  EXPECT_EQ(std::set(cover.networks.begin(), cover.networks.end()).size(), cover.networks.size());
  EXPECT_EQ(cover.known, 0);
  LatencyTable table(machine());
  for (const Genotype& g : cover.networks)
    for (const auto& [key, where] : latency_keys(machine(), *plan_of(tiny(), g, kTask, false)))
      table.add(key, where, 1);
  EXPECT_EQ(i64(table.entries().size()), cover.keys);
  Rng rng(9);
  for (int i = 0; i < 200; ++i)
    EXPECT_TRUE(missing_keys(table, *plan_of(tiny(), tiny().sample(rng), kTask, false)).empty());
  // What the table holds often enough needs no network; the last few may be rare beyond `each`.
  const Cover rest = cover_space(tiny(), kTask, table, {.each = 1, .patience = 3000}, {});
  EXPECT_TRUE(rest.networks.empty());
  EXPECT_EQ(rest.known, rest.keys);

  // For the keys of given networks: met in others where others have them.
  const Genotype asked = tiny().max_genotype();
  const Cover near = cover_space(tiny(), kTask, empty,
                                 {.each = 1, .patience = 3000, .start = {asked}, .only_start = true}, {});
  LatencyTable reached(machine());
  for (const Genotype& g : near.networks)
    for (const auto& [key, where] : latency_keys(machine(), *plan_of(tiny(), g, kTask, false)))
      reached.add(key, where, 1);
  EXPECT_TRUE(missing_keys(reached, *plan_of(tiny(), asked, kTask, false)).empty());
  EXPECT_NE(near.networks.at(0), asked);
}

TEST(LatencyMeasure, FilesTimesWhereThePlansWeightsLie) {
  LatencyMachine here = this_machine(default_target(), 1);
  here.private_bytes = 1;
  const auto plan = plan_of(tiny(), tiny().max_genotype(), kTask, true);
  const TimedNetwork timed(plan, here.target);  // keeps its own form of the weights
  EXPECT_EQ(timed.plan().params(), plan->params());
  EXPECT_EQ(latency_keys(here, timed.plan()), latency_keys(here, *plan));
}

TEST(LatencyMeasure, FillsTheTableOfThisMachineAlone) {
  const LatencyMachine here = this_machine(default_target(), 1);
  LatencyTable table(here);
  Exec exec(here.target, 1);
  const std::vector<Genotype> two = {tiny().min_genotype(), tiny().max_genotype()};
  int groups = 0;
  const MeasureOptions options{
      .visit = {.visits = 1, .warm_up = 0, .passes = 1}, .group = 1, .after_group = [&] { ++groups; }};
  measure_networks(exec, table, tiny(), kTask, two, options, {});
  EXPECT_EQ(groups, 2);
  EXPECT_EQ(table.runs().size(), 2u);
  EXPECT_GT(table.reference_us(tiny().name()), 0);
  for (const Genotype& g : two) {
    const auto plan = plan_of(tiny(), g, kTask, false);
    EXPECT_TRUE(missing_keys(table, *plan).empty());
    // What it comes to is the clock's: one visit beside other work may say next to nothing.
    EXPECT_GE(full_us(predict(table, *plan)), 0);
  }

  // Missing keys of one plan are measured once; what the table holds stays.
  LatencyTable growing = full_table(here, *plan_of(tiny(), two[0], kTask, false));
  const LatencyTable small = growing;
  const std::size_t before = growing.entries().size();
  measure_plan(exec, growing, tiny(), kTask, two[1], plan_of(tiny(), two[1], kTask, true), {});
  EXPECT_GT(growing.entries().size(), before);
  for (const auto& [key, entry] : small.entries())
    EXPECT_EQ(growing.find(key.first, key.second)->observed, entry.observed);
  EXPECT_TRUE(missing_keys(growing, *plan_of(tiny(), two[1], kTask, false)).empty());

  for (int what = 0; what < 3; ++what) {
    LatencyMachine other = here;
    if (what == 0) other.cpu = "another";
    if (what == 1) other.fingerprint = "0";
    if (what == 2) other.threads = 7;
    LatencyTable foreign(other);
    EXPECT_EQ(measurable_here(foreign), what == 2);  // its own threads can be had here
    if (what == 2) continue;
    EXPECT_EQ(*thrown_by([&] { measure_networks(exec, foreign, tiny(), kTask, two, options, {}); }).kind,
              Error::Kind::input);
    EXPECT_TRUE(foreign.entries().empty());
  }
  Watch stopped;
  const std::atomic<bool> stop{true};
  stopped.stop = &stop;
  EXPECT_EQ(*thrown_by([&] { measure_networks(exec, table, tiny(), kTask, two, options, stopped); }).kind,
            Error::Kind::interrupted);
}

}  // namespace
}  // namespace offramp::nas
