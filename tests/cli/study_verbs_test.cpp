// compare, why and report on an archive whose contents are known.
#include <cmath>
#include <filesystem>

#include "nas/space/space.h"
#include "nas/study/store.h"
#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

using Json = nlohmann::json;

constexpr const char* kSpace = R"(
name = "two"
resolution = "native"
[stem]
kernel = 3
stride = 2
width = 8
act = "relu"
[[stage]]
stride = 2
width = [8, 16]
depth = 1
kernel = [3, 5, 7]
expand = 2
act = "relu"
se = false
[final]
)";

// Candidates 0..4: 2 failed, 4 is dominated by 1 and 3. The front is 0, 1, 3.
std::string known_run(const TempDir& dir, const std::string& name, const std::string& data = "synthetic") {
  const std::string run = dir / name;
  std::filesystem::create_directories(run);
  dir.write(name + "/space.toml", kSpace);
  dir.write(name + "/run.toml", "data = \"" + data + "\"\nspace = \"two\"\nseed = 9\n");
  dir.write(name + "/front.csv",
            "id,accuracy_tune,accuracy_test,avg_macs,full_macs,params,latency_us,genotype\n"
            "0,0.700000,0.690000,100000.0,200000,500,,\"0,0\"\n"
            "3,0.900000,0.880000,1000000.0,1500000,900,12.5,\"1,1\"\n");
  // The third is beaten on the tune split, however good it is on the other.
  dir.write(name + "/curves.csv",
            "id,accuracy_tune,avg_macs_tune,accuracy_test,avg_macs_test,thresholds\n"
            "0,0.700000,100000.0,0.690000,100000.0,\"null\"\n"
            "3,0.800000,500000.0,0.780000,510000.0,\"0.5\"\n"
            "3,0.790000,510000.0,0.990000,500000.0,\"0.4\"\n"
            "3,0.900000,1000000.0,0.880000,1000000.0,\"null\"\n");
  nas::Store store = nas::Store::create(run + "/archive.sqlite");
  store.set_meta("classes", "10");
  const auto add = [&](nas::CandidateRecord c, double accuracy, double macs) {
    c.accuracy_tune = accuracy, c.avg_macs = macs, c.full_macs = i64(2 * macs);
    c.objectives = {1 - accuracy, macs};
    c.exit_shares = {1}, c.exit_accuracies = {accuracy}, c.weights = "supernet", c.seconds = 0.5;
    c.train_macs = 1'000'000;
    store.add(c);
  };
  add({.id = 0, .genotype = {0, 0}, .origin = "seed"}, 0.60, 1e5);
  add({.id = 1, .genotype = {1, 0}, .origin = "seed"}, 0.75, 4e5);
  nas::CandidateRecord failed{.id = 2, .generation = 1, .genotype = {0, 1}, .origin = "variation"};
  failed.state = nas::CandidateRecord::State::failed;
  failed.reason = "diverged <early>";
  store.add(failed);
  add({.id = 3,
       .generation = 1,
       .genotype = {1, 1},
       .origin = "surrogate",
       .parents = {1, 0},
       .predicted = {0.25, 1.1e6},
       .predicted_by = {"rbf", "gp"},
       .seed = 17},
      0.80, 1e6);
  add({.id = 4, .generation = 2, .genotype = {0, 2}, .origin = "variation", .parents = {3}}, 0.70, 2e6);
  store.set(nas::GenerationRecord{.generation = 1, .front = {0, 1, 3}, .evaluations = 4});
  store.set(nas::GenerationRecord{.generation = 0, .hypervolume = 0.25, .front = {0, 1}, .evaluations = 2});
  nas::CandidateRecord stopped{.id = 5, .generation = 2, .genotype = {1, 2}, .origin = "random"};
  stopped.epochs = 1, stopped.rungs_left = 1;
  nas::CandidateRecord rung = stopped;
  add(stopped, 0.99, 1e5);  // would be best of all, had it been trained as the others were
  rung.train_macs = 1'000'000;
  store.add_rung(rung);
  rung.id = 4, rung.genotype = {0, 2};
  store.add_rung(rung);
  rung.epochs = 4, rung.rungs_left = 0, rung.train_macs = 4'000'000;
  store.add_rung(rung);
  store.set_training_macs(nas::kPhaseSupernet, 20'000'000);
  store.set_training_macs(nas::phase_of_final(3), 300'000'000);
  // 2.5 s of computing, and a pause.
  for (const auto& [at, kind] : {std::pair(100.0, "start"),
                                 {101.5, "supernet"},
                                 {102.0, "interrupt"},
                                 {500.0, "resume"},
                                 {500.5, "finish"}})
    store.add(nas::EventRecord{.unix_seconds = at, .kind = kind, .text = ""});
  store.set_meta("finished", "1");
  return run;
}

