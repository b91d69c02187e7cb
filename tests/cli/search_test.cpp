// search and resume as processes: killed at any moment, the result is the same.
#include <cmath>
#include <filesystem>
#include <sstream>

#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSmall =
    " --data synthetic --space small --seed 3 --set search.evals=16 --set supernet.epochs=1 --set "
    "supernet.random_subnets=1 --set search.sampler=nsga2 --set search.population=4 --set "
    "candidate.recalibrate=64 --set "
    "train.samples=192 --set train.batch=64 --set tune.samples=200 --set final.epochs=1 --set final.count=1 ";

std::string waiting_for(const std::string& condition) {
  return "for i in $(seq 1000); do " + condition + " && break; sleep 0.02; done; ";
}

TEST(SearchVerb, KilledAndResumedGivesTheSameFront) {
  const TempDir dir;
  const std::string whole = dir / "whole", parts = dir / "parts";
  // Long enough to be caught on a fast machine: some tenths of a second of candidates, then seconds of
  // training.
  const std::string longer = std::string(kSmall) + "--set search.evals=120 --set final.epochs=300 ";
  const Ran ran = offramp_run("search --json --threads 1 --out " + whole + longer);
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto json = ran.json();
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["evaluated"], 120);
  EXPECT_EQ(json["chosen_model"], whole + "/chosen.safetensors");
  EXPECT_GT(json["training_macs"]["supernet"], 0);
  EXPECT_EQ(json["training_macs"]["candidates"], 0);
  EXPECT_GT(json["training_macs"]["total"], json["training_macs"]["supernet"]);
  EXPECT_NE(ran.err.find("seed 3"), std::string::npos) << ran.err;
  for (const char* file :
       {"run.toml", "archive.sqlite", "front.csv", "chosen.safetensors", "env.json", "report.html", "models"})
    EXPECT_TRUE(fs::exists(whole + "/" + file)) << file;
  const std::string front = slurp(whole + "/front.csv");
  EXPECT_EQ(front.rfind("id,accuracy_tune,accuracy_test,avg_macs,full_macs,params,latency_us,genotype\n", 0),
            0u);

  // Killed among the candidates, stopped by Ctrl-C, killed in the final training.
  const Ran killed = sh("\"$offramp\" search -q --threads 2 --out " + parts + longer + "& p=$!; " +
                        waiting_for("test -e " + parts + "/supernet.safetensors") +
                        "sleep 0.1; kill -9 $p; wait $p; test -e " + parts + "/front.csv && echo finished");
  EXPECT_EQ(killed.out, "") << "it was over before it was killed";
  const Ran stopped =
      sh("\"$offramp\" resume --threads 1 " + parts + " & p=$!; " +
         waiting_for("grep -q '\"running\"' " + parts + "/env.json") + "sleep 0.2; kill -INT $p; wait $p");
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("offramp resume " + parts), std::string::npos) << stopped.err;
  const Ran again =
      sh("\"$offramp\" resume -q " + parts + " & p=$!; " + waiting_for("test -e " + parts + "/models") +
         "sleep 0.02; kill -9 $p; wait $p; test -e " + parts + "/front.csv && echo finished");
  EXPECT_EQ(again.out, "") << "it was over before it was killed";
  const Ran rest = offramp_run("resume -q --json " + parts);
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(rest.json()["training_macs"], json["training_macs"]);
  EXPECT_EQ(slurp(parts + "/front.csv"), front);
  EXPECT_EQ(slurp(parts + "/curves.csv"), slurp(whole + "/curves.csv"));
  EXPECT_TRUE(slurp(parts + "/chosen.safetensors") == slurp(whole + "/chosen.safetensors"));
  for (const auto& entry : fs::directory_iterator(whole + "/models"))
    EXPECT_TRUE(slurp(entry.path()) == slurp(parts + "/models/" + entry.path().filename().string()));

  // Finished: nothing changes, whatever is asked.
  const auto state = [&] { return sh("cd " + parts + " && find . -type f | sort | xargs sha256sum").out; };
  const std::string before = state();
  EXPECT_EQ(offramp_run("resume -q " + parts).code, 0);
  EXPECT_EQ(offramp_run("resume --json " + parts).code, 0);
  EXPECT_EQ(state(), before);
}

