// search and resume as processes: killed at any moment, the result is the same.
#include <filesystem>

#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSmall =
    " --data synthetic --space small --seed 3 --set search.evals=16 --set supernet.epochs=1 --set "
    "supernet.random_subnets=1 --set search.population=4 --set candidate.recalibrate=64 --set "
    "train.samples=192 --set train.batch=64 --set tune.samples=200 --set final.epochs=1 --set final.count=1 ";

std::string waiting_for(const std::string& condition) {
  return "for i in $(seq 1000); do " + condition + " && break; sleep 0.02; done; ";
}

TEST(SearchVerb, KilledAndResumedGivesTheSameFront) {
  const TempDir dir;
  const std::string whole = dir / "whole", parts = dir / "parts";
  const Ran ran = offramp_run("search --json --threads 1 --out " + whole + kSmall);
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto json = ran.json();
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["evaluated"], 16);
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
  const Ran killed = sh("\"$offramp\" search -q --threads 2 --out " + parts + kSmall + "& p=$!; " +
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
  const std::string file = dir.write("mine.toml", "recipe = \"edanas\"\n[tune]\nkind = \"exact\"\n[search]\nbatch = 4\n");
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