// The share of [0, 0.9] x [10^5, 10^8] (log) that points of (accuracy, MACs) dominate, swept by hand.
double swept(const std::vector<std::pair<double, double>>& ascending) {
  double volume = 0;
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    const double right = i + 1 < ascending.size() ? std::log10(ascending[i + 1].second) : 8;
    volume += (right - std::log10(ascending[i].second)) / 3 * (0.9 - (1 - ascending[i].first)) / 0.9;
  }
  return volume;
}

TEST(StudyVerbs, CompareCountsWhatIsThere) {
  const TempDir dir;
  const std::string a = known_run(dir, "a"), b = known_run(dir, "b", "mnist");
  const Ran ran = offramp_run("compare --json --at 300k --at 1M --at 50k " + a + " " + b);
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find("do not compare"), std::string::npos) << "different data must be pointed out";
  const Json json = ran.json();
  ASSERT_EQ(json["runs"].size(), 2u);
  const Json run = json["runs"][0];
  EXPECT_EQ(run["dir"], a);
  EXPECT_EQ(run["data"], "synthetic");
  EXPECT_EQ(run["seed"], 9);
  EXPECT_EQ(run["finished"], true);
  EXPECT_EQ(run["evaluated"], 6);
  EXPECT_EQ(run["failed"], 1);
  EXPECT_EQ(run["front_size"], 3);
  EXPECT_DOUBLE_EQ(double(run["seconds"]), 2.5);
  EXPECT_NEAR(double(run["hypervolume"]), swept({{0.60, 1e5}, {0.75, 4e5}, {0.80, 1e6}}), 1e-12);
  EXPECT_NEAR(double(run["test_hypervolume"]), swept({{0.69, 1e5}, {0.88, 1e6}}), 1e-12);
  EXPECT_NEAR(double(run["curve_hypervolume"]), swept({{0.69, 1e5}, {0.78, 5.1e5}, {0.88, 1e6}}), 1e-12);
  EXPECT_EQ(run["best"][0]["id"], 0);
  EXPECT_EQ(run["best"][0]["accuracy_test"], 0.69);
  EXPECT_EQ(run["best"][1]["id"], 3);
  EXPECT_EQ(run["best"][1]["final_id"], 3);
  EXPECT_TRUE(run["best"][2]["id"].is_null());
  const Ran text = offramp_run("compare " + a);
  EXPECT_EQ(text.code, 0);
  EXPECT_NE(text.out.find("80.00 %"), std::string::npos) << text.out;
  EXPECT_EQ(run["training_macs"], Json({{"supernet", 20'000'000},
                                        {"candidates", 5'000'000},
                                        {"finals", 300'000'000},
                                        {"total", 325'000'000}}));
  EXPECT_NE(text.out.find("325M"), std::string::npos) << text.out;
}

TEST(StudyVerbs, WhoWasStoppedIsOnNoFront) {
  const TempDir dir;
  const std::string run = known_run(dir, "run");
  const Json why = offramp_run("why --json " + run + " 5").json();
  EXPECT_EQ(why["on_front"], false);
  EXPECT_EQ(why["epochs"], 1);
  EXPECT_EQ(why["rungs_left"], 1);
  EXPECT_EQ(why["dominates"], Json::array());
  EXPECT_NE(offramp_run("why " + run + " 5").out.find("on no front"), std::string::npos);
  // What each rung cost by itself.
  EXPECT_EQ(offramp_run("compare --json " + run).json()["runs"][0]["rungs"],
            Json({{{"epochs", 1}, {"candidates", 2}, {"training_macs", 2'000'000}},
                  {{"epochs", 4}, {"candidates", 1}, {"training_macs", 3'000'000}}}));
  offramp_run("report " + run);
  const std::string html = slurp(run + "/report.html");
  EXPECT_NE(html.find("Successive halving"), std::string::npos);
  EXPECT_NE(html.find("stopped after 1 epochs"), std::string::npos);
}