// Whatever average is asked for, eval really takes the exits that curves.csv counted.
TEST(SearchVerb, CurvesAreWhatEvalFinds) {
  const TempDir dir;
  const std::string run = dir / "run";
  ASSERT_EQ(offramp_run("search -q --out " + run + kSmall + "--set supernet.epochs=0").code, 0);
  std::istringstream lines(slurp(run + "/curves.csv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "id,accuracy_tune,avg_macs_tune,accuracy_test,avg_macs_test,thresholds");
  int rows = 0;
  for (; std::getline(lines, line); ++rows) {
    long long id = 0;
    double tune = 0, tune_macs = 0, test = 0, test_macs = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%lld,%lf,%lf,%lf,%lf,", &id, &tune, &tune_macs, &test, &test_macs),
              5)
        << line;
    if (rows % 7 != 0) continue;  // each is two processes
    const std::string model = " --model " + run + "/models/" + std::to_string(id) +
                              ".safetensors --target-macs " +
                              std::to_string(static_cast<long long>(std::ceil(tune_macs)));
    const auto on_tune = offramp_run("eval --json --split tune" + model).json(),
               on_test = offramp_run("eval --json --split test" + model).json();
    EXPECT_NEAR(double(on_tune["accuracy"]), tune, 1e-6) << line;
    EXPECT_NEAR(double(on_tune["avg_macs"]), tune_macs, 0.05) << line;
    EXPECT_NEAR(double(on_test["accuracy"]), test, 1e-6) << line;
    EXPECT_NEAR(double(on_test["avg_macs"]), test_macs, 0.05) << line;
  }
  EXPECT_GT(rows, 3);
}

TEST(SearchVerb, ResumeTakesATotal) {
  const TempDir dir;
  const std::string tiny = std::string(kSmall) + "--set supernet.epochs=0 ";
  const std::string whole = dir / "whole", parts = dir / "parts";
  ASSERT_EQ(offramp_run("search -q --evals 8 --out " + whole + tiny).code, 0);
  ASSERT_EQ(offramp_run("search -q --evals 5 --out " + parts + tiny).code, 0);
  const auto state = [&] { return sh("cd " + parts + " && find . -type f | sort | xargs sha256sum").out; };
  const std::string before = state();
  expect_failure("resume -q --evals 4 " + parts, 2, "--evals");
  expect_failure("resume -q --evals 0 " + parts, 2, "--evals");
  EXPECT_EQ(offramp_run("resume -q --evals 5 " + parts).code, 0);
  EXPECT_EQ(state(), before);
  const Ran more = offramp_run("resume --json --evals 8 " + parts);
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(more.json()["evaluated"], 8);
  EXPECT_EQ(slurp(parts + "/front.csv"), slurp(whole + "/front.csv"));
  EXPECT_TRUE(slurp(parts + "/chosen.safetensors") == slurp(whole + "/chosen.safetensors"));
}

TEST(SearchVerb, WhatItRefuses) {
  const TempDir dir;
  const std::string out = " --out " + dir / "run";
  expect_failure("search --data synthetic", 2, "--out");
  expect_failure("search --data nothing" + out, 2, "nothing");
  expect_failure("search --data cifar10 --data-dir " + dir.path() + out, 3, "cifar10");
  expect_failure("search --data synthetic --space nowhere.toml" + out, 3, "nowhere.toml");
  expect_failure("search --data synthetic --space smal" + out, 2, "did you mean 'small'");
  expect_failure("search --data synthetic --set search.eval=3" + out, 2, "search.evals");
  expect_failure("search --data synthetic --set search.evals=0" + out, 2, "search.evals");
  expect_failure("search --data synthetic --max-seconds=-1" + out, 2, "--max-seconds");
  expect_failure("search --data synthetic --candidate-seconds=nan" + out, 2, "--candidate-seconds");
  expect_failure("search --data synthetic --candidate-rss=much" + out, 2, "--candidate-rss");
  expect_failure("search --data synthetic --target-macs 1.23" + out, 2, "--target-macs");
  expect_failure("search --data synthetic --recipe aebnass" + out, 2, "did you mean 'aebnas'");
  expect_failure("search --data synthetic --set search.sampler=nsga4" + out, 2, "did you mean 'nsga");
  expect_failure("search --config " + dir.write("bad.toml", "search = { evals = -1 }\n") + out, 3,
                 "bad.toml:1");
  expect_failure("search --data synthetic --device cuda" + out, 2, "CUDA");
  EXPECT_FALSE(fs::exists(dir / "run"));
  expect_failure("search --data synthetic --out /proc/run", 1, "/proc/run");
  dir.write("full/mine.txt", "kept");
  expect_failure("search --data synthetic --out " + dir / "full", 2, "--force");
  expect_failure("search --data synthetic --out " + dir / "full/mine.txt", 2, "mine.txt");
  EXPECT_EQ(slurp(dir / "full/mine.txt"), "kept");
  expect_failure("resume " + dir / "full", 3, "run.toml");
  expect_failure("resume /nowhere", 3, "/nowhere");
  dir.write("half/run.toml", "data = \"synthetic\"\n");
  expect_failure("resume " + dir / "half", 3, "archive.sqlite");
  dir.write("junk/run.toml", std::string("\0\xff[", 3));
  expect_failure("resume " + dir / "junk", 3, "run.toml");
  dir.write("noise/run.toml", "data = \"synthetic\"\n");
  dir.write("noise/archive.sqlite", "this is no archive, not at all, and never was one");
  expect_failure("resume " + dir / "noise", 3, "archive.sqlite");
}

// Recipe < file < --set < flags, wherever the recipe is named; the run keeps what came of it.
TEST(SearchVerb, ARecipeIsTheGroundOfEverythingElse) {
  const TempDir dir;
  const std::string file =
      dir.write("mine.toml", "recipe = \"edanas\"\n[tune]\nkind = \"exact\"\n[search]\nbatch = 4\n");
  const std::string tiny =
      " --data synthetic --space small --evals 5 --set train.samples=200 --set tune.samples=100"
      " --set supernet.epochs=0 --set candidate.epochs=0 --set final.epochs=0 --set search.initial=2"
      " --set search.surrogate=rbf --set candidate.recalibrate=64 --set final.recalibrate=64 -q --out ";
  const auto settings = [&](const std::string& words, const std::string& name) {
    EXPECT_EQ(offramp_run("search " + words + tiny + dir / name).code, 0);
    return slurp(dir / (name + "/run.toml"));
  };
  const auto has = [](const std::string& text, const std::string& line) {
    return text.find("\n" + line + "\n") != std::string::npos || text.rfind(line + "\n", 0) == 0;
  };
  const std::string from_file = settings("--config " + file, "a");
  for (const char* line :
       {"recipe = \"edanas\"", "space = \"small\"", "evals = 5", "batch = 4", "batch = 256",
        "sampler = \"surrogate\"", "clip = 1.0", "subset = \"gaps\"", "target_macs = 0"})
    EXPECT_TRUE(has(from_file, line)) << line << "\n" << from_file;
  const std::string from_flag = settings("--recipe aebnas --config " + file + " --target-macs 2M", "b");
  for (const char* line :
       {"recipe = \"aebnas\"", "batch = 4", "inner = \"deviation\"", "target_macs = 2000000"})
    EXPECT_TRUE(has(from_flag, line)) << line << "\n" << from_flag;
  const std::string by_set = settings("--set recipe=edanas --set tune.kind=exact --set train.clip=2", "c");
  EXPECT_TRUE(has(by_set, "clip = 2.0")) << by_set;
}

// The recipe with the learned confidence from end to end: killed and resumed it is the same, and what its
// archive says of the chosen network is what eval counts.
TEST(SearchVerb, NachosFromEndToEnd) {
  const TempDir dir;
  const std::string whole = dir / "whole", parts = dir / "parts";
  const std::string tiny =
      " --recipe nachos --data synthetic --seed 5 --evals 4 --target-macs 40M --set train.samples=256"
      " --set train.batch=64 --set tune.samples=200 --set supernet.epochs=1 --set supernet.random_subnets=0"
      " --set candidate.backbone_epochs=1 --set candidate.epochs=2 --set final.backbone_epochs=1"
      " --set final.epochs=2 --set final.count=1 --set confidence.warmup=1 --set search.initial=2"
      " --set search.batch=2 --set search.surrogate=rbf --set search.extremes=true --set "
      "candidate.recalibrate=64"
      " --set final.recalibrate=64 --set tune.min_accuracy=0 --out ";
  const Ran ran = offramp_run("search --json --threads 2" + tiny + whole);
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.json()["evaluated"], 4);
  EXPECT_EQ(ran.json()["failed"], 0);

  const Ran killed = sh("\"$offramp\" search -q --threads 2" + tiny + parts + "& p=$!; " +
                        waiting_for("test -e " + parts + "/supernet.safetensors") +
                        "sleep 0.3; kill -9 $p; wait $p; test -e " + parts + "/front.csv && echo finished");
  EXPECT_EQ(killed.out, "") << "it was over before it was killed";
  const Ran again = sh("\"$offramp\" resume -q " + parts + " & p=$!; " +
                       waiting_for("ls " + parts + "/work >/dev/null 2>&1") +
                       "sleep 0.3; kill -9 $p; wait $p; test -e " + parts + "/front.csv && echo finished");
  EXPECT_EQ(again.out, "") << "it was over before it was killed";
  ASSERT_EQ(offramp_run("resume -q " + parts).code, 0);
  EXPECT_EQ(slurp(parts + "/front.csv"), slurp(whole + "/front.csv"));
  for (const auto& entry : fs::directory_iterator(whole + "/models"))
    EXPECT_TRUE(slurp(entry.path()) == slurp(parts + "/models/" + entry.path().filename().string()));

  // "id,accuracy_tune,accuracy_test,avg_macs,...": every network of the front, at another batch size.
  std::istringstream rows(slurp(whole + "/front.csv"));
  std::string row;
  std::getline(rows, row);
  int networks = 0;
  while (std::getline(rows, row)) {
    ++networks;
    std::vector<std::string> cells;
    std::istringstream line(row);
    for (std::string cell; cells.size() < 6 && std::getline(line, cell, ',');) cells.push_back(cell);
    const std::string model = whole + "/models/" + cells[0] + ".safetensors";
    const auto tune = offramp_run("eval --json --split tune --batch 7 --model " + model).json();
    const auto test = offramp_run("eval --json --model " + model).json();
    EXPECT_EQ(tune["confidence"], "learned_cumulative");
    EXPECT_NEAR(double(tune["accuracy"]), std::stod(cells[1]), 1e-6);
    EXPECT_NEAR(double(test["accuracy"]), std::stod(cells[2]), 1e-6);
    EXPECT_NEAR(double(tune["avg_macs"]), std::stod(cells[3]), 0.06);
    EXPECT_EQ(tune["full_macs"], std::stol(cells[4]));
    EXPECT_LE(double(tune["avg_macs_own_head"]), double(tune["avg_macs"]));
    for (const auto& t : tune["thresholds"]) EXPECT_TRUE(double(t) >= 0.0999 && double(t) <= 0.8001) << t;
    // Other measures over the same outputs, tuned and evaluated alike.
    for (const char* confidence : {"learned", "margin"}) {
      const std::string out = dir / "tuned.safetensors";
      const Ran tuned =
          offramp_run("tune --json --model " + model + " --out " + out + " --confidence " + confidence);
      ASSERT_EQ(tuned.code, 0) << tuned.err;
      const auto e = offramp_run("eval --json --split tune --batch 13 --model " + out).json();
      EXPECT_EQ(e["accuracy"], tuned.json()["accuracy"]) << confidence;
      EXPECT_EQ(e["avg_macs"], tuned.json()["avg_macs"]) << confidence;
    }
    EXPECT_EQ(offramp_run("predict --json --model " + model + " " + whole + "/sample.npy").code, 0);
  }
  EXPECT_GT(networks, 0);
  // A network whose exits learn nothing has nothing to listen to.
  expect_failure("search -q --space small --data synthetic --set tune.confidence=learned --out " + dir / "x",
                 2, "learned_confidence");
}

TEST(SearchVerb, AnUnreachableTargetEndsWith4) {
  const TempDir dir;
  const std::string run = dir / "run";
  const std::string words = std::string("search -q --target-macs 1k --out ") + run + kSmall +
                            "--set supernet.epochs=0 --set final.epochs=0 --set search.evals=4";
  expect_failure(words, 4, "target");
  EXPECT_TRUE(fs::exists(run + "/front.csv"));
  EXPECT_FALSE(fs::exists(run + "/chosen.safetensors"));
  expect_failure("resume -q " + run, 4, "target");
  // No candidate fits into so little memory.
  expect_failure("search -q --force --candidate-rss 10k --out " + run + kSmall + "--set supernet.epochs=0", 4,
                 "failed");
  expect_failure("search -q --max-seconds 0.001 --force --out " + run + kSmall, 130, "offramp resume " + run);
  EXPECT_FALSE(fs::exists(run + "/front.csv"));
}

}  // namespace
}  // namespace offramp::testing
