#include "nas/search/objectives.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

using offramp::testing::kind_of;
using offramp::testing::Thrown;
using offramp::testing::thrown_by;

using Costs = std::vector<Objective>;

TEST(Objectives, AnyTwoOrThreeWithTheErrorFirst) {
  EXPECT_EQ(parse_objectives("macs"), (Costs{Objective::error, Objective::macs}));
  EXPECT_EQ(parse_objectives("params,error"), (Costs{Objective::error, Objective::params}));
  const std::vector<std::string> names = objective_names();
  for (std::size_t a = 1; a < names.size(); ++a)
    for (std::size_t b = 1; b < names.size(); ++b) {
      const std::string list = names[a] + "," + names[b];
      if (a == b) {
        EXPECT_EQ(kind_of([&] { parse_objectives(list); }), Error::Kind::usage) << list;
        continue;
      }
      EXPECT_EQ(parse_objectives(list), (Costs{Objective::error, Objective(a), Objective(b)}));
      EXPECT_EQ(parse_objectives("error," + list), parse_objectives(list));
      EXPECT_EQ(text_of(parse_objectives(list)), list);
    }
  for (const char* bad : {"", "error", "macs,latency,params", "macs,", "macs, params"})
    EXPECT_EQ(kind_of([&] { parse_objectives(bad); }), Error::Kind::usage) << bad;
  const Thrown t = thrown_by([] { parse_objectives("latencies"); });
  EXPECT_NE(t.message.find("did you mean 'latency'"), std::string::npos) << t.message;
}

TEST(Objectives, AreConfiguration) {
  SearchConfig config, back;
  read_config_text(config, "objective = [\"error\", \"full_macs\", \"params\"]\ntarget_latency_us = 12.5\n",
                   "c");
  EXPECT_EQ(config.objective, "full_macs,params");
  read_config_text(back, to_toml(config), "run.toml");
  EXPECT_EQ(back.objective, config.objective);
  EXPECT_EQ(back.target_latency_us, 12.5);
  EXPECT_EQ(kind_of([&] { read_config_text(config, "objective = [[\"macs\"]]\n", "c"); }),
            Error::Kind::input);
  config.target_macs = 1;
  EXPECT_EQ(kind_of([&] { require_consistent(config); }), Error::Kind::usage);
}

TEST(Objectives, ThresholdsAreTunedOnOneCost) {
  const auto latency = [](const std::vector<std::string>& settings) {
    SearchConfig config;
    for (const std::string& s : settings) set_assignment(config, s);
    return tunes_on_latency(config);
  };
  EXPECT_FALSE(latency({}));
  EXPECT_FALSE(latency({"objective=full_macs,params"}));
  EXPECT_TRUE(latency({"objective=params,latency"}));
  EXPECT_TRUE(latency({"objective=latency,macs"}));
  EXPECT_FALSE(latency({"objective=macs,latency"}));
  EXPECT_FALSE(latency({"objective=latency", "target_macs=5"}));
  EXPECT_TRUE(latency({"objective=macs", "target_latency_us=5"}));
  EXPECT_TRUE(latency({"objective=macs", "limits.avg_latency_us=5"}));
  EXPECT_FALSE(latency({"objective=macs", "limits.latency_us=5"}));
  SearchConfig config;
  EXPECT_FALSE(tuning_target(config));
  config.target_macs = 7;
  config.limits.avg_macs = 5;
  EXPECT_EQ(tuning_target(config), 5);
  config.limits.avg_macs = 9;
  EXPECT_EQ(tuning_target(config), 7);
  config.limits.avg_latency_us = 2;  // does not touch what is tuned on MACs
  EXPECT_EQ(tuning_target(config), 7);
  EXPECT_TRUE(meets_target(config, 7, NAN));
  EXPECT_FALSE(meets_target(config, 7.5, 1));
}

// Points on a grid of the box: cells that somebody dominates, counted.
TEST(Objectives, HypervolumeIsTheShareOfCellsDominated) {
  const Costs objectives = parse_objectives("macs,params");
  const int sides[] = {9, 3, 4};  // tenths of chance, decades
  struct Cell {
    int error, macs, params;
  };
  const std::vector<Cell> cells{{1, 2, 0}, {2, 1, 1}, {4, 0, 3}, {4, 1, 2}, {8, 0, 0}, {9, 0, 0}, {3, 3, 1}};
  std::vector<std::vector<double>> points;
  for (const Cell& c : cells)
    points.push_back({c.error * 0.9 / 9, std::pow(10.0, 5 + c.macs), std::pow(10.0, 3 + c.params)});
  int count = 0;
  for (int e = 0; e < sides[0]; ++e)
    for (int m = 0; m < sides[1]; ++m)
      for (int p = 0; p < sides[2]; ++p) {
        bool covered = false;
        for (const Cell& c : cells) covered |= c.error <= e && c.macs <= m && c.params <= p;
        count += covered;
      }
  ASSERT_GT(count, 20);
  EXPECT_NEAR(front_hypervolume(points, objectives, 10), double(count) / (9 * 3 * 4), 1e-12);
  // Two of them, latency: 10 us to 10 ms.
  const std::vector<std::vector<double>> pair{{0.45, 100}, {0.225, 1000}};
  EXPECT_NEAR(front_hypervolume(pair, parse_objectives("latency"), 10), 0.5 / 3 + 0.75 / 3, 1e-12);
}

TEST(Objectives, InWords) {
  EXPECT_EQ(in_words(parse_objectives("macs,params"), std::vector<double>{0.125, 117000, 23500}),
            "87.50 % at 0.117M MACs, 23.5k parameters");
  EXPECT_EQ(in_words(Objective::latency, 431.25), "431.2 us");
}

}  // namespace
}  // namespace offramp::nas