TEST(StudyVerbs, WhyTellsDescentAndStanding) {
  const TempDir dir;
  const std::string run = known_run(dir, "run");
  const Json json = offramp_run("why --json " + run + " 3").json();
  EXPECT_EQ(json["on_front"], true);
  EXPECT_EQ(json["dominates"], Json({4}));
  EXPECT_EQ(json["dominated_by"], Json::array());
  ASSERT_EQ(json["ancestry"].size(), 3u);
  EXPECT_EQ(json["train_macs"], 1'000'000);
  EXPECT_EQ(json["ancestry"][0]["new_genes"], Json({"stage1.block1.kernel 3 -> 5"}));
  EXPECT_EQ(json["ancestry"][1]["id"], 1);
  EXPECT_EQ(json["ancestry"][2]["distance"], 1);
  EXPECT_EQ(json["seed"], 17);
  EXPECT_EQ(json["front_generations"], Json::parse(R"([{"first": 1, "last": 1}])"));
  EXPECT_EQ(offramp_run("why --json " + run + " 1").json()["front_generations"],
            Json::parse(R"([{"first": 0, "last": 1}])"));
  ASSERT_EQ(json["predictions"].size(), 2u);
  EXPECT_EQ(json["predictions"][0]["of"], "error");
  EXPECT_EQ(json["predictions"][0]["by"], "rbf");
  EXPECT_EQ(json["predictions"][0]["predicted"], 0.25);
  EXPECT_NEAR(double(json["predictions"][0]["measured"]), 0.2, 1e-12);
  EXPECT_EQ(json["predictions"][1]["of"], "macs");
  EXPECT_EQ(json["predictions"][1]["measured"], 1e6);
  const Ran text = offramp_run("why " + run + " 3");
  EXPECT_NE(text.out.find("predicted error 0.25 (rbf), measured 0.2"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("surrogate of 1 and 0"), std::string::npos) << text.out;
  const Ran failed = offramp_run("why " + run + " 2");
  EXPECT_EQ(failed.code, 0);
  EXPECT_NE(failed.out.find("failed: diverged <early>"), std::string::npos) << failed.out;
}

TEST(StudyVerbs, ReportIsOneHarmlessFile) {
  const TempDir dir;
  const std::string run = known_run(dir, "run");
  const Ran ran = offramp_run("report " + run);
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, run + "/report.html\n");
  const std::string html = slurp(run + "/report.html");
  EXPECT_NE(html.find("diverged &lt;early&gt;"), std::string::npos);
  EXPECT_EQ(html.find("<early>"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos) << "a report loads nothing";
  EXPECT_NE(html.find("candidate 1: 75.00 % at 0.400M"), std::string::npos);
  EXPECT_NE(html.find("12.5"), std::string::npos) << "the latency column";
  EXPECT_NE(html.find("0.325G"), std::string::npos) << "what training has cost";
  offramp_run("report " + run);
  EXPECT_EQ(slurp(run + "/report.html"), html);
}

TEST(StudyVerbs, WrongUse) {
  const TempDir dir;
  const std::string run = known_run(dir, "run");
  expect_failure("why " + run + " 17", 2, "no candidate 17");
  expect_failure("why " + run + " x", 2, "ID");
  for (const std::string verb : {"compare ", "report "}) {
    expect_failure(verb + dir / "nowhere", 3, "not a run directory");
  }
  dir.write("run/front.csv", "id,accuracy_tune\n0,zero\n");
  expect_failure("report " + run, 3, "front.csv");
  dir.write("run/front.csv", "id\n");
  dir.write("run/archive.sqlite", "no database at all, but long enough to look at: it is text");
  expect_failure("compare " + run, 3, "archive.sqlite");
}

}  // namespace
}  // namespace offramp::testing
